"""The school's CA and the gateway's certificate, checked by OpenSSL's own rules over real connections."""

import ipaddress
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from foundation.errors import Unavailable
from gateway.errors import ConfigError
from gateway.tls.addresses import Names, own_names
from gateway.tls.authority import RENEW_BEFORE, SERVER_LIFE, why_renew_server
from gateway.tls.files import Provided, provide, ssl_context

NOW = datetime.now(UTC).replace(microsecond=0)
NAMES = Names(("gateway", "gateway.local", "localhost"), (ipaddress.ip_address("127.0.0.1"),))


def provided(directory: Path, now: datetime = NOW, names: Names = NAMES) -> Provided:
    return provide(directory, "schoolgate", names, now)


def certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(file.read_bytes())[0]


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    """Connects client to server and sends a byte each way. Raises what the client raises."""
    ours, theirs = socket.socketpair()
    ours.settimeout(120)
    theirs.settimeout(120)

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as connection:
                connection.sendall(connection.recv(1))
        except OSError:
            pass  # the client says what was wrong

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=host) as connection:
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
    finally:
        ours.close()
        thread.join()


def client_of(authority: Path) -> ssl.SSLContext:
    client = ssl.create_default_context(cafile=str(authority))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    return client


def test_a_client_that_knows_the_ca_trusts_every_name_of_the_gateway(tmp_path: Path) -> None:
    files = provided(tmp_path / "ca")
    server = ssl_context(files.certificate, files.key)
    for host in ("gateway", "gateway.local", "localhost", "127.0.0.1"):
        shake_hands(server, client_of(files.authority), host)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(server, client_of(files.authority), "elsewhere")


def test_the_names_of_this_machine_are_certified(tmp_path: Path) -> None:
    files = provided(tmp_path / "ca", names=own_names("schoolgate"))
    server = ssl_context(files.certificate, files.key)
    for host in ("schoolgate", "localhost", "127.0.0.1", "::1"):
        shake_hands(server, client_of(files.authority), host)


def test_lives_are_ten_years_and_397_days(tmp_path: Path) -> None:
    files = provided(tmp_path / "ca")
    authority, server = certificate(files.authority), certificate(files.certificate)
    assert authority.not_valid_after_utc - authority.not_valid_before_utc >= timedelta(days=3_652)
    assert server.not_valid_after_utc - server.not_valid_before_utc == timedelta(days=397)


def test_keys_are_for_the_gateway_alone(tmp_path: Path) -> None:
    files = provided(tmp_path / "ca")
    for key in (files.key, files.authority.with_name("ca.key")):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    first = provided(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    second = provided(tmp_path, NOW + timedelta(days=300))
    assert len(first.events) == 2
    assert second.events == ()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_the_servers_certificate_is_renewed_before_it_ends(tmp_path: Path) -> None:
    provided(tmp_path, NOW - SERVER_LIFE + RENEW_BEFORE - timedelta(hours=1))
    authority = (tmp_path / "ca.pem").read_bytes()
    renewed = provided(tmp_path)
    assert "it ends on" in renewed.events[0]
    assert (tmp_path / "ca.pem").read_bytes() == authority
    shake_hands(ssl_context(renewed.certificate, renewed.key), client_of(renewed.authority), "gateway")


def test_a_new_address_of_the_machine_gets_a_new_certificate_and_a_lost_one_does_not(tmp_path: Path) -> None:
    provided(tmp_path)
    more = Names(NAMES.hosts, (*NAMES.addresses, ipaddress.ip_address("192.0.2.7")))
    assert provided(tmp_path, names=more).events == ("a new server certificate was made: it lacks 192.0.2.7",)
    assert provided(tmp_path).events == ()


def test_an_old_authority_is_signed_anew_with_its_key_and_keeps_the_trust_of_its_devices(
    tmp_path: Path,
) -> None:
    old = provided(tmp_path, NOW - timedelta(days=9 * 365))
    known = tmp_path / "known-to-devices.pem"
    known.write_bytes(old.authority.read_bytes())
    renewed = provided(tmp_path)
    assert any("signed anew" in event for event in renewed.events)
    server = ssl_context(renewed.certificate, renewed.key)
    shake_hands(server, client_of(known), "gateway")
    shake_hands(server, client_of(renewed.authority), "gateway")


def test_certificates_of_a_first_start_with_a_wrong_clock_are_replaced_when_it_is_right(
    tmp_path: Path,
) -> None:
    for wrong in (NOW + timedelta(days=3_650), datetime(1999, 1, 1, tzinfo=UTC)):
        directory = tmp_path / f"{wrong.year}"
        wrongly = provided(directory, wrong)
        known = directory / "known.pem"
        known.write_bytes(wrongly.authority.read_bytes())
        right = provided(directory)
        shake_hands(ssl_context(right.certificate, right.key), client_of(right.authority), "gateway")


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 700, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "server.pem", "server.key"])
def test_a_damaged_file_is_set_aside_and_survived(tmp_path: Path, name: str, content: bytes) -> None:
    provided(tmp_path)
    (tmp_path / name).write_bytes(content)
    files = provided(tmp_path)
    kept = [file for file in files.set_aside if file.name.startswith(f"{name}.damaged-")]
    assert [file.read_bytes() for file in kept] == [content]
    shake_hands(ssl_context(files.certificate, files.key), client_of(files.authority), "gateway")
    assert provided(tmp_path).events == ()


def test_a_lost_authority_certificate_is_made_again_from_its_key(tmp_path: Path) -> None:
    known = provided(tmp_path).authority.read_bytes()
    (tmp_path / "known.pem").write_bytes(known)
    (tmp_path / "ca.pem").unlink()
    files = provided(tmp_path)
    assert files.set_aside == ()
    shake_hands(ssl_context(files.certificate, files.key), client_of(tmp_path / "known.pem"), "gateway")


def test_a_certificate_of_another_school_is_not_used(tmp_path: Path) -> None:
    ours = certificate(provided(tmp_path / "ours").authority)
    theirs = certificate(provided(tmp_path / "theirs").certificate)
    assert why_renew_server(theirs, ours, NAMES, NOW) == "the school's CA did not sign it"


def test_a_directory_that_cannot_be_written_is_unavailable_not_fatal(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("a file is in the way")
    with pytest.raises(Unavailable, match="ca"):
        provided(tmp_path / "ca")


def test_only_clients_with_a_certificate_of_the_school_come_in_where_one_is_required(tmp_path: Path) -> None:
    ours = provided(tmp_path / "ours")
    server = ssl_context(
        ours.certificate, ours.key, client_authority=ours.authority, is_client_certificate_required=True
    )
    without = client_of(ours.authority)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        shake_hands(server, without, "gateway")
    optional = ssl_context(ours.certificate, ours.key, client_authority=ours.authority)
    shake_hands(optional, without, "gateway")


def test_a_certificate_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    files = provided(tmp_path)
    with pytest.raises(ConfigError, match=r"none\.pem"):
        ssl_context(tmp_path / "none.pem", files.key)
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        ssl_context(files.authority, files.key)

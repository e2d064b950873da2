"""Single looks of the rooms at the machine, as the doctor has them."""

import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foundation.findings import Finding, Verdict
from gateway.configuration.layers import load
from gateway.doors.bridge import bridge_room
from gateway.doors.http import check_pages
from gateway.doors.ports import check_port
from gateway.store.examination import check_data, check_database, clock_finding, file_system_of
from gateway.tls.examination import check_certificate
from tests.school_database import opened


def us(year: int, month: int = 6) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1_000_000


def bridge(port: int, **more: str) -> list[Finding]:
    environ = {
        "SCHOOLGATE_BRIDGE__ENABLED": "true",
        "SCHOOLGATE_BRIDGE__HOST": "127.0.0.1",
        "SCHOOLGATE_BRIDGE__PORT": str(port),
    }
    return list(bridge_room(load(None, environ | more).bridge).checks())


def test_a_port_that_nobody_has_is_good() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        assert check_port("http", "127.0.0.1", port).verdict is Verdict.BAD
    assert check_port("http", "127.0.0.1", port).verdict is Verdict.GOOD


def test_an_address_that_is_not_this_machines_is_bad() -> None:
    finding = check_port("http", "192.0.2.77", 8080)
    assert finding.verdict is Verdict.BAD
    assert "SCHOOLGATE_HTTP__HOST" in finding.advice


def test_a_data_directory_that_can_be_written_is_good_and_left_as_it_was(tmp_path: Path) -> None:
    findings = {finding.subject: finding for finding in check_data(tmp_path)}
    assert findings["data directory"].verdict is Verdict.GOOD
    assert "fsync takes" in findings["disk speed"].text
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_is_not_there_yet_is_good_and_not_made(tmp_path: Path) -> None:
    findings = list(check_data(tmp_path / "a" / "b"))
    assert findings[0].verdict is Verdict.GOOD
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_data_directory_should_be_is_bad(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert next(iter(check_data(tmp_path / "data"))).verdict is Verdict.BAD


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="Linux tells mounts in /proc")
def test_the_file_system_of_a_path_is_that_of_its_mount() -> None:
    assert file_system_of(Path("/proc/self")) == "proc"
    assert file_system_of(Path("/")) not in ("", "proc")


@pytest.mark.parametrize(
    ("now_us", "highest_us", "verdict"),
    [
        (us(2026, 11), None, Verdict.GOOD),
        (us(2026, 11), us(2026, 11) + 1_000_000, Verdict.GOOD),
        (us(2026, 11), us(2026, 12), Verdict.BAD),
        (us(1970), None, Verdict.BAD),
        (us(2016), None, Verdict.BAD),
        (us(2150), None, Verdict.BAD),
    ],
)
def test_a_clock_that_cannot_be_right_is_bad(now_us: int, highest_us: int | None, verdict: Verdict) -> None:
    assert clock_finding(now_us, highest_us).verdict is verdict


def test_a_bridge_that_is_off_is_not_looked_at() -> None:
    assert list(bridge_room(load(None, {}).bridge).checks()) == []


def test_a_broker_that_answers_is_good_and_one_that_does_not_is_bad() -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        port = int(broker.getsockname()[1])
        assert [one.verdict for one in bridge(port)] == [Verdict.GOOD]
    (finding,) = bridge(port)
    assert (finding.verdict, f"127.0.0.1:{port}" in finding.text) == (Verdict.BAD, True)


def test_a_broker_without_tls_where_tls_is_wanted_is_bad() -> None:
    def answer_in_plain_text(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1)
            connection.sendall(b"\x20\x02\x00\x00")

    with socket.create_server(("127.0.0.1", 0)) as broker:
        thread = threading.Thread(target=answer_in_plain_text, args=[broker])
        thread.start()
        (finding,) = bridge(int(broker.getsockname()[1]), SCHOOLGATE_BRIDGE__TLS="true")
        thread.join()
    assert finding.verdict is Verdict.BAD


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    settings = {"SCHOOLGATE_BRIDGE__TLS": "true", "SCHOOLGATE_BRIDGE__CA_FILE": str(file)}
    assert str(file) in bridge(1, **settings)[0].text
    file.write_text("no certificate")
    assert str(file) in bridge(1, **settings)[0].text


def test_a_certificate_of_the_schools_own_that_cannot_be_used_is_bad(tmp_path: Path) -> None:
    (finding,) = check_certificate("https", tmp_path / "c.pem", tmp_path / "k.pem")
    assert (finding.subject, finding.verdict) == ("certificate https", Verdict.BAD)


def test_web_pages_that_were_not_built_are_bad(tmp_path: Path) -> None:
    finding = check_pages(tmp_path / "index.html")
    assert (finding.verdict, finding.advice) == (Verdict.BAD, "build them with: make setup")
    (tmp_path / "index.html").write_text("")
    assert check_pages(tmp_path / "index.html").verdict is Verdict.GOOD


@pytest.mark.parametrize("damaged", ["yesterday", "-5", "", "9" * 40, b"\x00\xff"])
def test_a_damaged_note_of_the_clock_does_not_keep_the_doctor_from_looking(tmp_path: Path, damaged: object) -> None:
    with opened(tmp_path) as connection:
        connection.exec_driver_sql("INSERT INTO fact VALUES ('clock_high_us', ?)", (damaged,))
    findings = {finding.subject: finding for finding in check_database(tmp_path)}
    assert findings["database"].verdict is Verdict.GOOD
    assert findings["clock"].verdict is Verdict.GOOD

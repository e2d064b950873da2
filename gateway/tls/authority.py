"""The school's certificate authority and the gateway's own certificate: TLS works from the first start.

Both live in one directory: ca.pem and ca.key, server.pem (with the authority after it) and server.key. A damaged
file is set aside beside them. The authority is named after its key, so that one signed anew with the same key
keeps the trust of every device that knows it. Building is pure; `provide` reads and writes.
"""

import fcntl
import ipaddress
import secrets
import socket
import ssl
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from foundation.durable_file import write_durably
from gateway.errors import ConfigError, Unavailable

AUTHORITY_LIFE = timedelta(days=3_653)
SERVER_LIFE = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)
BACKDATED = timedelta(hours=1)
"""A client whose clock is a little behind accepts a new certificate at once."""

SIOCGIFADDR = 0x8915

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and the key that belongs to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Names:
    """What a server is reached by."""

    hosts: tuple[str, ...]
    addresses: tuple[Address, ...]

    def general_names(self) -> list[x509.GeneralName]:
        return [*map(x509.DNSName, self.hosts), *map(x509.IPAddress, self.addresses)]


@dataclass(frozen=True, slots=True)
class Provided:
    """The files to serve TLS with. `events`: what was made anew and why; `set_aside`: the damaged files."""

    authority: Path
    certificate: Path
    key: Path
    events: tuple[str, ...]
    set_aside: tuple[Path, ...]


def build_authority(now: datetime, key: ec.EllipticCurvePrivateKey | None = None) -> Pair:
    """Returns a self-signed authority for 10 years, of a new key or of the one given (RFC 5280 §4.2.1)."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Schoolgate"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Schoolgate CA {identifier.digest.hex()[:8]}"),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, key, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def build_server(authority: Pair, node: str, names: Names, now: datetime) -> Pair:
    """Returns a server's certificate for 397 days, signed by the authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node)])
    issuer_key = authority.key.public_key()
    certificate = (
        _builder(subject, authority.certificate.subject, key, now, SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names.general_names()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(certificate, key)


def why_renew_authority(certificate: x509.Certificate, now: datetime) -> str | None:
    """Returns why the authority is to be signed anew with its own key, None if it is good.

    It must outlive the server certificates that it signs. A certificate from the future was made while the
    gateway's clock was wrong.
    """
    if certificate.not_valid_before_utc > now:
        return "its validity begins in the future"
    if certificate.not_valid_after_utc - now < SERVER_LIFE + RENEW_BEFORE:
        return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
    return None


def why_renew_server(server: x509.Certificate, authority: x509.Certificate, names: Names, now: datetime) -> str | None:
    """Returns why a new server certificate is needed, None if this one is good."""
    if server.not_valid_before_utc > now:
        return "its validity begins in the future"
    if server.not_valid_after_utc - now < RENEW_BEFORE:
        return f"it ends on {server.not_valid_after_utc:%Y-%m-%d}"
    try:
        server.verify_directly_issued_by(authority)
        extension = server.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, TypeError, InvalidSignature):
        return "the school's CA did not sign it"
    except x509.ExtensionNotFound:
        return "it names no host"
    missing = [name.value for name in names.general_names() if name not in extension.value]
    return f"it lacks {', '.join(map(str, missing))}" if missing else None


def provide(directory: Path, node: str, names: Names, now: datetime) -> Provided:
    """Makes sure that `directory` holds a good authority and server certificate, whatever is there.

    `node` is at most 64 bytes (RFC 5280 appendix A). Call it at start, and from time to time while running.
    Raises Unavailable if files cannot be written: then the doors with TLS stay shut, and the others open.
    """
    events: list[str] = []
    aside: list[Path] = []
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = _provide_authority(directory / "ca.pem", directory / "ca.key", now, events, aside)
        server_files = directory / "server.pem", directory / "server.key"
        server = _read_certificate(server_files[0], now, aside)
        server_key = _read_key(server_files[1], now, aside)
        reason = None
        if server is None or server_key is None or server.public_key() != server_key.public_key():
            reason = "there was no usable one"
        else:
            reason = why_renew_server(server, authority.certificate, names, now)
        if reason is not None:
            _write(*server_files, build_server(authority, node, names, now), authority.certificate)
            events.append(f"a new server certificate was made: {reason}")
    except OSError as error:
        raise Unavailable(f"{error.filename or directory}: {error.strerror}", retry_after_s=60.0) from error
    return Provided(directory / "ca.pem", *server_files, tuple(events), tuple(aside))


def ssl_context(
    certificate: Path,
    key: Path,
    *,
    client_authority: Path | None = None,
    is_client_certificate_required: bool = False,
) -> ssl.SSLContext:
    """Returns a server's context, TLS 1.2 or newer; with `client_authority` clients may show a certificate.

    Raises ConfigError naming the file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError("certificate", str(certificate), f"cannot be used with the key {key}: {error}") from error
    if client_authority is not None:
        try:
            context.load_verify_locations(client_authority)
        except OSError as error:
            raise ConfigError(
                "client certificate authority", str(client_authority), f"cannot be used: {error}"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED if is_client_certificate_required else ssl.CERT_OPTIONAL
    return context


def own_names(node: str) -> Names:
    """Returns what this machine is reached by: its host name, that with .local, localhost, its addresses."""
    host = socket.gethostname().partition(".")[0].lower()
    hosts = dict.fromkeys([host, f"{host}.local", socket.gethostname().lower(), node.lower(), "localhost"])
    return Names(tuple(filter(_is_host, hosts)), tuple(sorted(own_addresses(), key=lambda one: (one.version, one))))


def own_addresses() -> set[Address]:
    """Returns the addresses of this machine's interfaces, loopback included, link-local ones not."""
    found: set[Address] = {ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1")}
    with suppress(OSError):
        found |= {_address(str(entry[4][0])) for entry in socket.getaddrinfo(socket.gethostname(), None)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _index, interface in socket.if_nameindex():
            request = struct.pack("256s", interface.encode()[:15])
            with suppress(OSError):  # an interface without an IPv4 address
                answer = fcntl.ioctl(probe, SIOCGIFADDR, request)
                found.add(ipaddress.IPv4Address(answer[20:24]))
    with suppress(OSError):
        lines = Path("/proc/net/if_inet6").read_text("ascii").splitlines()
        found |= {ipaddress.IPv6Address(bytes.fromhex(line.split()[0])) for line in lines}
    return {address for address in found if not address.is_link_local and not address.is_unspecified}


def _address(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])


def _is_host(name: str) -> bool:
    return name != "" and name.isascii() and name.isprintable() and " " not in name


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    begins = now - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + life)
    )


def _provide_authority(
    certificate_file: Path, key_file: Path, now: datetime, events: list[str], aside: list[Path]
) -> Pair:
    certificate = _read_certificate(certificate_file, now, aside)
    key = _read_key(key_file, now, aside)
    if key is None:
        authority = build_authority(now)
        events.append("a new school CA was made")
        if certificate is not None:
            aside.append(_set_aside(certificate_file, now))
    else:
        if certificate is None or certificate.public_key() != key.public_key():
            reason = "there was no usable certificate"
        elif (why := why_renew_authority(certificate, now)) is not None:
            reason = why
        else:
            return Pair(certificate, key)
        authority = build_authority(now, key)
        events.append(f"the school CA was signed anew with its own key: {reason}")
    _write(certificate_file, key_file, authority)
    return authority


def _read_certificate(file: Path, now: datetime, aside: list[Path]) -> x509.Certificate | None:
    """The first certificate of the file; None if there is none, or no usable one: then it is set aside."""
    try:
        certificate = x509.load_pem_x509_certificates(file.read_bytes())[0]
        certificate.public_key()
    except FileNotFoundError:
        return None
    except (ValueError, UnsupportedAlgorithm):
        aside.append(_set_aside(file, now))
        return None
    return certificate


def _read_key(file: Path, now: datetime, aside: list[Path]) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    aside.append(_set_aside(file, now))
    return None


def _set_aside(file: Path, now: datetime) -> Path:
    target = file.with_name(f"{file.name}.damaged-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}")
    return file.rename(target)


def _write(certificate: Path, key: Path, pair: Pair, *chain: x509.Certificate) -> None:
    """The key first: a power cut in between leaves no pair, and a new one is made at the next start."""
    pem = serialization.Encoding.PEM
    write_durably(
        key,
        pair.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        mode=0o600,
    )
    certificates: Iterable[x509.Certificate] = (pair.certificate, *chain)
    write_durably(certificate, b"".join(one.public_bytes(pem) for one in certificates), mode=0o644)

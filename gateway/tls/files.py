"""The certificate files in `DATA/tls`, and the context that a door with TLS serves with.

The directory holds ca.pem and ca.key, server.pem (with the authority after it) and server.key. A damaged file is set
aside beside them and made anew.
"""

import secrets
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from foundation.durable_file import write_durably
from foundation.errors import Unavailable
from gateway.errors import ConfigError
from gateway.tls.addresses import Names
from gateway.tls.authority import Pair, build_authority, build_server, why_renew_authority, why_renew_server


@dataclass(frozen=True, slots=True)
class Provided:
    """The files to serve TLS with. `events`: what was made anew and why; `set_aside`: the damaged files."""

    authority: Path
    certificate: Path
    key: Path
    events: tuple[str, ...]
    set_aside: tuple[Path, ...]


def provide(directory: Path, node: str, names: Names, now: datetime) -> Provided:
    """Makes sure that `directory` holds a good authority and server certificate, whatever is there.

    `node` is at most 64 bytes (RFC 5280 appendix A). Call it at every start: a certificate is renewed only here.
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

"""The school's certificate authority and the gateway's own certificate, so that TLS works from the first start. Pure.

The authority is named after its key, so that one signed anew with the same key keeps the trust of every device that
knows it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.tls.addresses import Names

AUTHORITY_LIFE = timedelta(days=3_653)
SERVER_LIFE = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)
BACKDATED = timedelta(hours=1)
"""A client whose clock is a little behind accepts a new certificate at once."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and the key that belongs to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


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

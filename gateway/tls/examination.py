"""Whether certificates that the school brings itself can be used; its own ones make themselves."""

from collections.abc import Iterator
from pathlib import Path

from foundation.findings import Finding, bad, good
from gateway.errors import ConfigError
from gateway.tls.files import ssl_context


def check_certificate(door: str, certificate: Path | None, key: Path | None) -> Iterator[Finding]:
    """Looks at the pair of one door, if the school brought one. `door`: its section in the configuration."""
    if certificate is None or key is None:
        return
    try:
        ssl_context(certificate, key)
    except ConfigError as error:
        yield bad(f"certificate {door}", str(error), f"correct {door}.certificate and {door}.key")
    else:
        yield good(f"certificate {door}", f"{certificate} fits its key")

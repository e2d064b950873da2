"""The certificates that the doors with TLS serve with: the school's own, or the gateway's."""

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog

from foundation.errors import Unavailable
from foundation.room import Room, Totals
from gateway.tls.addresses import own_names
from gateway.tls.files import provide, ssl_context

log = structlog.get_logger("gateway")

DIRECTORY = "tls"


def tls_room(data: Path) -> Room:
    return Room(name="tls", files=(data / DIRECTORY,))


class Certificates:
    """Makes the school's CA and the gateway's certificate when a door first asks. `node`: the gateway's name."""

    def __init__(self, data: Path, node: str) -> None:
        self._directory = data / DIRECTORY
        self._node = node
        self._is_asked = False
        self._failure: str | None = None

    def context(
        self,
        own_certificate: Path | None,
        own_key: Path | None,
        *,
        takes_client_certificates: bool = False,
        is_client_certificate_required: bool = False,
    ) -> ssl.SSLContext | None:
        """Returns the context of a door; None, with the reason kept, if there can be no certificate. Raises ConfigError
        for files of the school's own that cannot be used."""
        self._is_asked = True
        try:
            provided = provide(self._directory, self._node, own_names(self._node), datetime.now(UTC))
        except Unavailable as error:
            self._failure = error.reason
            log.error("tls_unavailable", reason=error.reason, hint="the doors without TLS are open")
            return None
        for event in provided.events:
            log.info("certificate", what=event)
        for aside in provided.set_aside:
            log.warning("certificate_set_aside", file=str(aside), hint="it could not be read; a new one is in use")
        return ssl_context(
            own_certificate or provided.certificate,
            own_key or provided.key,
            client_authority=provided.authority if takes_client_certificates else None,
            is_client_certificate_required=is_client_certificate_required,
        )

    def readiness(self) -> Mapping[str, str | None]:
        """See `foundation.room.Reports`."""
        return {"tls": self._failure} if self._is_asked else {}

    def totals(self) -> Totals:
        """See `foundation.room.Reports`."""
        return {}

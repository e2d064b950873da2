"""The device registry: who may talk to us, under which secret, on which topics.

Rows change only through the functions that take a connection; each raises the table's `revision`, so that a
running gateway notices what the command line changed beside it. `Registry` is the view in memory: the door looks
devices up in it when they sign in, the ingest when they are first heard.
"""

import enum
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import structlog
from sqlalchemy import Connection, Row, func, insert, select, update

from devices.ids import check_id, check_kind
from devices.tables import device
from foundation.stored import stored

log = structlog.get_logger("registry")


_LAST_REVISION = (1 << 63) - 1
"""SQLite stores a text in a column of numbers if somebody gives it one, and holds it for greater than all numbers."""


class DeviceState(enum.StrEnum):
    """Seen: it talks, nobody adopted it, its frames are kept. Active: its frames count. Revoked: it may not talk."""

    SEEN = "seen"
    ACTIVE = "active"
    REVOKED = "revoked"


class PayloadFormat(enum.StrEnum):
    """How a device's payloads are read."""

    NATIVE = "native"
    HOME_ASSISTANT = "homeassistant"


@dataclass(frozen=True, slots=True)
class Device:
    """One registry entry. Grants are MQTT topic filters beyond the device's own topics."""

    id: str
    kind: str
    name: str
    place: str
    state: DeviceState
    format: PayloadFormat
    secret_digest: bytes | None
    publish_grants: tuple[str, ...]
    subscribe_grants: tuple[str, ...]
    created_us: int
    adopted_us: int | None


class UnknownDevice(LookupError):
    """No device of this id is in the registry."""


class DeviceExists(ValueError):
    """A device of this id is in the registry already."""


def digest_of(secret: str) -> bytes:
    """Returns what is stored of a secret. Secrets are 256 random bits, so one hash is as strong as many rounds,
    and a storm of sign-ins stays cheap."""
    return _digest(secret.encode())


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(b"schoolgate device secret\x00" + secret).digest()


def _next_revision(connection: Connection) -> int:
    return revision(connection) + 1


def revision(connection: Connection) -> int:
    """Returns a number that grows with every change of the registry, by whichever process."""
    newest = select(func.max(device.c.revision)).where(device.c.revision < _LAST_REVISION)
    return int(connection.execute(newest).scalar() or 0)


def add(
    connection: Connection,
    device_id: str,
    kind: str,
    now_us: int,
    *,
    name: str = "",
    place: str = "",
    publish: Iterable[str] = (),
    subscribe: Iterable[str] = (),
) -> str:
    """Adds an active device and returns its secret, which is stored nowhere. Raises DeviceExists, ValueError."""
    check_id(device_id)
    check_kind(kind)
    if connection.execute(select(device.c.id).where(device.c.id == device_id)).first() is not None:
        raise DeviceExists(device_id)
    secret = secrets.token_urlsafe(32)
    connection.execute(
        insert(device).values(
            id=device_id,
            kind=kind,
            name=name,
            place=place,
            state=DeviceState.ACTIVE,
            format=PayloadFormat.NATIVE,
            secret_digest=digest_of(secret),
            publish_grants=json.dumps(list(publish)),
            subscribe_grants=json.dumps(list(subscribe)),
            created_us=now_us,
            adopted_us=now_us,
            revision=_next_revision(connection),
        )
    )
    return secret


def note_seen(
    connection: Connection,
    device_id: str,
    kind: str,
    name: str,
    place: str,
    format_: PayloadFormat,
    now_us: int,
) -> None:
    """Enters a device that talks and that nobody adopted. It has no secret: it talks through somebody else."""
    connection.execute(
        insert(device).values(
            id=device_id,
            kind=kind,
            name=name,
            place=place,
            state=DeviceState.SEEN,
            format=format_,
            created_us=now_us,
            publish_grants="[]",
            subscribe_grants="[]",
            revision=_next_revision(connection),
        )
    )


def change(
    connection: Connection,
    device_id: str,
    *,
    kind: str | None = None,
    name: str | None = None,
    place: str | None = None,
) -> None:
    """Changes what is given. Raises UnknownDevice, ValueError."""
    if kind is not None:
        check_kind(kind)
    given = {"kind": kind, "name": name, "place": place}
    _update(connection, device_id, {key: value for key, value in given.items() if value is not None})


def adopt(connection: Connection, device_id: str, now_us: int) -> None:
    """Makes a device active from now on, whatever it was; it gets no secret by that. Raises UnknownDevice."""
    _update(connection, device_id, {"state": DeviceState.ACTIVE, "adopted_us": now_us})


def revoke(connection: Connection, device_id: str) -> None:
    """Ends a device's right to talk; what it said stays. Raises UnknownDevice."""
    _update(connection, device_id, {"state": DeviceState.REVOKED, "secret_digest": None})


def renew_secret(connection: Connection, device_id: str, now_us: int) -> str:
    """Gives a device a new secret, and the right to talk if it was revoked or only seen. Raises UnknownDevice."""
    secret = secrets.token_urlsafe(32)
    _update(
        connection,
        device_id,
        {"state": DeviceState.ACTIVE, "secret_digest": digest_of(secret), "adopted_us": now_us},
    )
    return secret


def _update(connection: Connection, device_id: str, values: Mapping[str, object]) -> None:
    changed = connection.execute(
        update(device).where(device.c.id == device_id).values(**values, revision=_next_revision(connection))
    )
    if changed.rowcount == 0:
        raise UnknownDevice(device_id)


def _from_row(row: Row[tuple[object, ...]]) -> Device:
    """Raises MsgspecError or TypeError for a value that its column never holds: SQLite itself does not look."""
    values = {str(name): value for name, value in row._asdict().items()}
    grants = {name: msgspec.json.decode(values[name]) for name in ("publish_grants", "subscribe_grants")}
    return msgspec.convert(values | grants, Device)


def load(connection: Connection) -> tuple[dict[str, Device], frozenset[str]]:
    """Returns the devices by id, and the ids of those whose entry cannot be read: they are as good as revoked."""
    devices: dict[str, Device] = {}
    unreadable: set[str] = set()
    for row in connection.execute(stored(device)):
        try:
            devices[row.id] = _from_row(row)
        except (msgspec.MsgspecError, TypeError):
            unreadable.add(str(row.id))
    return devices, frozenset(unreadable)


class Registry:
    """The registry in memory. Read by the event loop and by the writer's thread; replaced whole, never edited."""

    def __init__(self) -> None:
        self.devices: Mapping[str, Device] = {}
        self.unreadable: frozenset[str] = frozenset()
        self.revision = -1

    def refresh(self, connection: Connection) -> bool:
        """Reads the table again if it changed since the last call; returns whether it did."""
        current = revision(connection)
        if current == self.revision:
            return False
        before = self.unreadable
        self.devices, self.unreadable = load(connection)
        self.revision = current
        for device_id in sorted(self.unreadable - before):
            log.error("device_unreadable", device_id=device_id, hint="its entry is skipped; the other devices work")
        return True

    def read_again(self, connection: Connection) -> None:
        """Reads the table, though its revision may seem to be known."""
        self.revision = -1
        self.refresh(connection)

    def authenticate(self, device_id: str, secret: bytes) -> Device | None:
        """Returns the active device that signs in with this secret, or None. Takes the same time either way."""
        found = self.devices.get(device_id)
        expected = found.secret_digest if found is not None and found.secret_digest is not None else bytes(32)
        is_right = hmac.compare_digest(expected, _digest(secret))
        return found if is_right and found is not None and found.state is DeviceState.ACTIVE else None

"""Dead letters: frames that could not be decoded, kept with the reason so that somebody can see why."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select

from devices.tables import dead_letter
from foundation import rfc3339
from gateway.errors import NotFound
from gateway.store.page import Page, page_of

SHOWN: Final = 4096
"""Characters of a payload that are shown."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One frame. `payload`: its first 4,096 characters, what is no UTF-8 as `\\xNN`; `size`: in bytes."""

    id: str
    device: str | None
    topic: str
    reason: str
    received_at: rfc3339.Moment
    payload: str
    size: int


_COLUMNS: Final = (
    dead_letter.c.id,
    dead_letter.c.device_id,
    dead_letter.c.topic,
    dead_letter.c.reason,
    dead_letter.c.received_us,
    func.substr(dead_letter.c.payload, 1, SHOWN).label("head"),
    func.length(dead_letter.c.payload).label("size"),
)


def page(connection: Connection, device_id: str | None, before_id: int | None, limit: int) -> Page[DeadLetter, int]:
    """Returns the newest dead letters first, those older than `before_id`; of one device if given."""
    query = select(*_COLUMNS).order_by(dead_letter.c.id.desc()).limit(limit + 1)
    if device_id is not None:
        query = query.where(dead_letter.c.device_id == device_id)
    if before_id is not None:
        query = query.where(dead_letter.c.id < before_id)
    return page_of(connection.execute(query).all(), limit, _from_row, lambda row: int(row.id))


def find(connection: Connection, letter_id: int) -> DeadLetter:
    """Returns one. Raises NotFound."""
    row = connection.execute(select(*_COLUMNS).where(dead_letter.c.id == letter_id)).first()
    if row is None:
        raise NotFound(f"dead letter {letter_id}")
    return _from_row(row)


def remove(connection: Connection, letter_id: int) -> None:
    """Deletes one. Raises NotFound."""
    if connection.execute(delete(dead_letter).where(dead_letter.c.id == letter_id)).rowcount == 0:
        raise NotFound(f"dead letter {letter_id}")


def shown(payload: bytes) -> str:
    """Returns a payload as text that JSON and a console can carry."""
    return payload[:SHOWN].decode("utf-8", "backslashreplace")[:SHOWN]


def _from_row(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        id=str(row.id),
        device=row.device_id,
        topic=row.topic,
        reason=row.reason,
        received_at=rfc3339.text(row.received_us),
        payload=shown(row.head or b""),  # SQLite: the start of nothing is null
        size=row.size,
    )

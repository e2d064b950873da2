"""Dead letters: frames that could not be decoded, kept with the reason so that somebody can see why."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, select
from sqlalchemy.sql.elements import ClauseElement

from devices.frame import Frame, JournalEntry
from foundation import rfc3339
from foundation.errors import NotFound
from gateway.ingest.tables import dead_letter
from gateway.store.page import Page, page_of
from gateway.store.store import Store

STATEMENTS: dict[str, ClauseElement] = {
    "dead_letter_drop": delete(dead_letter).where(dead_letter.c.id == bindparam("letter_id")),
}
"""What is journalled by name."""

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


async def replay(store: Store, letter_id: int) -> str | None:
    """Tries a dead letter again; returns None if it is stored now, else why it is a dead letter again (a new one).

    Raises NotFound.
    """

    def find(connection: Connection) -> Frame:
        row = connection.execute(select(dead_letter).where(dead_letter.c.id == letter_id)).first()
        if row is None:
            raise NotFound(f"dead letter {letter_id}")
        return Frame(row.topic, row.payload, row.received_us, row.device_id, row.is_retained)

    frame = await store.read(find)
    intake = await store.take_in([frame], [JournalEntry("dead_letter_drop", (letter_id,))])
    return next((reason for _frame, reason in intake.refused), None)

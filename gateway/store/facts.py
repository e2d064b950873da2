"""Facts: whole numbers that the gateway keeps about its database, by name."""

import structlog
from sqlalchemy import Connection, select

from foundation.upsert import put
from gateway.store.tables import fact

log = structlog.get_logger("store")

MAX_DIGITS = 18


def read_fact(connection: Connection, name: str) -> int:
    """Returns the number, 0 if it was never noted. What is no number any more counts as never noted: a damaged page
    must not keep the gateway from starting."""
    text = connection.execute(select(fact.c.value).where(fact.c.name == name)).scalar()
    if text is None:
        return 0
    if not (isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS):
        log.warning("fact_unreadable", name=name)
        return 0
    return int(text)


def write_fact(connection: Connection, name: str, value: int) -> None:
    """Notes the number in place of what was there."""
    connection.execute(put(fact, "name").values(name=name, value=str(value)))

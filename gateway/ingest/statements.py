"""The ingest's statements as the driver's own text: compiled once, executed for whole groups of rows."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Dialect, bindparam, delete, insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.sql.elements import ClauseElement

from gateway.fleet.tables import announcement, device_status, kept_frame
from gateway.ingest.tables import dead_letter, seen
from gateway.readings.tables import pack, roll_up_due, series
from gateway.store.tables import fact, outbox

ROWS_A_STATEMENT = (1000, 100)
"""Of `many_packs`, the most first."""


def driver_text(statement: ClauseElement, dialect: Dialect) -> str:
    """Returns the statement's text with the driver's placeholders, in the order of the table's columns."""
    return str(statement.compile(dialect=dialect))


@dataclass(frozen=True, slots=True)
class Statements:
    """Parameters of each are tuples in the order of the table's columns."""

    pack: str
    many_packs: tuple[tuple[int, str], ...]  # rows, and the statement for as many
    series: str
    dead_letter: str
    kept_frame: str
    seen: str
    device_status: str
    announcement: str
    withdraw: str
    fact: str
    outbox: str
    roll_up_due: str
    journal: Mapping[str, str]


def compile_for(dialect: Dialect, journal: Mapping[str, ClauseElement]) -> Statements:
    """Compiles the ingest's own statements and those that the ways in journal by name."""

    def upsert(table: object, key: list[str]) -> str:
        statement = sqlite_insert(table)  # type: ignore[arg-type]
        columns = {c.name: c for c in statement.excluded if c.name not in key}
        return driver_text(statement.on_conflict_do_update(index_elements=key, set_=columns), dialect)

    def without_id(table: object) -> str:
        names = [c.name for c in table.columns if c.name not in ("id", "seq")]  # type: ignore[attr-defined]
        return driver_text(insert(table).values({name: bindparam(name) for name in names}), dialect)  # type: ignore[arg-type]

    one = driver_text(insert(pack), dialect)
    row = one[one.rindex("(") :]
    return Statements(
        pack=one,
        many_packs=tuple((rows, one + f", {row}" * (rows - 1)) for rows in ROWS_A_STATEMENT),
        series=driver_text(insert(series), dialect),
        dead_letter=without_id(dead_letter),
        kept_frame=without_id(kept_frame),
        seen=upsert(seen, ["device_id", "boot"]),
        device_status=upsert(device_status, ["device_id"]),
        announcement=upsert(announcement, ["topic"]),
        withdraw=driver_text(delete(announcement).where(announcement.c.topic == bindparam("topic")), dialect),
        fact=upsert(fact, ["name"]),
        outbox=without_id(outbox),
        roll_up_due=driver_text(sqlite_insert(roll_up_due).on_conflict_do_nothing(), dialect),
        journal={name: driver_text(statement, dialect) for name, statement in journal.items()},
    )

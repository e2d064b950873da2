"""The ingest's statements as the driver's own text: compiled once, executed for whole groups of rows."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Dialect, Table, bindparam, insert
from sqlalchemy.sql.elements import ClauseElement

from foundation.upsert import put, put_once
from gateway.fleet.tables import device_status, kept_frame
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
    fact: str
    outbox: str
    roll_up_due: str
    journal: Mapping[str, str]


def compile_for(dialect: Dialect, journal: Mapping[str, ClauseElement]) -> Statements:
    """Compiles the ingest's own statements and those that rooms have journalled by name."""

    def without_id(table: Table) -> str:
        names = [c.name for c in table.columns if c.name not in ("id", "seq")]
        return driver_text(insert(table).values({name: bindparam(name) for name in names}), dialect)

    one = driver_text(insert(pack), dialect)
    row = one[one.rindex("(") :]
    return Statements(
        pack=one,
        many_packs=tuple((rows, one + f", {row}" * (rows - 1)) for rows in ROWS_A_STATEMENT),
        series=driver_text(insert(series), dialect),
        dead_letter=without_id(dead_letter),
        kept_frame=without_id(kept_frame),
        seen=driver_text(put(seen, "device_id", "boot"), dialect),
        device_status=driver_text(put(device_status, "device_id"), dialect),
        fact=driver_text(put(fact, "name"), dialect),
        outbox=without_id(outbox),
        roll_up_due=driver_text(put_once(roll_up_due), dialect),
        journal={name: driver_text(statement, dialect) for name, statement in journal.items()},
    )

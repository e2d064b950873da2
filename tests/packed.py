"""Readings as tests think of them, one by one, in the packs that the tables keep."""

from collections.abc import Iterable

from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite import insert

from gateway.committed import Pack, Reading
from gateway.readings.tables import PACK_VALUES, PACKED, pack


def pack_of(reading: Reading) -> Pack:
    """Returns a pack of this reading alone."""
    series_id, at_us, frame_no, value, clock = reading
    group_no, place = divmod(series_id, PACKED)
    values: list[float | None] = [None] * PACKED
    values[place] = value
    first, second, third, fourth = values
    return group_no, at_us, frame_no, clock, first, second, third, fourth


def insert_readings(connection: Connection, readings: Iterable[Reading]) -> None:
    """Inserts readings; those of one group, moment and frame share a pack, and are equally sure."""
    for reading in readings:
        value = PACK_VALUES[reading[0] % PACKED]
        statement = insert(pack).values(pack_of(reading))
        connection.execute(statement.on_conflict_do_update(set_={value: reading[3]}))

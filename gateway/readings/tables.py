"""Readings in packs, their roll-ups and what is due to be rolled up. Times are integers, µs since 1970 UTC."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from foundation.columns import ROW_ID, Salvage

metadata = MetaData()

UNFIT_SERIES: Final = "id NOT BETWEEN 0 AND 1 << 40"
"""New ones are numbered from the highest on."""

series = Table(
    "series",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("measurement", Text, nullable=False),
    UniqueConstraint("device_id", "measurement"),
    info={"salvage": Salvage("series", unfit=UNFIT_SERIES)},
)


PACKED = 4
"""Series of a group: measurements of one device that come in the same messages. A group's number is its series' number
divided by this."""


pack = Table(
    "pack",  # what one message said of the series of a group; null: nothing
    metadata,
    Column("group_no", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, primary_key=True, autoincrement=False),
    Column("frame_no", BigInteger, primary_key=True, autoincrement=False),
    Column("clock", SmallInteger, nullable=False),
    *(Column(f"value_{place}", Float) for place in range(PACKED)),  # series_id % PACKED
    sqlite_with_rowid=False,
)


PACK_VALUES = tuple(pack.c[f"value_{place}"] for place in range(PACKED))


reading = Table(
    "reading",  # a view: every value of a pack as (series, time, value), to be read by series or by range
    MetaData(),
    Column("series_id", BigInteger),
    Column("at_us", BigInteger),
    Column("frame_no", BigInteger),
    Column("value", Float),
    Column("clock", SmallInteger),
)


def _roll_up(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("series_id", BigInteger, primary_key=True, autoincrement=False),
        Column("start_us", BigInteger, primary_key=True, autoincrement=False),
        Column("count", BigInteger, nullable=False),
        Column("min", Float, nullable=False),
        Column("max", Float, nullable=False),
        Column("sum", Float, nullable=False),
        Column("last", Float, nullable=False),
        sqlite_with_rowid=False,
    )


reading_1m = _roll_up("reading_1m")


reading_1h = _roll_up("reading_1h")


roll_up_due = Table(
    "roll_up_due",  # hours of series whose raw rows changed since they were rolled up; roll-ups hold before the first
    metadata,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("hour_us", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

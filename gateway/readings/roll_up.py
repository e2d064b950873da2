"""Rolls readings up to minutes and hours, and forgets those that have been kept long enough. Times: µs since 1970 UTC.

An hour of a series is rolled up once it is over, and again when a late reading falls into it: the table
`roll_up_due` names the hours whose roll-ups are missing or old. Each step is one short write, so that the
devices' acknowledgements never wait long for it.

Before the *raw edge* a roll-up is all that is left of an hour, so it is never made anew. The edge lies between two
hours and moves in a transaction in which nothing before it is due. Every reading up to the frame that was the last one
then is in the roll-ups and may be deleted at leisure; one that comes later is added to them and deleted at once.
"""

import time
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, delete, select, text, update

from foundation.clock import HOUR_US, MINUTE_US, SECOND_US
from foundation.room import Transactions
from gateway.readings.tables import PACK_VALUES, PACKED, pack, reading_1m, roll_up_due, series
from gateway.store.facts import read_fact, write_fact

GRACE_US = 30 * SECOND_US
"""An hour is rolled up this long after its end, so that most of its late readings are in."""

STEP_S = 0.02
HOURS_AT_ONCE = 500
PRUNE_ROWS = 5_000

_AGGREGATED = """
    INSERT INTO {table} (series_id, start_us, count, min, max, sum, last)
    SELECT series_id, start_us, count(*), min(value), max(value), sum(value),
           (SELECT value FROM reading AS newest WHERE newest.series_id = :series_id
              AND newest.frame_no > :after_frame_no AND newest.at_us < bucket.start_us + {width}
            ORDER BY newest.at_us DESC, newest.frame_no DESC LIMIT 1)
      FROM (SELECT series_id, at_us / {width} * {width} AS start_us, value FROM reading
             WHERE series_id = :series_id AND at_us >= :hour_us AND at_us < :hour_us + {hour}
               AND frame_no > :after_frame_no) AS bucket
     WHERE true GROUP BY series_id, start_us
    ON CONFLICT (series_id, start_us) DO UPDATE SET
"""
_MAKE = (
    _AGGREGATED
    + "count = excluded.count, min = excluded.min, max = excluded.max, sum = excluded.sum, last = excluded.last"
)
_ADD = (
    _AGGREGATED
    + """
           count = {table}.count + excluded.count, sum = {table}.sum + excluded.sum,
           min = CASE WHEN excluded.min < {table}.min THEN excluded.min ELSE {table}.min END,
           max = CASE WHEN excluded.max > {table}.max THEN excluded.max ELSE {table}.max END
"""
)
"""`last` stays: what the newest reading before was is not known any more."""

_TABLES = (("reading_1m", MINUTE_US), ("reading_1h", HOUR_US))
_MAKE_ALL = [text(_MAKE.format(table=table, width=width, hour=HOUR_US)) for table, width in _TABLES]
_ADD_ALL = [text(_ADD.format(table=table, width=width, hour=HOUR_US)) for table, width in _TABLES]


@dataclass(frozen=True, slots=True)
class RawEdge:
    """Before `at_us` there are only roll-ups, and readings up to `frame_no` that are in them."""

    at_us: int
    frame_no: int


def raw_edge(connection: Connection) -> RawEdge:
    """Returns where single readings begin; (0, 0) as long as none were ever deleted."""
    return RawEdge(read_fact(connection, "raw_edge_us"), read_fact(connection, "raw_edge_frame_no"))


def roll_up_some(connection: Connection, now_us: int, for_s: float) -> bool:
    """Rolls up hours that are over, for about `for_s` seconds; returns whether some are left."""
    return _roll_up_before(connection, now_us - HOUR_US - GRACE_US + 1, for_s)


def _roll_up_before(connection: Connection, before_us: int, for_s: float) -> bool:
    """Rolls up hours that begin before `before_us`; returns whether some are left."""
    until = time.monotonic() + for_s
    edge = raw_edge(connection)
    over = (
        select(roll_up_due.c.series_id, roll_up_due.c.hour_us)
        .where(roll_up_due.c.hour_us < before_us)
        .limit(HOURS_AT_ONCE)
    )
    due = connection.execute(over).all()
    for series_id, hour_us in due:
        if hour_us < edge.at_us:
            _add_late(connection, series_id, hour_us, edge)
        else:
            for statement in _MAKE_ALL:
                connection.execute(statement, {"series_id": series_id, "hour_us": hour_us, "after_frame_no": 0})
        connection.execute(
            delete(roll_up_due).where(roll_up_due.c.series_id == series_id, roll_up_due.c.hour_us == hour_us)
        )
        if time.monotonic() > until:
            return True
    return len(due) == HOURS_AT_ONCE


def _add_late(connection: Connection, series_id: int, hour_us: int, edge: RawEdge) -> None:
    """Adds readings that came after the edge had passed their hour to its roll-ups, and deletes them."""
    for statement in _ADD_ALL:
        connection.execute(statement, {"series_id": series_id, "hour_us": hour_us, "after_frame_no": edge.frame_no})
    late = (
        pack.c.group_no == series_id // PACKED,
        pack.c.at_us >= hour_us,
        pack.c.at_us < hour_us + HOUR_US,
        pack.c.frame_no > edge.frame_no,
    )
    connection.execute(update(pack).where(*late).values({PACK_VALUES[series_id % PACKED]: None}))
    connection.execute(delete(pack).where(*late, *(value.is_(None) for value in PACK_VALUES)))


async def roll_up_once(store: Transactions, now_us: int) -> None:
    """Rolls up everything that is due."""
    while await store.write(lambda connection: roll_up_some(connection, now_us, STEP_S)):
        pass


async def forget_readings(store: Transactions, before_us: int) -> None:
    """Deletes single readings of whole hours from before, once they are rolled up. See `Lifetime`."""
    edge_us = before_us // HOUR_US * HOUR_US
    while await store.write(lambda connection: _must_wait_for_roll_ups(connection, edge_us)):
        pass
    edge, series_ids = await store.read(lambda connection: (raw_edge(connection), _series_ids(connection)))
    for group_no in sorted({series_id // PACKED for series_id in series_ids}):
        while await store.write(partial(_prune_packs, group_no=group_no, edge=edge)):
            pass


async def forget_minutes(store: Transactions, before_us: int) -> None:
    """Deletes one-minute roll-ups from before; hourly ones stay. See `Lifetime`."""
    for series_id in await store.read(_series_ids):
        await store.write(partial(_prune_minutes, series_id=series_id, before_us=before_us))


def _series_ids(connection: Connection) -> list[int]:
    return list(connection.execute(select(series.c.id)).scalars())


def _must_wait_for_roll_ups(connection: Connection, edge_us: int) -> bool:
    """Moves the raw edge forward to `edge_us` if nothing before it is due, else rolls some of that up; returns whether
    to try again."""
    if edge_us <= raw_edge(connection).at_us:
        return False
    if _roll_up_before(connection, edge_us, STEP_S):
        return True
    write_fact(connection, "raw_edge_us", edge_us)
    write_fact(connection, "raw_edge_frame_no", read_fact(connection, "last_frame_no"))
    return False


def _prune_minutes(connection: Connection, series_id: int, before_us: int) -> None:
    connection.execute(delete(reading_1m).where(reading_1m.c.series_id == series_id, reading_1m.c.start_us < before_us))


def _prune_packs(connection: Connection, group_no: int, edge: RawEdge) -> bool:
    """Deletes some of a group's packs before the edge; returns whether some are left."""
    old = (pack.c.group_no == group_no, pack.c.at_us < edge.at_us, pack.c.frame_no <= edge.frame_no)
    end_us = connection.execute(
        select(pack.c.at_us).where(*old).order_by(pack.c.at_us).offset(PRUNE_ROWS).limit(1)
    ).scalar()
    some = old if end_us is None else (*old, pack.c.at_us <= end_us)
    connection.execute(delete(pack).where(*some))
    return end_us is not None

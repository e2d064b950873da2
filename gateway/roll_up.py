"""Rolls readings up to minutes and hours, and forgets what has been kept long enough. Times are µs since 1970 UTC.

An hour of a series is rolled up once it is over, and again when a late reading falls into it: the table
`roll_up_due` names the hours whose roll-ups are missing or old. Each step is one short write, so that the
devices' acknowledgements never wait long for it.
"""

import time

from sqlalchemy import Connection, delete, select, text

from devices.clock import DAY_US, HOUR_US, SECOND_US
from devices.tables import reading, reading_1m, roll_up_due, seen, series, tap
from gateway.store.store import Store
from gateway.tables import audit, idempotency, outbox

GRACE_US = 30 * SECOND_US
"""An hour is rolled up this long after its end, so that most of its late readings are in."""

STEP_S = 0.02
SEEN_DAYS = 60
OUTBOX_DAYS = 30
PRUNE_ROWS = 5_000

_ROLL_UP = """
    INSERT OR REPLACE INTO {table} (series_id, start_us, count, min, max, sum, last)
    SELECT series_id, at_us / {width} * {width}, count(*), min(value), max(value), sum(value),
           (SELECT value FROM reading AS newest WHERE newest.series_id = :series_id
              AND newest.at_us < reading.at_us / {width} * {width} + {width}
            ORDER BY newest.at_us DESC, newest.frame_no DESC LIMIT 1)
      FROM reading
     WHERE series_id = :series_id AND at_us >= :hour_us AND at_us < :hour_us + {hour}
     GROUP BY at_us / {width}
"""
_STATEMENTS = [
    text(_ROLL_UP.format(table="reading_1m", width=60 * SECOND_US, hour=HOUR_US)),
    text(_ROLL_UP.format(table="reading_1h", width=HOUR_US, hour=HOUR_US)),
]


def roll_up_some(connection: Connection, now_us: int, for_s: float) -> bool:
    """Rolls up hours that are over, for about `for_s` seconds; returns whether some are left."""
    until = time.monotonic() + for_s
    over = (
        select(roll_up_due.c.series_id, roll_up_due.c.hour_us)
        .where(roll_up_due.c.hour_us + HOUR_US + GRACE_US <= now_us)
        .limit(500)
    )
    due = connection.execute(over).all()
    for series_id, hour_us in due:
        for statement in _STATEMENTS:
            connection.execute(statement, {"series_id": series_id, "hour_us": hour_us})
        connection.execute(
            delete(roll_up_due).where(roll_up_due.c.series_id == series_id, roll_up_due.c.hour_us == hour_us)
        )
        if time.monotonic() > until:
            return True
    return len(due) == 500


async def roll_up_once(store: Store, now_us: int) -> None:
    """Rolls up everything that is due."""
    while await store.write(lambda connection: roll_up_some(connection, now_us, STEP_S)):
        pass


async def prune_once(
    store: Store, now_us: int, raw_days: int, roll_up_1m_days: int, tap_days: int, audit_days: int
) -> None:
    """Deletes what is older than its days. A clock in doubt must not call this."""
    series_ids = await store.read(lambda connection: list(connection.execute(select(series.c.id)).scalars()))
    raw_before_us = now_us - raw_days * DAY_US
    minutes_before_us = now_us - roll_up_1m_days * DAY_US
    for series_id in series_ids:
        while await store.write(lambda c, i=series_id: _prune_series(c, i, raw_before_us)):  # type: ignore[misc]
            pass
        await store.write(
            lambda c, i=series_id: c.execute(  # type: ignore[misc]
                delete(reading_1m).where(
                    reading_1m.c.series_id == i, reading_1m.c.start_us < minutes_before_us
                )
            )
        )

    def prune_small(connection: Connection) -> None:
        connection.execute(delete(tap).where(tap.c.at_us < now_us - tap_days * DAY_US))
        connection.execute(delete(audit).where(audit.c.at_us < now_us - audit_days * DAY_US))
        connection.execute(delete(seen).where(seen.c.updated_us < now_us - SEEN_DAYS * DAY_US))
        connection.execute(delete(outbox).where(outbox.c.created_us < now_us - OUTBOX_DAYS * DAY_US))
        connection.execute(delete(idempotency).where(idempotency.c.created_us < now_us - DAY_US))

    await store.write(prune_small)


def _prune_series(connection: Connection, series_id: int, before_us: int) -> bool:
    """Deletes some of a series' old rows; returns whether some are left."""
    edge = connection.execute(
        select(reading.c.at_us)
        .where(reading.c.series_id == series_id, reading.c.at_us < before_us)
        .order_by(reading.c.at_us)
        .offset(PRUNE_ROWS)
        .limit(1)
    ).scalar()
    end_us = before_us if edge is None else edge
    connection.execute(delete(reading).where(reading.c.series_id == series_id, reading.c.at_us < end_us))
    return edge is not None

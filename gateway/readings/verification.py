"""Whether readings, roll-ups and series agree with each other. Each check reads one snapshot."""

import math
import random
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, case, exists, func, select

from devices.tables import device
from foundation.clock import HOUR_US, MINUTE_US, Clock
from gateway.readings.tables import PACK_VALUES, PACKED, pack, reading, reading_1h, reading_1m, roll_up_due, series
from gateway.store.facts import read_fact

SAMPLE = 200


def check_series(connection: Connection) -> tuple[int, list[str]]:
    """Every reading and roll-up belongs to a series, and every series to a device."""
    known = set(connection.execute(select(series.c.id)).scalars())
    groups = {series_id // PACKED for series_id in known}
    problems = [
        f"pack holds rows of the group {group_no}, which no series is in"
        for group_no in _distinct(connection, pack.c.group_no)
        if group_no not in groups
    ]
    for table in (reading_1m, reading_1h):
        problems += [
            f"{table.name} holds rows of series {series_id}, which does not exist"
            for series_id in _distinct(connection, table.c.series_id)
            if series_id not in known
        ]
    orphans = select(series.c.id, series.c.device_id).where(series.c.device_id.not_in(select(device.c.id)))
    problems += [
        f"series {row.id} is of device {row.device_id}, which does not exist" for row in connection.execute(orphans)
    ]
    return len(known), problems


def _distinct(connection: Connection, column: Column[int]) -> Iterator[int]:
    """The distinct values of the first column of a table's key: a step for each, not a look at every row."""
    following = select(func.min(column))
    last: int | None = connection.execute(following).scalar()
    while last is not None:
        yield last
        last = connection.execute(following.where(column > last)).scalar()


def check_packs(connection: Connection) -> tuple[int, list[str]]:
    """No pack bears a frame number that was never given out, or a clock that does not exist."""
    given = read_fact(connection, "last_frame_no")
    wrong_clock = case((pack.c.clock.not_in([clock.value for clock in Clock]), 1))
    readings, newest, wrong = connection.execute(
        select(
            sum((func.count(value) for value in PACK_VALUES[1:]), start=func.count(PACK_VALUES[0])),
            func.coalesce(func.max(pack.c.frame_no), 0),
            func.count(wrong_clock),
        )
    ).one()
    problems = []
    if newest > given:
        problems.append(f"a reading bears frame number {newest}, but only {given} were given out")
    if wrong:
        problems.append(f"{wrong} packs of readings say of their clock what no clock is")
    return readings, problems


def check_roll_ups(connection: Connection, raw_from_us: int) -> tuple[int, list[str]]:
    """A sample of the roll-ups agrees with their readings, except in hours that wait to be rolled up (again)."""
    series_ids = list(connection.execute(select(series.c.id)).scalars())
    examined, problems = 0, []
    for table, width_us in ((reading_1m, MINUTE_US), (reading_1h, HOUR_US)):
        for series_id in random.choices(series_ids, k=SAMPLE) if series_ids else ():
            bucket = _any_bucket(connection, table, series_id, raw_from_us)
            if bucket is None:
                continue
            examined += 1
            if not _agrees(bucket, _rolled_up(connection, series_id, bucket.start_us, width_us)):
                problems.append(f"{table.name} of series {series_id} at {bucket.start_us} is not what its readings say")
    return examined, sorted(set(problems))


def _any_bucket(connection: Connection, table: Table, series_id: int, from_us: int) -> Row[Any] | None:
    """A random bucket of the series, none that is due; None if there is none."""
    hour_us = table.c.start_us // HOUR_US * HOUR_US
    is_due = exists().where(roll_up_due.c.series_id == series_id, roll_up_due.c.hour_us == hour_us)
    of_series = select(table, table.c.count.label("rows")).where(
        table.c.series_id == series_id, table.c.start_us >= from_us
    )
    bounds = select(func.min(table.c.start_us), func.max(table.c.start_us)).where(
        table.c.series_id == series_id, table.c.start_us >= from_us
    )
    first_us, last_us = connection.execute(bounds).one()
    if first_us is None:
        return None
    beginning = random.randint(first_us, last_us)
    found = of_series.where(table.c.start_us >= beginning, ~is_due).order_by(table.c.start_us).limit(1)
    return connection.execute(found).first()


def _rolled_up(connection: Connection, series_id: int, start_us: int, width_us: int) -> list[float]:
    """The values of the bucket's readings, in their order."""
    query = select(reading.c.value).where(
        reading.c.series_id == series_id, reading.c.at_us >= start_us, reading.c.at_us < start_us + width_us
    )
    return list(connection.execute(query.order_by(reading.c.at_us, reading.c.frame_no)).scalars())


def _agrees(bucket: Row[Any], values: list[float]) -> bool:
    if not values or bucket.rows != len(values):
        return False
    is_total_right = math.isclose(bucket.sum, math.fsum(values), rel_tol=1e-9, abs_tol=1e-9 * sum(map(abs, values)))
    return is_total_right and (bucket.min, bucket.max, bucket.last) == (min(values), max(values), values[-1])

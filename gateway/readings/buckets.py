"""Aggregates of readings by buckets of time: from roll-ups as far as they reach, then from readings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, func, null, select, tuple_, union_all

from foundation import rfc3339
from foundation.clock import CLOCK_LABELS, HOUR_US, MINUTE_US, ClockLabel
from gateway.readings.listing import ReadingFilter, Windows, in_windows, with_series
from gateway.readings.roll_up import raw_edge
from gateway.readings.tables import reading, reading_1h, reading_1m, roll_up_due, series
from gateway.store.page import Page, page_of

Aggregate = Literal["mean", "min", "max", "sum", "count", "last"]

Position = tuple[int, int]
"""Where a bucket stands in order of time: (start_us, series_id)."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """An aggregate of `count` readings from `at` on. `clock`: their least sure one; null from a roll-up."""

    device: str
    measurement: str
    at: rfc3339.Moment
    value: float
    clock: ClockLabel | None
    count: int


@dataclass(frozen=True, slots=True)
class Bucketing:
    """Buckets of `every_us` that start at its multiples since 1970 UTC."""

    every_us: int
    aggregate: Aggregate


@dataclass(frozen=True, slots=True)
class _Source:
    """What buckets are made from. `clock`: the number of the least sure clock, where it is known."""

    table: FromClause
    at: ColumnElement[int]
    count: ColumnElement[int]
    clock: ColumnElement[Any]
    last: ColumnElement[float]
    values: Mapping[Aggregate, ColumnElement[Any]]


_SINGLE: Final = _Source(
    table=reading,
    at=reading.c.at_us,
    count=func.count(),
    clock=func.max(reading.c.clock),
    last=reading.c.value,
    values={
        "mean": func.avg(reading.c.value),
        "min": func.min(reading.c.value),
        "max": func.max(reading.c.value),
        "sum": func.sum(reading.c.value),
        "count": func.count(),
    },
)


def _roll_up(table: FromClause) -> _Source:
    count = func.sum(table.c["count"])
    return _Source(
        table=table,
        at=table.c.start_us,
        count=count,
        clock=null(),
        last=table.c.last,
        values={
            "mean": func.sum(table.c.sum) / count,
            "min": func.min(table.c.min),
            "max": func.max(table.c.max),
            "sum": func.sum(table.c.sum),
            "count": count,
        },
    )


_ROLL_UPS: Final = ((HOUR_US, _roll_up(reading_1h)), (MINUTE_US, _roll_up(reading_1m)))


def page(
    connection: Connection, wanted: ReadingFilter, into: Bucketing, after: Position | None, limit: int
) -> Page[Bucket, Position]:
    """Returns aggregates in order of (start, series), those after `after`.

    Buckets are always whole: one that `from_us` or `to_us` falls into is given with all its readings.
    """
    every_us = into.every_us
    lo_us = wanted.from_us // every_us * every_us
    hi_us = -(-wanted.to_us // every_us) * every_us
    if after is not None:
        lo_us = max(lo_us, after[0] // every_us * every_us)
    number = select(func.count()).select_from(series).where(*wanted.conditions())
    width_us = every_us * max(1, limit // max(1, connection.execute(number).scalar_one()))
    rows: list[Row[Any]] = []
    for source, from_us, to_us in _segments(connection, wanted, every_us, lo_us, hi_us):

        def fetch(start_us: int, end_us: int, most: int, source: _Source = source) -> list[Row[Any]]:
            query = _aggregated(source, wanted, into, start_us, end_us)
            if after is not None:
                query = query.having(tuple_(_start(source, every_us), source.table.c.series_id) > after)
            return list(connection.execute(_with_value(source, into.aggregate, query.limit(most))))

        needed = limit + 1 - len(rows)
        if to_us - from_us == every_us:
            rows += fetch(from_us, to_us, needed)
        else:
            windows = Windows(source.table, source.at, width_us, 64 * width_us, every_us)
            rows += in_windows(connection, windows, wanted, (from_us, to_us), fetch, needed)
        if len(rows) > limit:
            break
    return page_of(rows, limit, _from_row, lambda row: (row.start_us, row.series_id))


def _segments(
    connection: Connection, wanted: ReadingFilter, every_us: int, lo_us: int, hi_us: int
) -> Iterator[tuple[_Source, int, int]]:
    """Yields what to read each stretch of time from: in order of time, without gaps.

    The roll-ups hold whatever comes before the first hour that is due; an hour before the raw edge that is due again
    waits to be added to roll-ups that are all that is left. A bucket that begins before the raw edge and has an hour
    that is due is made of both.
    """
    source = next((roll_up for unit_us, roll_up in _ROLL_UPS if every_us % unit_us == 0), None)
    if source is not None:
        due = select(func.min(roll_up_due.c.hour_us)).join(series, roll_up_due.c.series_id == series.c.id)
        edge_us = raw_edge(connection).at_us
        has_readings = roll_up_due.c.hour_us >= edge_us
        first_us = connection.execute(due.where(has_readings, *wanted.conditions())).scalar()
        end_us = hi_us if first_us is None else min(hi_us, first_us // every_us * every_us)
        if lo_us < end_us:
            yield source, lo_us, end_us
            lo_us = end_us
        if first_us is not None and lo_us == end_us < min(edge_us, hi_us):
            yield _both(source.table, wanted, lo_us, first_us, lo_us + every_us), lo_us, lo_us + every_us
            lo_us += every_us
    if lo_us < hi_us:
        yield _SINGLE, lo_us, hi_us


def _both(table: FromClause, wanted: ReadingFilter, lo_us: int, first_us: int, hi_us: int) -> _Source:
    """Returns a source of what the roll-ups in `table` hold before `first_us`, and of the readings from there on."""
    ids = select(series.c.id).where(*wanted.conditions())
    held = [table.c[name] for name in ("series_id", "start_us", "count", "min", "max", "sum", "last")]
    twin = reading.alias()
    last = select(twin.c.value).where(twin.c.series_id == reading.c.series_id, twin.c.at_us == reading.c.at_us)
    value = reading.c.value
    return _roll_up(
        union_all(
            select(*held).where(table.c.series_id.in_(ids), table.c.start_us >= lo_us, table.c.start_us < first_us),
            select(
                reading.c.series_id,
                reading.c.at_us,
                func.count(),
                func.min(value),
                func.max(value),
                func.sum(value),
                last.order_by(twin.c.frame_no.desc()).limit(1).correlate(reading).scalar_subquery(),
            )
            .where(reading.c.series_id.in_(ids), reading.c.at_us >= first_us, reading.c.at_us < hi_us)
            .group_by(reading.c.series_id, reading.c.at_us),
        ).subquery()
    )


def _start(source: _Source, every_us: int) -> ColumnElement[int]:
    return source.at - source.at % every_us


def _aggregated(source: _Source, wanted: ReadingFilter, into: Bucketing, lo_us: int, hi_us: int) -> Select[Any]:
    start = _start(source, into.every_us)
    series_id = source.table.c.series_id
    value = source.values.get(into.aggregate, func.max(source.at))
    return (
        select(
            series.c.device_id,
            series.c.measurement,
            series_id,
            start.label("start_us"),
            value.label("value"),
            source.count.label("number"),
            source.clock.label("clock"),
        )
        .select_from(with_series(source.table))
        .where(source.at >= lo_us, source.at < hi_us, *wanted.conditions())
        .group_by(series_id, start)
        .order_by(start, series_id)
    )


def _with_value(source: _Source, aggregate: Aggregate, query: Select[Any]) -> Select[Any]:
    """For `last` the query's value is the time of the newest row: returns a query for that row's value."""
    if aggregate != "last":
        return query
    groups = query.subquery()
    table = source.table
    joined = groups.join(table, (table.c.series_id == groups.c.series_id) & (source.at == groups.c.value))
    columns = [column for column in groups.c if column.name != "value"]
    result = select(*columns, source.last.label("value")).select_from(joined)
    if table is reading:
        twin = reading.alias()
        last_frame = select(func.max(twin.c.frame_no)).where(
            twin.c.series_id == table.c.series_id, twin.c.at_us == table.c.at_us
        )
        result = result.where(table.c.frame_no == last_frame.correlate(table).scalar_subquery())
    return result.order_by(groups.c.start_us, groups.c.series_id)


def _from_row(row: Row[Any]) -> Bucket:
    return Bucket(
        device=row.device_id,
        measurement=row.measurement,
        at=rfc3339.text(row.start_us),
        value=float(row.value),
        clock=None if row.clock is None else CLOCK_LABELS[row.clock],
        count=int(row.number),
    )

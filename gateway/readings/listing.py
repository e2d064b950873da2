"""Readings as they are shown: single ones in order of time, and the newest of every series.

Readings lie in packs in the order of (group of series, time), so one series is one range. Several series at once are
read in windows of time that grow while they hold little: so about as many rows are touched as are returned.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, func, select, tuple_

from foundation import rfc3339
from foundation.clock import CLOCK_LABELS, HOUR_US, SECOND_US, ClockLabel
from gateway.readings.tables import reading, reading_1h, roll_up_due, series
from gateway.store.page import Page, page_of

LONG_GAP: Final = 100
"""In widths of the window before it."""

Position = tuple[int, int, int]
"""Where a reading stands in order of time: (at_us, series_id, frame_no)."""

Fetch = Callable[[int, int, int], list[Row[Any]]]
"""Reads the rows of lo_us ≤ at < hi_us, at most `limit`, in order: fetch(lo_us, hi_us, limit)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value that a device measured."""

    device: str
    measurement: str
    at: rfc3339.Moment
    value: float
    clock: ClockLabel


@dataclass(frozen=True, slots=True)
class ReadingFilter:
    """Which readings: from_us ≤ at < to_us, of one device, of one measurement; None: of all."""

    from_us: int
    to_us: int
    device_id: str | None = None
    measurement: str | None = None

    @property
    def is_one_series(self) -> bool:
        return self.device_id is not None and self.measurement is not None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Returns what the table `series` must satisfy."""
        wanted = ((series.c.device_id, self.device_id), (series.c.measurement, self.measurement))
        return [column == value for column, value in wanted if value is not None]


@dataclass(frozen=True, slots=True)
class Windows:
    """How a span of one table's time is cut: from `first_us` wide four-fold up to `widest_us`, starting at
    multiples of `step_us`."""

    table: FromClause
    at: ColumnElement[int]
    first_us: int
    widest_us: int
    step_us: int = 1


def page(connection: Connection, wanted: ReadingFilter, after: Position | None, limit: int) -> Page[Reading, Position]:
    """Returns single readings in order of (at, series), those after `after`."""
    lo_us = wanted.from_us if after is None else max(wanted.from_us, after[0])

    def fetch(from_us: int, to_us: int, most: int) -> list[Row[Any]]:
        return list(connection.execute(_between(wanted, from_us, to_us, after, most)))

    if wanted.is_one_series:
        rows = fetch(lo_us, wanted.to_us, limit + 1)
    else:
        windows = Windows(reading, reading.c.at_us, SECOND_US, HOUR_US)
        rows = in_windows(connection, windows, wanted, (lo_us, wanted.to_us), fetch, limit + 1)
    return page_of(rows, limit, _from_row, lambda row: (row.at_us, row.series_id, row.frame_no))


def _between(wanted: ReadingFilter, lo_us: int, hi_us: int, after: Position | None, limit: int) -> Select[Any]:
    query = (
        select(series.c.device_id, series.c.measurement, reading)
        .select_from(with_series(reading))
        .where(reading.c.at_us >= lo_us, reading.c.at_us < hi_us, *wanted.conditions())
        .order_by(reading.c.at_us, reading.c.series_id, reading.c.frame_no)
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(reading.c.at_us, reading.c.series_id, reading.c.frame_no) > after)
    return query


def with_series(table: FromClause) -> FromClause:
    """Returns a table of readings joined to their series. The `+ 0` keeps the planner from walking through
    all readings and looking up the series of each: it is to look up a range of readings for each series."""
    return series.join(table, table.c.series_id == series.c.id + 0)


def latest(connection: Connection, device_id: str | None, after_series: int | None, limit: int) -> Page[Reading, int]:
    """Returns the newest reading of every series that has one, in order of the series' numbers."""
    query = select(series).order_by(series.c.id)
    if device_id is not None:
        query = query.where(series.c.device_id == device_id)
    if after_series is not None:
        query = query.where(series.c.id > after_series)
    found = connection.execute(query.limit(limit + 1)).all()
    some = query.limit(limit).subquery()
    inner = reading.alias()
    last_frame = select(func.max(inner.c.frame_no)).where(
        inner.c.series_id == some.c.id, inner.c.at_us == reading.c.at_us
    )
    rows = connection.execute(
        select(some.c.device_id, some.c.measurement, reading)
        .select_from(some.join(reading, reading.c.series_id == some.c.id))
        .where(
            reading.c.at_us == _newest_us(some.c.id),
            reading.c.frame_no == last_frame.correlate(some, reading).scalar_subquery(),
        )
        .order_by(some.c.id)
    )
    return Page([_from_row(row) for row in rows], found[limit - 1].id if len(found) > limit else None)


def _newest_us(series_id: ColumnElement[int]) -> ColumnElement[int]:
    """Returns the time of a series' newest single reading: it is in an hour that is due, or in the last one that was
    rolled up. So nobody walks over all packs of a group for a series that has stopped."""
    due_us = select(func.min(roll_up_due.c.hour_us)).where(roll_up_due.c.series_id == series_id).scalar_subquery()
    rolled_us = select(func.max(reading_1h.c.start_us)).where(reading_1h.c.series_id == series_id).scalar_subquery()

    def newest(*within: ColumnElement[bool]) -> ColumnElement[int]:
        query = select(inner.c.at_us).where(inner.c.series_id == series_id, *within)
        return query.order_by(inner.c.at_us.desc()).limit(1).scalar_subquery()

    inner = reading.alias()
    return func.coalesce(
        newest(inner.c.at_us >= due_us), newest(inner.c.at_us >= rolled_us, inner.c.at_us < rolled_us + HOUR_US)
    )


def in_windows(
    connection: Connection,
    windows: Windows,
    wanted: ReadingFilter,
    span_us: tuple[int, int],
    fetch: Fetch,
    needed: int,
) -> list[Row[Any]]:
    """Returns the first `needed` rows of the span, fetched window by window. A gap is skipped at once;
    behind a long one windows start narrow again, for it does not tell how dense what follows is."""
    rows: list[Row[Any]] = []
    lo_us, hi_us = span_us
    width_us, is_gap = windows.first_us, True
    while lo_us < hi_us and len(rows) < needed:
        if is_gap:
            first_us = _first_at(connection, windows, wanted, lo_us)
            if first_us is None:
                break
            if first_us - lo_us > LONG_GAP * width_us:
                width_us = windows.first_us
            lo_us = max(lo_us, first_us // windows.step_us * windows.step_us)
            if lo_us >= hi_us:
                break
        found = fetch(lo_us, min(lo_us + width_us, hi_us), needed - len(rows))
        rows += found
        lo_us += width_us
        width_us = min(4 * width_us, windows.widest_us)
        is_gap = not found
    return rows


def _first_at(connection: Connection, windows: Windows, wanted: ReadingFilter, lo_us: int) -> int | None:
    """Returns the time of the first row from `lo_us` on: one look-up a series."""
    first = (
        select(windows.at)
        .where(windows.table.c.series_id == series.c.id, windows.at >= lo_us)
        .order_by(windows.at)
        .limit(1)
        .correlate(series)
        .scalar_subquery()
    )
    return connection.execute(select(func.min(first)).select_from(series).where(*wanted.conditions())).scalar()


def _from_row(row: Row[Any]) -> Reading:
    device, measurement, _, at_us, _, value, clock = row  # by place: a long list takes half the time so
    return Reading(device, measurement, rfc3339.text(at_us), value, CLOCK_LABELS[clock])

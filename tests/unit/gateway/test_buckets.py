"""Aggregates of readings, against a plain model of the same rows, with and without roll-ups."""

import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, insert, select

from foundation import rfc3339
from gateway.readings import buckets
from gateway.readings.buckets import Aggregate, Bucketing, Position
from gateway.readings.listing import ReadingFilter
from gateway.readings.roll_up import roll_up_some
from gateway.readings.tables import pack, reading_1h, reading_1m, roll_up_due, series
from gateway.store.tables import fact
from tests.packed import insert_readings
from tests.school_database import START_US, opened

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

Row = tuple[int, int, int, float, int]
"""series_id, at_us, frame_no, value, clock."""

Shown = tuple[str, str, float, int]
"""Measurement, start, value, count."""


def make_rows() -> list[Row]:
    """Three series over two days, with a gap of a night and two readings at the same time."""
    chance = random.Random(5)
    made: list[Row] = []
    for series_id in (1, 2, 3):
        at_us = START_US + series_id
        while at_us < START_US + 2 * DAY_US:
            made.append((series_id, at_us, len(made) + 1, round(chance.uniform(-5, 5), 3), chance.randint(0, 2)))
            at_us += chance.choice(
                [0, 30 * SECOND_US, 7 * MINUTE_US, 20 * MINUTE_US] + [6 * HOUR_US] * (len(made) % 97 == 0)
            )
    return made


ROWS = make_rows()


@pytest.fixture(scope="module", params=["single readings", "roll-ups"])
def database(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """The same readings, as they are or rolled up as far as hours are over."""
    with opened(tmp_path_factory.mktemp("buckets")) as connection:
        for series_id in (1, 2, 3):
            values = {
                "id": series_id,
                "device_id": f"device-{series_id % 2}",
                "measurement": f"measurement_{series_id}",
            }
            connection.execute(insert(series).values(values))
        insert_readings(connection, ROWS)
        due = {(row[0], row[1] // HOUR_US * HOUR_US) for row in ROWS}
        connection.execute(insert(roll_up_due), [{"series_id": one, "hour_us": hour_us} for one, hour_us in due])
        if request.param == "roll-ups":
            while roll_up_some(connection, START_US + DAY_US + DAY_US // 2, 1.0):
                pass
        yield connection


@pytest.fixture
def connection(database: Connection) -> Iterator[Connection]:
    """The database, as it was again after the test."""
    with database.begin_nested() as changes:
        yield database
        changes.rollback()


def model(wanted: ReadingFilter, into: Bucketing, rows: list[Row] = ROWS) -> list[Shown]:
    every_us = into.every_us
    from_us, to_us = wanted.from_us // every_us * every_us, -(-wanted.to_us // every_us) * every_us
    groups: defaultdict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        is_wanted = wanted.device_id in (None, f"device-{row[0] % 2}")
        if is_wanted and wanted.measurement in (None, f"measurement_{row[0]}") and from_us <= row[1] < to_us:
            groups[row[1] // every_us * every_us, row[0]].append(row)
    shown: list[Shown] = []
    for (start_us, series_id), group in sorted(groups.items()):
        values = [row[3] for row in group]
        value = {
            "mean": sum(values) / len(values),
            "min": min(values),
            "max": max(values),
            "sum": sum(values),
            "count": float(len(values)),
            "last": max(group, key=lambda row: (row[1], row[2]))[3],
        }[into.aggregate]
        shown.append((f"measurement_{series_id}", rfc3339.text(start_us), value, len(values)))
    return shown


def all_pages(connection: Connection, wanted: ReadingFilter, into: Bucketing, limit: int) -> list[Shown]:
    found: list[Shown] = []
    position: Position | None = None
    while True:
        page = buckets.page(connection, wanted, into, position, limit)
        found += [(item.measurement, item.at, item.value, item.count) for item in page.items]
        if page.next is None:
            return found
        assert len(page.items) == limit
        position = page.next


@pytest.mark.parametrize("every_us", [10 * SECOND_US, MINUTE_US, 7 * MINUTE_US, HOUR_US, 90 * MINUTE_US, DAY_US])
@pytest.mark.parametrize("aggregate", ["mean", "min", "max", "sum", "count", "last"])
def test_aggregates_are_what_the_readings_make(connection: Connection, every_us: int, aggregate: Aggregate) -> None:
    into = Bucketing(every_us, aggregate)
    for wanted in (
        ReadingFilter(0, 2**62),
        ReadingFilter(START_US + 3 * HOUR_US + 5, START_US + 40 * HOUR_US + 5, "device-1", "measurement_3"),
    ):
        found, right = all_pages(connection, wanted, into, 1000), model(wanted, into)
        assert [one[:2] + one[3:] for one in found] == [one[:2] + one[3:] for one in right]
        assert [one[2] for one in found] == pytest.approx([one[2] for one in right])


@pytest.mark.parametrize("aggregate", ["mean", "last"])
@pytest.mark.parametrize("limit", [1, 7, 50])
def test_pages_give_every_bucket_once_and_in_order(connection: Connection, aggregate: Aggregate, limit: int) -> None:
    wanted, into = ReadingFilter(START_US, START_US + 8 * HOUR_US, "device-1"), Bucketing(15 * MINUTE_US, aggregate)
    found, right = all_pages(connection, wanted, into, limit), model(wanted, into)
    assert [one[:2] for one in found] == [one[:2] for one in right]
    assert [one[2] for one in found] == pytest.approx([one[2] for one in right])


def test_roll_ups_outlive_the_readings_that_they_were_made_of(connection: Connection) -> None:
    is_rolled_up = connection.execute(select(reading_1h).limit(1)).first() is not None
    wanted, into = ReadingFilter(START_US, START_US + DAY_US), Bucketing(HOUR_US, "sum")
    before = all_pages(connection, wanted, into, 1000)
    connection.execute(delete(pack).where(pack.c.at_us < START_US + DAY_US))
    after = all_pages(connection, wanted, into, 1000)
    assert after == (before if is_rolled_up else [])


@pytest.mark.parametrize("database", ["roll-ups"], indirect=True)
def test_a_late_reading_in_an_hour_that_has_only_roll_ups_left_hides_none_of_them(connection: Connection) -> None:
    wanted, into = ReadingFilter(START_US, START_US + DAY_US), Bucketing(HOUR_US, "sum")
    before = all_pages(connection, wanted, into, 1000)
    connection.execute(delete(pack).where(pack.c.at_us < START_US + DAY_US))
    edge = [{"name": "raw_edge_us", "value": str(START_US + DAY_US)}, {"name": "raw_edge_frame_no", "value": "9999"}]
    connection.execute(insert(fact), edge)
    insert_readings(connection, [(1, START_US + 5, 10**6, 1.0, 0)])
    connection.execute(insert(roll_up_due).values(series_id=1, hour_us=START_US))
    assert all_pages(connection, wanted, into, 1000) == before
    while roll_up_some(connection, START_US + DAY_US, 1.0):
        pass
    after = all_pages(connection, wanted, into, 1000)
    assert after[0] == (before[0][0], before[0][1], before[0][2] + 1, before[0][3] + 1)
    assert after[1:] == before[1:]


@pytest.mark.parametrize("database", ["roll-ups"], indirect=True)
@pytest.mark.parametrize("aggregate", ["mean", "min", "max", "sum", "count", "last"])
@pytest.mark.parametrize("every_us", [7 * MINUTE_US, 5 * HOUR_US, DAY_US, 7 * DAY_US])
def test_a_bucket_over_the_raw_edge_keeps_its_roll_ups_while_a_late_reading_waits_for_its_own(
    connection: Connection, every_us: int, aggregate: Aggregate
) -> None:
    """What lies before the edge has roll-ups alone; the hour after it is due again, and a twin came late."""
    edge_us = START_US + 9 * HOUR_US
    wanted, into = ReadingFilter(START_US, START_US + DAY_US), Bucketing(every_us, aggregate)
    connection.execute(delete(pack).where(pack.c.at_us < edge_us))
    connection.execute(
        insert(fact), [{"name": "raw_edge_us", "value": str(edge_us)}, {"name": "raw_edge_frame_no", "value": "9999"}]
    )
    latest = max(row for row in ROWS if row[0] == 1 and edge_us <= row[1] < edge_us + HOUR_US)
    late = (1, latest[1], 10**6, 77.0, 0)
    insert_readings(connection, [late])
    connection.execute(insert(roll_up_due).values(series_id=1, hour_us=edge_us))
    right = model(wanted, into, [*ROWS, late])
    for limit in (1 if every_us > HOUR_US else 10, 1000):  # of seven minutes there are six hundred
        found = all_pages(connection, wanted, into, limit)
        assert [one[:2] + one[3:] for one in found] == [one[:2] + one[3:] for one in right]
        assert [one[2] for one in found] == pytest.approx([one[2] for one in right])


def test_a_late_reading_counts_before_its_hour_is_rolled_up_again(connection: Connection) -> None:
    wanted, into = ReadingFilter(START_US, START_US + HOUR_US, "device-1", "measurement_1"), Bucketing(HOUR_US, "count")
    (before,) = buckets.page(connection, wanted, into, None, 10).items
    insert_readings(connection, [(1, START_US + 5, 10**6, 1.0, 0)])
    connection.execute(delete(roll_up_due).where(roll_up_due.c.series_id == 1, roll_up_due.c.hour_us == START_US))
    connection.execute(insert(roll_up_due).values(series_id=1, hour_us=START_US))
    (after,) = buckets.page(connection, wanted, into, None, 10).items
    assert after.count == before.count + 1


def test_a_bucket_says_how_sure_its_least_sure_reading_is_where_single_readings_are_there(tmp_path: Path) -> None:
    with opened(tmp_path) as connection:
        connection.execute(insert(series).values(id=1, device_id="lab-1", measurement="temperature_c"))
        for number, clock in enumerate((0, 2, 1)):
            insert_readings(connection, [(1, START_US + number, number + 1, 1.0, clock)])
        connection.execute(insert(roll_up_due).values(series_id=1, hour_us=START_US))
        wanted, into = ReadingFilter(0, 2**62), Bucketing(MINUTE_US, "mean")
        assert [item.clock for item in buckets.page(connection, wanted, into, None, 10).items] == ["unknown"]
        roll_up_some(connection, START_US + DAY_US, 1.0)
        assert connection.execute(select(reading_1m)).all()
        assert [item.clock for item in buckets.page(connection, wanted, into, None, 10).items] == [None]

"""Queries of readings, against a plain model of the same rows."""

import random
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, insert, text

from foundation import rfc3339
from foundation.clock import CLOCK_LABELS, HOUR_US
from gateway.readings import listing
from gateway.readings.listing import Position, Reading, ReadingFilter
from gateway.readings.tables import roll_up_due, series
from tests.packed import insert_readings
from tests.school_database import START_US, opened

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US

Row = tuple[int, int, int, float, int]
"""series_id, at_us, frame_no, value, clock."""


def name_of(series_id: int) -> tuple[str, str]:
    return f"device-{series_id % 4}", f"measurement_{series_id}"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Bursts of readings, gaps of hours and days between them, equal times, a sparse start, a dense end."""
    chance = random.Random(3)
    made: set[Row] = set()
    at_us = START_US
    for frame_no in range(1, 1500):
        at_us += chance.choice([0, 0, 1, 1000, SECOND_US, 10 * SECOND_US] + [3 * DAY_US] * (frame_no < 60))
        clock = chance.randint(0, 2)
        for series_id in chance.sample(range(1, 9), chance.randint(1, 4)):
            made.add((series_id, at_us, frame_no, round(chance.uniform(-20, 40), 3), clock))
    return sorted(made)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> Iterator[Connection]:
    with opened(tmp_path_factory.mktemp("readings")) as connection:
        for series_id in range(1, 10):  # the ninth has no readings
            device, measurement = name_of(series_id)
            connection.execute(insert(series).values(id=series_id, device_id=device, measurement=measurement))
        insert_readings(connection, rows)
        due = {(row[0], row[1] // HOUR_US * HOUR_US) for row in rows}
        connection.execute(insert(roll_up_due), [{"series_id": one, "hour_us": hour_us} for one, hour_us in due])
        yield connection


def expected(rows: list[Row], wanted: ReadingFilter) -> list[Reading]:
    ordered = sorted(rows, key=lambda row: (row[1], row[0], row[2]))
    return [
        Reading(*name_of(series_id), rfc3339.text(at_us), value, CLOCK_LABELS[clock])
        for series_id, at_us, _, value, clock in ordered
        if wanted.from_us <= at_us < wanted.to_us
        and wanted.device_id in (None, name_of(series_id)[0])
        and wanted.measurement in (None, name_of(series_id)[1])
    ]


def all_pages(connection: Connection, wanted: ReadingFilter, limit: int) -> list[Reading]:
    found: list[Reading] = []
    position: Position | None = None
    while True:
        page = listing.page(connection, wanted, position, limit)
        assert len(page.items) <= limit
        found += page.items
        if page.next is None:
            return found
        assert len(page.items) == limit
        position = page.next


MIDDLE_US = START_US + 100 * DAY_US
FILTERS = {
    "all": ReadingFilter(0, 2**62),
    "one device": ReadingFilter(0, 2**62, "device-1"),
    "one measurement": ReadingFilter(0, 2**62, None, "measurement_3"),
    "one series": ReadingFilter(0, 2**62, "device-2", "measurement_2"),
    "a span": ReadingFilter(START_US + DAY_US, MIDDLE_US),
    "a span of one series": ReadingFilter(START_US + DAY_US, MIDDLE_US, "device-2", "measurement_2"),
    "nothing known": ReadingFilter(0, 2**62, "nobody"),
    "a span backwards": ReadingFilter(MIDDLE_US, START_US),
    "after everything": ReadingFilter(2**61, 2**62),
}


@pytest.mark.parametrize("limit", [40, 250, 10_000])
@pytest.mark.parametrize("name", FILTERS)
def test_pages_give_every_reading_once_and_in_order(
    connection: Connection, rows: list[Row], name: str, limit: int
) -> None:
    assert all_pages(connection, FILTERS[name], limit) == expected(rows, FILTERS[name])


@pytest.mark.parametrize("device_id", [None, "device-2"])
def test_pages_of_one_reading_give_every_reading_once_and_in_order(
    connection: Connection, rows: list[Row], device_id: str | None
) -> None:
    wanted = ReadingFilter(rows[0][1], sorted(row[1] for row in rows)[200], device_id)
    assert all_pages(connection, wanted, 1) == expected(rows, wanted)


def test_the_latest_is_the_newest_of_every_series_that_has_one(connection: Connection, rows: list[Row]) -> None:
    newest = {row[0]: row for row in sorted(rows, key=lambda row: (row[1], row[2]))}
    first = listing.latest(connection, None, None, 5)
    second = listing.latest(connection, None, first.next, 5)
    assert second.next is None
    found = [(item.measurement, item.at, item.value) for item in (*first.items, *second.items)]
    wanted = [(name_of(number)[1], rfc3339.text(newest[number][1]), newest[number][3]) for number in sorted(newest)]
    assert found == wanted


def test_the_latest_of_one_device(connection: Connection) -> None:
    found = listing.latest(connection, "device-0", None, 100)
    assert {item.device for item in found.items} == {"device-0"}
    assert len(found.items) == 2


def test_a_page_of_many_series_does_not_walk_through_all_readings(connection: Connection) -> None:
    query = listing._between(ReadingFilter(0, 2**62), START_US, START_US + 1, None, 100)
    statement = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
    plan = [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"))]
    assert any("SEARCH pack USING PRIMARY KEY (group_no=? AND at_us>? AND at_us<?)" in step for step in plan), plan

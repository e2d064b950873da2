"""Roll-ups and retention on a real SQLite file: what is rolled up says what was measured, whatever comes late."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from foundation.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from gateway import schedule
from gateway.configuration.sections import Configuration, Privacy, Store
from gateway.main import rooms
from gateway.readings import listing
from gateway.readings.roll_up import PRUNE_ROWS, roll_up_once, roll_up_some
from gateway.retention import prune_once
from tests.eventually import eventually
from tests.writing_store import WritingStore, frame, now_us, telemetry, writing_store

RAW_DAYS, MINUTE_DAYS = 30, 60
KEPT = Configuration(
    store=Store(raw_days=RAW_DAYS, roll_up_1m_days=MINUTE_DAYS, audit_days=30), privacy=Privacy(tap_days=30)
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[WritingStore]:
    async with writing_store(tmp_path) as opened:
        await opened.add_device("d1")
        yield opened


def reading_at(at_us: int, value: float) -> str:
    return json.dumps({"at": at_us // 1000, "values": {"temperature_c": value}})


async def measure(store: WritingStore, *readings: tuple[int, float]) -> None:
    await store.take(*(telemetry("d1", reading_at(at_us, value)) for at_us, value in readings))


async def prune(store: WritingStore, at_us: int) -> None:
    await prune_once(store.store, rooms(KEPT), at_us)


async def hours(store: WritingStore) -> list[tuple[object, ...]]:
    """Returns count, min, max, sum and last of every hour, in order."""
    return await store.rows("SELECT count, min, max, sum, last FROM reading_1h ORDER BY start_us")


def hour_ago(days: float) -> int:
    """Returns the start of an hour that lies this many days back."""
    return (now_us() - round(days * DAY_US)) // HOUR_US * HOUR_US


async def test_an_hour_that_is_over_becomes_one_row_an_hour_and_one_a_minute(store: WritingStore) -> None:
    start_us = hour_ago(1)
    await measure(store, (start_us, 1.0), (start_us + SECOND_US, 5.0), (start_us + 30 * MINUTE_US, 3.0))
    await roll_up_once(store.store, now_us())
    assert await hours(store) == [(3, 1.0, 5.0, 9.0, 3.0)]
    assert await store.rows("SELECT start_us, count, min, max, sum, last FROM reading_1m ORDER BY start_us") == [
        (start_us, 2, 1.0, 5.0, 6.0, 5.0),
        (start_us + 30 * MINUTE_US, 1, 3.0, 3.0, 3.0, 3.0),
    ]
    assert await store.rows("SELECT count(*) FROM roll_up_due") == [(0,)]


async def test_the_running_hour_is_not_rolled_up(store: WritingStore) -> None:
    at_us = now_us()
    await measure(store, (at_us, 1.0))
    await roll_up_once(store.store, at_us)
    assert await hours(store) == []
    assert await store.rows("SELECT count(*) FROM roll_up_due") == [(1,)]


async def test_a_late_reading_makes_its_hour_anew(store: WritingStore) -> None:
    start_us = hour_ago(1)
    await measure(store, (start_us, 1.0))
    await roll_up_once(store.store, now_us())
    await measure(store, (start_us + MINUTE_US, 4.0))
    await roll_up_once(store.store, now_us())
    assert await hours(store) == [(2, 1.0, 4.0, 5.0, 4.0)]


async def test_the_latest_reading_is_found_in_hours_that_are_rolled_up_and_in_those_that_are_due(
    store: WritingStore,
) -> None:
    async def latest() -> list[float]:
        page = await store.store.read(lambda connection: listing.latest(connection, "d1", None, 10))
        return [item.value for item in page.items]

    start_us = hour_ago(3)
    await measure(store, (start_us, 1.0), (start_us + HOUR_US, 2.0))
    assert await latest() == [2.0]
    await roll_up_once(store.store, now_us())
    assert await latest() == [2.0]
    await measure(store, (start_us - DAY_US, 3.0))  # late: its hour is due, and older than what is rolled up
    assert await latest() == [2.0]
    await measure(store, (now_us(), 4.0))
    assert await latest() == [4.0]


async def test_pruning_leaves_the_roll_ups_and_deletes_whole_hours(store: WritingStore) -> None:
    old_us, edge_us = hour_ago(40), (now_us() - RAW_DAYS * DAY_US) // HOUR_US * HOUR_US
    await measure(store, (old_us, 1.0), (edge_us - 1000, 2.0), (edge_us, 3.0))
    await prune(store, now_us())
    assert await store.rows("SELECT value FROM reading") == [(3.0,)]
    assert [row[0] for row in await hours(store)][:2] == [1, 1]
    await prune(store, now_us())
    assert await store.rows("SELECT value FROM reading") == [(3.0,)]


async def test_nothing_is_pruned_before_it_is_rolled_up(store: WritingStore) -> None:
    start_us = hour_ago(40)
    await measure(store, (start_us, 1.0), (start_us + MINUTE_US, 2.0))
    assert await hours(store) == []
    await prune(store, now_us())
    assert await hours(store) == [(2, 1.0, 2.0, 3.0, 2.0)]
    assert await store.rows("SELECT count(*) FROM reading") == [(0,)]


async def test_a_reading_that_comes_after_its_hour_was_pruned_is_added_to_the_roll_ups(store: WritingStore) -> None:
    start_us = hour_ago(40)
    await measure(store, (start_us, 1.0), (start_us + SECOND_US, 5.0))
    await prune(store, now_us())
    for value in (0.5, 9.0):
        await measure(store, (start_us + 2 * SECOND_US, value))
        await roll_up_once(store.store, now_us())
    assert await hours(store) == [(4, 0.5, 9.0, 15.5, 5.0)]
    assert await store.rows("SELECT count, sum FROM reading_1m") == [(4, 15.5)]
    assert await store.rows("SELECT count(*) FROM reading") == [(0,)]


async def test_late_readings_of_one_message_are_added_each_to_its_own_roll_up(store: WritingStore) -> None:
    start_us = hour_ago(40)
    both = {"at": start_us // 1000, "values": {"temperature_c": 1.0, "humidity_pct": 40.0}}
    await store.take(telemetry("d1", json.dumps(both)))
    await prune(store, now_us())
    late = {"at": start_us // 1000 + 5, "values": {"humidity_pct": 60.0, "temperature_c": 3.0}}
    await store.take(telemetry("d1", json.dumps(late)))
    for left in (1, 0):  # one series at a time, as when the gateway ends between the two
        await store.store.write(lambda connection: roll_up_some(connection, now_us(), 0.0))
        assert await store.rows("SELECT count(*) FROM reading") == [(left,)]
    assert sorted(await hours(store)) == [(2, 1.0, 3.0, 4.0, 1.0), (2, 40.0, 60.0, 100.0, 40.0)]
    assert await store.rows("SELECT count(*) FROM pack") == [(0,)]


async def test_a_late_reading_of_an_hour_without_any_makes_the_hour(store: WritingStore) -> None:
    await measure(store, (hour_ago(35), 1.0))
    await prune(store, now_us())
    await measure(store, (hour_ago(45), 7.0))
    await roll_up_once(store.store, now_us())
    assert await hours(store) == [(1, 7.0, 7.0, 7.0, 7.0), (1, 1.0, 1.0, 1.0, 1.0)]


async def test_nothing_is_counted_twice_when_pruning_breaks_off_and_late_readings_come(store: WritingStore) -> None:
    """The raw edge has moved, the gateway ends before a single row is deleted, and a reading comes late."""
    from gateway.readings.roll_up import _must_wait_for_roll_ups

    start_us = hour_ago(40)
    await measure(store, (start_us, 1.0), (start_us + SECOND_US, 2.0))
    edge_us = (now_us() - RAW_DAYS * DAY_US) // HOUR_US * HOUR_US
    while await store.store.write(lambda connection: _must_wait_for_roll_ups(connection, edge_us)):
        pass
    assert await store.rows("SELECT count(*) FROM reading") == [(2,)]
    await measure(store, (start_us + 2 * SECOND_US, 4.0))
    await roll_up_once(store.store, now_us())
    assert await hours(store) == [(3, 1.0, 4.0, 7.0, 2.0)]
    await prune(store, now_us())
    await prune(store, now_us() + DAY_US)
    assert await hours(store) == [(3, 1.0, 4.0, 7.0, 2.0)]
    assert await store.rows("SELECT count(*) FROM reading") == [(0,)]


async def test_the_edge_moves_on_and_what_is_late_is_counted_once(store: WritingStore) -> None:
    """Day by day: some readings in time, some late, some in hours that are pruned already."""
    today_us = now_us()
    written: list[float] = []
    for day in range(45, 25, -5):
        start_us = hour_ago(day)
        await measure(store, (start_us, float(day)), (hour_ago(41), 100.0 + day))
        written += [float(day), 100.0 + day]
        await prune(store, today_us - (day - 30) * DAY_US)
        await roll_up_once(store.store, today_us)
    await prune(store, today_us)
    [(count, total)] = await store.rows("SELECT sum(count), sum(sum) FROM reading_1h")
    assert (count, total) == (len(written), sum(written))
    [(count, total)] = await store.rows("SELECT sum(count), sum(sum) FROM reading_1m")
    assert (count, total) == (len(written), sum(written))


async def test_many_rows_of_one_moment_are_pruned_too(store: WritingStore) -> None:
    start_us = hour_ago(40)
    many = [(start_us, 1.0)] * (PRUNE_ROWS + 10)
    await measure(store, *many)
    await prune(store, now_us())
    assert await store.rows("SELECT count(*) FROM reading") == [(0,)]
    assert await hours(store) == [(PRUNE_ROWS + 10, 1.0, 1.0, PRUNE_ROWS + 10.0, 1.0)]


async def test_nothing_is_pruned_while_the_clock_is_in_doubt(
    store: WritingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "PRUNE_EVERY_S", 0.1)
    monkeypatch.setattr(schedule, "PRUNE_JITTER_S", None)
    await measure(store, (hour_ago(40), 1.0))
    answers: list[bool] = []
    is_right = [False]

    def is_clock_right() -> bool:
        answers.append(is_right[0])
        return is_right[0]

    async def count() -> int:
        [(number,)] = await store.rows("SELECT count(*) FROM reading")
        return int(str(number))

    with schedule.scheduled(store.store, rooms(KEPT), now_us, is_clock_right):
        await eventually(lambda: len(answers) > 3)
        assert await count() == 1
        is_right[0] = True
        async with asyncio.timeout(120):
            while await count():
                await asyncio.sleep(0.05)


async def test_jobs_run_on_after_the_clock_was_set_back(store: WritingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their next time lay in the future that the clock came back from."""
    monkeypatch.setattr(schedule, "PRUNE_EVERY_S", 3_652 * 86_400)
    asked: list[bool] = []
    with schedule.scheduled(store.store, rooms(KEPT), now_us, lambda: bool(asked.append(True))) as clock_was_set:
        monkeypatch.setattr(schedule, "PRUNE_EVERY_S", 0.1)
        monkeypatch.setattr(schedule, "PRUNE_JITTER_S", None)
        clock_was_set()
        await eventually(lambda: asked)


async def test_minutes_taps_and_what_is_remembered_of_them_have_their_days(store: WritingStore) -> None:
    await measure(store, (hour_ago(70), 1.0), (hour_ago(40), 2.0))
    old_us = now_us() - 40 * DAY_US
    tap = {"credential": "04:a2:24:b2", "kind": "uid"}
    await store.take(frame("sg/d1/tap", json.dumps(tap | {"at": old_us // 1000})), frame("sg/d1/tap", json.dumps(tap)))
    await prune(store, now_us())
    assert await store.rows("SELECT sum FROM reading_1m") == [(2.0,)]
    assert [row[3] for row in await hours(store)] == [1.0, 2.0]
    assert await store.rows("SELECT count(*) FROM tap") == [(1,)]

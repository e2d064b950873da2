"""The ring of recent events and the subscriptions that read it."""

import asyncio
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from devices import registry
from foundation.clock import Clock
from foundation.errors import Unavailable
from gateway.committed import Committed, DeviceChange, Reading, Series, TapRow
from gateway.live.hub import MAX_READERS, Hub, Subscription
from gateway.live.ring import FULL_CHUNK, EventRing, Kind
from gateway.people import people
from gateway.readings.tables import PACKED
from gateway.readings.tables import series as series_table
from gateway.store.sqlite import open_engine
from gateway.store.store import Store
from gateway.store.writer import Writer
from tests.declared import TABLES
from tests.packed import pack_of
from tests.school_database import START_US

RUN = 1_795_420_800_000_000
NO_STORE = cast(Store, None)
"""For tests in which nothing has to be looked up."""


def series(number: int) -> Series:
    return Series(number, f"device-{number % 3}", f"measurement_{number}")


def reading(number: int) -> Reading:
    return (number % 7, START_US + number * 1000, number, number / 4, number % 3)


def committed(rows: list[Reading]) -> Committed:
    return Committed(START_US, 1, packs=[pack_of(row) for row in rows])


def id_of(index: int) -> str:
    """The id of `reading(index)` if it is as many packs from the beginning: a pack takes a number for each place."""
    return f"{RUN}.{index * PACKED + reading(index)[0] % PACKED + 1}"


def events(text: bytes) -> list[tuple[str, str, dict[str, object]]]:
    """Returns kind, id and data of every event in a stream that has any data (HTML §9.2.6)."""
    found = []
    for block in text.decode().split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in fields:
            found.append((fields["event"], fields["id"], json.loads(fields["data"])))
    return found


async def next_events(subscription: Subscription) -> list[tuple[str, str, dict[str, object]]]:
    async with asyncio.timeout(120):
        return events(await anext(subscription))


async def test_a_reading_is_shown_as_the_list_shows_it() -> None:
    hub = Hub(RUN, NO_STORE, series)
    subscription = hub.subscribe([Kind.READING])
    assert await anext(subscription) == f"retry: 2000\nid: {RUN}.0\n\n".encode()
    hub.publish(committed([(4, START_US + 1, 9, 21.5, 1)]))
    assert await next_events(subscription) == [
        (
            "reading",
            f"{RUN}.1",
            {
                "device": "device-1",
                "measurement": "measurement_4",
                "at": "2026-11-23T08:00:00.000001Z",
                "value": 21.5,
                "clock": "estimated",
            },
        )
    ]


async def test_retained_readings_are_shown_too() -> None:
    hub = Hub(RUN, NO_STORE, series)
    subscription = hub.subscribe([Kind.READING])
    await anext(subscription)
    hub.publish(Committed(START_US, 1, retained_packs=[pack_of(reading(1))]))
    assert len(await next_events(subscription)) == 1


async def test_a_subscription_gets_its_kinds_and_its_device_only() -> None:
    hub = Hub(RUN, NO_STORE, series)
    only_alerts = hub.subscribe([Kind.ALERT])
    only_device = hub.subscribe(list(Kind), device_id="device-2")
    await anext(only_alerts)
    await anext(only_device)
    hub.publish(committed([reading(number) for number in range(7)]))
    hub.publish_event(Kind.ALERT, {"a": 1}, "device-1")
    hub.publish_event(Kind.ALERT, {"a": 2}, "device-2")
    assert [data for _, _, data in await next_events(only_alerts)] == [{"a": 1}, {"a": 2}]
    found = await next_events(only_device)
    assert [data.get("device", data.get("a")) for _, _, data in found] == ["device-2", "device-2", 2]


async def test_ids_only_grow_and_a_later_run_starts_higher() -> None:
    ids: list[tuple[int, int]] = []
    for run in (RUN, RUN + 1):
        hub = Hub(run, NO_STORE, series)
        subscription = hub.subscribe(list(Kind))
        await anext(subscription)
        hub.publish(committed([reading(number) for number in range(300)]))
        hub.publish_event(Kind.STATUS, {})
        ids += [cast(tuple[int, int], tuple(map(int, id_.split(".")))) for _, id_, _ in await next_events(subscription)]
    assert len(ids) == 602
    assert all(earlier < later for earlier, later in pairwise(ids))


async def test_a_slow_reader_is_reset_and_the_others_miss_nothing() -> None:
    hub = Hub(RUN, NO_STORE, series, capacity=100 * PACKED)
    slow, quick = hub.subscribe([Kind.READING]), hub.subscribe([Kind.READING])
    await anext(slow)
    await anext(quick)
    got = 0
    for start in range(0, 1000, 50):
        hub.publish(committed([reading(number) for number in range(start, start + 50)]))
        got += len(await next_events(quick))
    assert got == 1000
    assert await next_events(slow) == [("reset", f"{RUN}.{1000 * PACKED}", {})]
    hub.publish(committed([reading(1000)]))
    assert [id_ for _, id_, _ in await next_events(slow)] == [id_of(1000)]


async def test_a_commit_larger_than_the_ring_is_a_reset_for_who_was_waiting() -> None:
    hub = Hub(RUN, NO_STORE, series, capacity=100 * PACKED)
    subscription = hub.subscribe([Kind.READING])
    await anext(subscription)
    hub.publish(committed([reading(number) for number in range(1000)]))
    assert await next_events(subscription) == [("reset", f"{RUN}.{1000 * PACKED}", {})]


@pytest.mark.parametrize(
    "last_event_id",
    ["", "0", "x.y", f"{RUN}.", f"{RUN}.{10 * PACKED + 1}", f"{RUN - 1}.5", f"{RUN}.{'9' * 30}", "\x00"],
)
async def test_an_id_that_is_not_in_the_ring_gives_a_reset(last_event_id: str) -> None:
    hub = Hub(RUN, NO_STORE, series)
    hub.publish(committed([reading(number) for number in range(10)]))
    subscription = hub.subscribe([Kind.READING], last_event_id=last_event_id)
    assert await next_events(subscription) == [("reset", f"{RUN}.{10 * PACKED}", {})]


async def test_an_id_that_has_left_the_ring_gives_a_reset_and_one_that_has_just_not_resumes() -> None:
    hub = Hub(RUN, NO_STORE, series, capacity=10 * PACKED)
    for number in range(30):
        hub.publish(committed([reading(number)]))
    gone, held = f"{RUN}.{20 * PACKED - 1}", f"{RUN}.{20 * PACKED}"
    assert (await next_events(hub.subscribe([Kind.READING], last_event_id=gone)))[0][0] == "reset"
    resumed = await next_events(hub.subscribe([Kind.READING], last_event_id=held))
    assert [id_ for _, id_, _ in resumed] == [id_of(number) for number in range(20, 30)]


async def test_a_reader_without_events_of_its_kinds_still_learns_how_far_it_has_come() -> None:
    hub = Hub(RUN, NO_STORE, series)
    subscription = hub.subscribe([Kind.TAP])
    await anext(subscription)
    hub.publish(committed([reading(1)]))
    subscription.remind()
    assert await anext(subscription) == f":\nid: {RUN}.{PACKED}\n\n".encode()


async def test_closing_ends_every_subscription_and_lets_nobody_in_again() -> None:
    hub = Hub(RUN, NO_STORE, series)
    waiting = [asyncio.create_task(_read_to_the_end(hub.subscribe(list(Kind)))) for _ in range(3)]
    await asyncio.sleep(0)
    hub.close()
    async with asyncio.timeout(120):
        await asyncio.gather(*waiting)
    with pytest.raises(Unavailable):
        hub.subscribe(list(Kind))


async def test_too_many_readers_are_refused_until_one_leaves() -> None:
    hub = Hub(RUN, NO_STORE, series)
    readers = [hub.subscribe([Kind.READING]) for _ in range(MAX_READERS)]
    with pytest.raises(Unavailable):
        hub.subscribe([Kind.READING])
    readers[0].close()
    readers[0].close()
    hub.subscribe([Kind.READING])


async def test_the_hub_knows_what_somebody_listens_for() -> None:
    hub = Hub(RUN, NO_STORE, series)
    assert not hub.wants(Kind.STATUS)
    subscription = hub.subscribe([Kind.STATUS])
    assert hub.wants(Kind.STATUS)
    assert not hub.wants(Kind.TAP)
    subscription.close()
    assert not hub.wants(Kind.STATUS)


async def test_a_large_commit_comes_in_chunks() -> None:
    hub = Hub(RUN, NO_STORE, series)
    subscription = hub.subscribe([Kind.READING])
    await anext(subscription)
    hub.publish(committed([reading(number) for number in range(5000)]))
    sizes, count = [], 0
    while count < 5000:
        chunk = await anext(subscription)
        sizes.append(len(chunk))
        count += len(events(chunk))
    assert count == 5000
    assert max(sizes) < 2 * FULL_CHUNK


@settings(max_examples=100, deadline=None)
@given(
    commits=st.lists(st.integers(0, 700), max_size=8),
    cuts=st.lists(st.integers(0, 3000 * PACKED), max_size=4),
    device_id=st.sampled_from([None, "device-0", "device-2"]),
)
def test_resuming_anywhere_loses_nothing_and_repeats_nothing(
    commits: list[int], cuts: list[int], device_id: str | None
) -> None:
    ring = EventRing(RUN, series)
    number = 0
    for size in commits:
        ring.add_packs([pack_of(reading(number + place)) for place in range(size)])
        number += size
    wanted = [
        id_of(place).partition(".")[2]
        for place in range(number)
        if device_id in (None, series(reading(place)[0]).device_id)
    ]
    found: list[str] = []
    place: int | None = 0
    for cut in (*sorted(cuts), 10**6):
        for _, id_, _ in events(_all_after(ring, place, [Kind.READING], device_id)):
            number_text = id_.partition(".")[2]
            if int(number_text) > cut:
                break
            found.append(number_text)
        place = ring.place_of(f"{RUN}.{found[-1] if found else 0}")
    assert found == wanted


async def test_taps_and_devices_are_looked_up_and_shown_as_the_lists_show_them(tmp_path: Path) -> None:
    with _store(tmp_path) as store:
        made = store.read_now(lambda connection: people.page(connection, None, None, 1)).items[0]
        hub = Hub(RUN, store, series)
        subscription = hub.subscribe([Kind.TAP, Kind.DEVICE])
        await anext(subscription)
        looking_up = asyncio.create_task(hub.run())
        row = TapRow(7, "door-1", START_US, START_US + 5, Clock.GOOD, "ab" * 8, "uid", "in", made.id)
        nobody = TapRow(8, "door-1", START_US, START_US + 6, Clock.UNKNOWN, "cd" * 8, "nfc", None, None)
        change = DeviceChange("door-1", "active", True, START_US)
        hub.publish(Committed(START_US, 1, taps=[row, nobody], device_changes=[change]))
        found = await next_events(subscription)
        looking_up.cancel()
        await asyncio.wait([looking_up])
    assert [kind for kind, _, _ in found] == ["tap", "tap", "device"]
    assert found[0][2]["person"] == {"id": made.id, "name": "Ada", "group": "7b"}
    assert (found[0][2]["id"], found[0][2]["clock"], found[0][2]["direction"]) == ("7", "good", "in")
    assert found[1][2]["person"] is None
    assert (found[2][2]["id"], found[2][2]["state"], found[2][2]["kept_frames"]) == ("door-1", "active", 0)


async def test_more_taps_than_can_wait_are_a_reset_and_not_memory() -> None:
    hub = Hub(RUN, NO_STORE, series)
    subscription = hub.subscribe([Kind.TAP])
    await anext(subscription)
    row = TapRow(7, "door-1", START_US, START_US, Clock.GOOD, "ab" * 8, "uid", None, None)
    hub.publish(Committed(START_US, 1, taps=[row] * 20_000))
    assert [kind for kind, _, _ in await next_events(subscription)] == ["reset"]


def _all_after(ring: EventRing, place: int | None, kinds: Collection[Kind], device_id: str | None) -> bytes:
    assert place is not None
    text = b""
    while place < ring.last:
        found = ring.read_after(place, kinds, device_id)
        assert found is not None
        text += found[0]
        place = found[1]
    return text


async def _read_to_the_end(subscription: Subscription) -> None:
    async for _ in subscription:
        pass


@contextmanager
def _store(directory: Path) -> Iterator[Store]:
    """A store with one person and one device; nothing is written through it."""
    path = directory / "school.db"
    engine = open_engine(path)
    with engine.begin() as connection:
        for metadata in TABLES:
            metadata.create_all(connection)
        people.create(connection, "Ada", "7b", START_US)
        registry.add(connection, "door-1", "reader", START_US)
        connection.execute(insert(series_table).values(id=1, device_id="door-1", measurement="battery_pct"))
    engine.dispose()
    store = Store(cast(Writer, None), open_engine(path, read_only=True), 0)
    yield store
    store.close()

"""From frames to rows: the writer and the ingest on a real SQLite file."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, insert, text

from devices.frame import Frame, Intake, Presence, Refusal
from foundation.clock import DAY_US
from foundation.errors import NotFound, Unavailable
from gateway.committed import Committed
from gateway.fleet import adoption
from gateway.fleet.tables import command
from gateway.ingest import dead_letters
from gateway.ingest.ingest import Ingest
from gateway.ingest.tables import dead_letter
from gateway.people import cards, people
from gateway.store import database
from gateway.store.facts import write_fact
from gateway.store.sqlite import READERS
from tests.declared import SALVAGED
from tests.eventually import eventually
from tests.writing_store import SCHOOL_KEY, WritingStore, frame, now_us, telemetry, writing_store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[WritingStore]:
    async with writing_store(tmp_path) as opened:
        await opened.add_device("d1")
        yield opened


def values(seq: int | None = None, boot: str = "b", **measured: float) -> str:
    body: dict[str, object] = {"values": measured or {"temperature_c": 21.5}}
    if seq is not None:
        body |= {"boot": boot, "seq": seq}
    return json.dumps(body)


async def test_a_message_becomes_one_pack_of_readings(store: WritingStore) -> None:
    await store.take(telemetry("d1", values(temperature_c=21.5, co2_ppm=700)))
    rows = await store.rows("SELECT measurement, value FROM reading JOIN series ON id = series_id ORDER BY 1")
    assert rows == [("co2_ppm", 700.0), ("temperature_c", 21.5)]
    assert len(store.committed[-1].packs) == 1
    assert store.committed[-1].frames == 1


async def test_values_go_to_their_own_series_whatever_a_message_has_and_in_which_order(store: WritingStore) -> None:
    """More than one group of series, one that grows later, and another device between them."""
    await store.add_device("d2")
    names = ["temperature_c", "humidity_pct", "co2_ppm", "pressure_hpa", "battery_pct", "noise_db"]
    told: list[tuple[str, str, float]] = []
    for number, (device_id, some) in enumerate(
        [
            ("d1", names[:2]),
            ("d2", names[:1]),
            ("d1", names[::-1]),
            ("d2", names),
            ("d1", names[3:]),
            ("d1", names[1:2]),
        ]
    ):
        measured = {name: number * 10.0 + names.index(name) for name in some}
        await store.take(telemetry(device_id, values(**measured)))
        told += [(device_id, name, value) for name, value in measured.items()]
    rows = await store.rows("SELECT device_id, measurement, value FROM reading JOIN series ON id = series_id")
    assert sorted(rows) == sorted(told)
    shared = await store.rows("SELECT id / 4 FROM series GROUP BY 1 HAVING count(DISTINCT device_id) > 1")
    assert shared == []


async def test_measurements_that_come_alone_share_no_pack(store: WritingStore) -> None:
    """Who looks for the last value of one that is rare does not walk over those that are frequent."""
    for measured in ({"temperature_c": 21.0, "humidity_pct": 40.0}, {"battery_pct": 90.0}, {"co2_ppm": 700.0}):
        await store.take(telemetry("d1", values(**measured)))
    rows = await store.rows("SELECT group_concat(measurement) FROM series GROUP BY id / 4")
    assert rows == [("temperature_c,humidity_pct",), ("battery_pct",), ("co2_ppm",)]


async def test_two_values_of_one_time_are_both_kept(store: WritingStore) -> None:
    stamped = json.dumps({"at": now_us() // 1000, "values": {"temperature_c": 1}})
    await store.take(telemetry("d1", stamped), telemetry("d1", stamped.replace(": 1}", ": 2}")))
    assert await store.rows("SELECT value FROM reading ORDER BY value") == [(1.0,), (2.0,)]


async def test_a_repeated_message_is_stored_once(store: WritingStore) -> None:
    await store.take(telemetry("d1", values(7)), telemetry("d1", values(7)))
    await store.take(telemetry("d1", values(7)))
    assert await store.rows("SELECT count(*) FROM reading") == [(1,)]
    assert sum(committed.duplicates for committed in store.committed) == 2


async def test_the_same_number_of_another_boot_is_another_message(store: WritingStore) -> None:
    await store.take(telemetry("d1", values(7, "a")), telemetry("d1", values(7, "b")))
    assert await store.rows("SELECT count(*) FROM reading") == [(2,)]


async def test_repetitions_are_known_after_a_restart(tmp_path: Path) -> None:
    async with writing_store(tmp_path) as store:
        await store.add_device("d1")
        await store.take(*(telemetry("d1", values(seq)) for seq in (1, 2, 5)))
    async with writing_store(tmp_path) as store:
        await store.take(*(telemetry("d1", values(seq)) for seq in (1, 2, 3, 5)))
        assert await store.rows("SELECT count(*) FROM reading") == [(4,)]


async def test_frame_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        async with writing_store(tmp_path) as store:
            if "d1" not in store.registry.devices:
                await store.add_device("d1")
            await store.take(telemetry("d1", values()))
    async with writing_store(tmp_path) as store:
        assert await store.rows("SELECT frame_no FROM reading ORDER BY 1") == [(1,), (2,)]


async def test_what_cannot_be_decoded_is_a_dead_letter_with_its_reason(store: WritingStore) -> None:
    intake = await store.take(telemetry("d1", "{not json"), telemetry("d1", values()))
    assert [reason for _frame, reason in intake.refused] == ["telemetry: not JSON"]
    assert await store.rows("SELECT topic, payload, reason FROM dead_letter") == [
        ("sg/d1/telemetry", b"{not json", "telemetry: not JSON")
    ]
    assert await store.rows("SELECT count(*) FROM reading") == [(1,)]


async def test_dead_letters_are_bounded_by_bytes_and_the_oldest_go(tmp_path: Path) -> None:
    async with writing_store(tmp_path, cap_bytes=10_000) as store:
        await store.add_device("d1")
        for number in range(30):
            await store.take(telemetry("d1", f"{number:02}" + "x" * 998))
        rows = await store.rows("SELECT substr(payload, 1, 2) FROM dead_letter ORDER BY id")
        assert rows == [(f"{number}".encode(),) for number in range(20, 30)]
        assert store.dead_letters.dropped_total == 20


async def test_a_device_that_nobody_added_is_seen_and_its_frames_are_kept(store: WritingStore) -> None:
    await store.take(telemetry("stranger", values(1)), telemetry("stranger", values(2)))
    assert await store.rows("SELECT id, state FROM device WHERE id = 'stranger'") == [("stranger", "seen")]
    assert await store.rows("SELECT count(*) FROM reading") == [(0,)]
    assert await store.rows("SELECT count(*) FROM kept_frame") == [(2,)]


async def test_adopting_a_device_replays_what_was_kept(store: WritingStore) -> None:
    received_us = now_us() - 5_000_000
    await store.take(telemetry("stranger", values(1), received_us))

    def adopt(connection: Connection) -> None:
        from devices import registry

        registry.adopt(connection, "stranger", now_us())

    await store.store.write(adopt)
    await store.store.read(store.registry.refresh)
    assert await adoption.replay_device(store.store, "stranger") == 1
    assert await store.rows("SELECT at_us FROM reading") == [(received_us,)]
    assert await store.rows("SELECT count(*) FROM kept_frame") == [(0,)]


async def test_a_dead_letter_that_decodes_now_is_stored_and_gone(store: WritingStore) -> None:
    await store.take(telemetry("d1", "{"))
    [(letter_id,)] = await store.rows("SELECT id FROM dead_letter")
    assert await dead_letters.replay(store.store, int(str(letter_id))) == "telemetry: not JSON"
    assert await store.rows("SELECT count(*) FROM dead_letter") == [(1,)]
    await store.store.write(
        lambda connection: connection.execute(
            text("UPDATE dead_letter SET payload = :good"), {"good": values().encode()}
        )
    )
    [(letter_id,)] = await store.rows("SELECT id FROM dead_letter")
    assert await dead_letters.replay(store.store, int(str(letter_id))) is None
    assert await store.rows("SELECT count(*) FROM dead_letter") == [(0,)]
    assert await store.rows("SELECT count(*) FROM reading") == [(1,)]
    with pytest.raises(NotFound):
        await dead_letters.replay(store.store, 999)


def tap(**fields: object) -> str:
    return json.dumps({"credential": "04:a2:24:b2", "kind": "uid"} | fields)


async def test_a_tap_keeps_a_digest_of_the_card_and_no_number(store: WritingStore) -> None:
    await store.take(frame("sg/d1/tap", tap(direction="in")))
    rows = await store.rows("SELECT credential_digest, direction FROM tap")
    assert rows == [(cards.digest(SCHOOL_KEY, "04A224B2"), "in")]
    await store.writer.close()
    for part in store.path.parent.iterdir():
        assert b"04a224b2" not in part.read_bytes().lower().replace(b":", b"")


async def test_a_tap_names_the_holder_of_the_card(store: WritingStore) -> None:
    def enrol(connection: Connection) -> str:
        person = people.create(connection, "Ada", "7b", now_us())
        digest = cards.digest(SCHOOL_KEY, "04A224B2")
        people.add_card(connection, person.id, digest, "uid", now_us())
        return person.id

    person_id = await store.store.write(enrol)
    await store.take(frame("sg/d1/tap", tap()))
    assert [row.person_id for row in store.committed[-1].taps] == [person_id]


@pytest.mark.parametrize("years", [-10, 10])
async def test_a_tap_is_never_refused_for_its_time(store: WritingStore, years: int) -> None:
    at_ms = (now_us() + years * 365 * DAY_US) // 1000
    before_us = now_us()
    await store.take(frame("sg/d1/tap", tap(at=at_ms)))
    [(at_us, device_at_us, clock)] = await store.rows("SELECT at_us, device_at_us, clock FROM tap")
    assert device_at_us == at_ms * 1000
    assert int(str(at_us)) >= before_us
    assert clock == 1


async def test_the_same_tap_twice_is_one_tap(store: WritingStore) -> None:
    at_ms = now_us() // 1000
    await store.take(frame("sg/d1/tap", tap(boot="b", seq=1)), frame("sg/d1/tap", tap(boot="b", seq=1)))
    await store.take(frame("sg/d1/tap", tap(at=at_ms)), frame("sg/d1/tap", tap(at=at_ms)))
    await store.take(frame("sg/d1/tap", tap()), frame("sg/d1/tap", tap()))
    assert await store.rows("SELECT count(*) FROM tap") == [(4,)]


async def test_a_tap_goes_to_the_outbox_without_card_number_or_name(store: WritingStore) -> None:
    await store.take(frame("sg/d1/tap", tap(direction="out")))
    [(lane, payload)] = await store.rows("SELECT lane, payload FROM outbox")
    assert lane == 0
    body = json.loads(bytes(payload))  # type: ignore[arg-type]
    assert set(body) == {"id", "device", "at_us", "received_us", "clock", "credential_ref", "direction"}


async def test_a_retained_tap_makes_no_mark(store: WritingStore) -> None:
    intake = await store.take(frame("sg/d1/tap", tap(), is_retained=True))
    assert len(intake.refused) == 1
    assert await store.rows("SELECT count(*) FROM tap") == [(0,)]


async def test_a_retained_reading_is_stored_as_of_unknown_age_and_is_no_sign_of_life(store: WritingStore) -> None:
    await store.take(telemetry("d1", values(), is_retained=True))
    assert await store.rows("SELECT clock FROM reading") == [(2,)]
    assert store.committed[-1].packs == []
    assert len(store.committed[-1].retained_packs) == 1
    assert await store.rows("SELECT last_seen_us FROM device_status WHERE last_seen_us IS NOT NULL") == []


async def test_a_retained_online_fills_in_what_is_unknown_and_is_no_sign_of_life(store: WritingStore) -> None:
    await store.take(frame("sg/d1/status", "online", is_retained=True))
    assert await store.rows("SELECT is_online, last_seen_us FROM device_status") == [(1, None)]
    assert store.committed[-1].device_changes == []
    await store.take(frame("sg/d1/status", "offline"))
    assert [change.is_online for change in store.committed[-1].device_changes] == [False]
    await store.take(frame("sg/d1/status", "online", is_retained=True))
    assert await store.rows("SELECT is_online FROM device_status") == [(0,)]


async def test_what_waited_at_a_broker_is_no_sign_of_life_and_only_its_stamp_says_when_it_was(
    store: WritingStore,
) -> None:
    stamp_us = now_us() - 60_000_000
    late = [values(), json.dumps({"at": stamp_us // 1000, "values": {"co2_ppm": 1}})]
    await store.take(*(Frame("sg/d1/telemetry", body.encode(), now_us(), None, is_late=True) for body in late))
    await store.take(Frame("sg/d1/tap", tap().encode(), now_us(), None, is_late=True))
    rows = await store.rows("SELECT measurement, clock FROM reading JOIN series ON id = series_id ORDER BY 1")
    assert rows == [("co2_ppm", 0), ("temperature_c", 2)]
    assert await store.rows("SELECT clock FROM tap") == [(2,)]
    assert await store.rows("SELECT last_seen_us FROM device_status WHERE last_seen_us IS NOT NULL") == []


async def test_while_the_gateways_clock_is_in_doubt_rows_say_so(store: WritingStore) -> None:
    store.clock[0] = False
    await store.take(telemetry("d1", values()))
    assert await store.rows("SELECT clock FROM reading") == [(2,)]


async def test_presence_and_refusals_are_stored_with_the_frames(store: WritingStore) -> None:
    done = asyncio.Event()
    events: list[Presence | Refusal] = [
        Presence("d1", is_online=True, at_us=now_us()),
        Refusal("device:d1", "publish_refused", "other/topic", now_us()),
    ]
    store.writer.submit(Intake([], done.set, 1, [], events))
    await done.wait()
    assert await store.rows("SELECT is_online FROM device_status") == [(1,)]
    assert await store.rows("SELECT actor, action, detail FROM audit") == [
        ("device:d1", "publish_refused", "other/topic")
    ]


async def test_a_device_that_invents_measurements_is_stopped(store: WritingStore) -> None:
    for start in range(0, 320, 64):
        await store.take(telemetry("d1", values(start, **{f"m{start + n}": 1.0 for n in range(64)})))
    assert await store.rows("SELECT count(*) FROM series") == [(256,)]
    assert await store.rows("SELECT count(*) FROM dead_letter") == [(1,)]


async def test_a_late_reading_makes_its_hour_due_again_each_time(store: WritingStore) -> None:
    late_ms = (now_us() - 7_200_000_000) // 1000
    for seq in range(2):
        await store.take(telemetry("d1", json.dumps({"at": late_ms, "values": {"temperature_c": seq}})))
        assert await store.rows("SELECT count(*) FROM roll_up_due") == [(1,)]
        await store.store.write(lambda connection: connection.execute(text("DELETE FROM roll_up_due")))


async def test_a_peer_that_invents_devices_is_stopped(store: WritingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ingest.sources.MAX_SEEN_DEVICES", 5)
    await store.take(*(telemetry(f"invented-{number}", values()) for number in range(8)))
    assert await store.rows("SELECT count(*) FROM device WHERE state = 'seen'") == [(5,)]
    assert await store.rows("SELECT DISTINCT reason FROM dead_letter") == [("5 devices wait to be adopted already",)]


async def test_home_assistant_devices_are_found_kept_and_replayed(store: WritingStore) -> None:
    config = json.dumps(
        {
            "name": "Temperature",
            "unique_id": "x1_temperature",
            "state_topic": "zigbee2mqtt/lab",
            "value_template": "{{ value_json.temperature }}",
            "device_class": "temperature",
            "unit_of_measurement": "°C",
            "device": {"identifiers": ["x1"], "name": "Lab"},
        }
    )
    await store.take(
        frame("homeassistant/sensor/x1/temperature/config", config), frame("zigbee2mqtt/lab", '{"temperature": 20.5}')
    )
    assert await store.rows("SELECT id, state, format, name FROM device WHERE id LIKE 'ha-%'") == [
        ("ha-x1", "seen", "homeassistant", "Lab")
    ]

    def adopt(connection: Connection) -> None:
        from devices import registry

        registry.adopt(connection, "ha-x1", now_us())

    await store.store.write(adopt)
    await store.store.read(store.registry.refresh)
    assert await adoption.replay_device(store.store, "ha-x1") == 1
    await store.take(frame("zigbee2mqtt/lab", '{"temperature": 21}'))
    rows = await store.rows("SELECT measurement, value FROM reading JOIN series ON id = series_id ORDER BY frame_no")
    assert rows == [("temperature_c", 20.5), ("temperature_c", 21.0)]


class Poisoned(Ingest):
    """Fails on one payload in a way that the ingest does not expect."""

    def __init__(self, inner: Ingest) -> None:
        self.__dict__ = inner.__dict__

    def apply(self, connection: Connection, intakes: list[Intake]) -> Committed:
        if any(one.payload == b"poison" for intake in intakes for one in intake.frames):
            raise ArithmeticError("met the poison")
        return super().apply(connection, intakes)


async def test_a_frame_that_breaks_the_ingest_is_buried_and_the_others_are_stored(tmp_path: Path) -> None:
    async with writing_store(tmp_path, wrap=Poisoned) as store:
        await store.add_device("d1")
        await store.take(
            telemetry("d1", values(1)), Frame("sg/d1/telemetry", b"poison", now_us()), telemetry("d1", values(2))
        )
        assert await store.rows("SELECT count(*) FROM reading") == [(2,)]
        assert await store.rows("SELECT payload, reason FROM dead_letter") == [
            (b"poison", "could not be stored: ArithmeticError")
        ]
        await store.take(telemetry("d1", values(1)), telemetry("d1", values(3)))
        assert await store.rows("SELECT count(*) FROM reading") == [(3,)]


async def test_one_failing_write_leaves_the_others_of_its_transaction(store: WritingStore) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("INSERT INTO fact VALUES ('half', 'done')"))
        raise ValueError("no")

    def succeed(connection: Connection) -> None:
        connection.execute(text("INSERT INTO fact VALUES ('whole', 'done')"))

    results = await asyncio.gather(
        store.store.write(fail),
        store.store.write(succeed),
        store.take(telemetry("d1", values())),
        return_exceptions=True,
    )
    assert isinstance(results[0], ValueError)
    assert await store.rows("SELECT name FROM fact WHERE value = 'done'") == [("whole",)]
    assert await store.rows("SELECT count(*) FROM reading") == [(1,)]


class Crowded(Ingest):
    """Gives the database no further pages until there is room, as a full disk does."""

    room = threading.Event()

    def __init__(self, inner: Ingest) -> None:
        self.__dict__ = inner.__dict__

    def apply(self, connection: Connection, intakes: list[Intake]) -> Committed:
        used = int(connection.execute(text("PRAGMA page_count")).scalar_one())
        pages = 1_000_000 if self.room.is_set() else used + 2
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        return super().apply(connection, intakes)


async def test_while_the_disk_is_full_nothing_is_acknowledged_and_it_recovers_by_itself(tmp_path: Path) -> None:
    Crowded.room.set()
    async with writing_store(tmp_path, wrap=Crowded) as store:
        await store.add_device("d1")
        Crowded.room.clear()
        done = asyncio.Event()
        store.writer.submit(Intake([frame("sg/d1/telemetry", "x" * 4000) for _ in range(20)], done.set, 80_000))
        async with asyncio.timeout(120):
            while store.store.status.failure is None:
                await asyncio.sleep(0.01)
        assert "full" in store.store.status.failure
        assert not done.is_set()
        with pytest.raises(Unavailable):
            await store.store.write(lambda connection: None)
        Crowded.room.set()
        async with asyncio.timeout(120):
            await done.wait()
        assert store.store.status.failure is None
        assert await store.rows("SELECT count(*) FROM dead_letter") == [(20,)]


class Failing(Ingest):
    """The first transaction with frames fails after all of its work, as one that the disk refuses."""

    has_failed = False

    def __init__(self, inner: Ingest) -> None:
        self.__dict__ = inner.__dict__

    def apply(self, connection: Connection, intakes: list[Intake]) -> Committed:
        committed = super().apply(connection, intakes)
        if intakes and not self.has_failed:
            self.has_failed = True
            connection.execute(text("PRAGMA max_page_count = 1"))
            connection.execute(text("CREATE TABLE too_much AS SELECT zeroblob(1000000) AS data"))
        connection.execute(text("PRAGMA max_page_count = 1000000"))
        return committed


async def test_a_device_that_was_found_in_a_transaction_that_failed_is_found_again(tmp_path: Path) -> None:
    async with writing_store(tmp_path, wrap=Failing) as store:
        await store.take(telemetry("new-a", values(1)), telemetry("new-b", values(1)))
        assert store.store.status.failed_commits_total == 1
        assert await store.rows("SELECT id FROM device ORDER BY 1") == [("new-a",), ("new-b",)]
        assert await store.rows("SELECT device_id FROM kept_frame ORDER BY 1") == [("new-a",), ("new-b",)]


async def test_a_retained_answer_answers_no_command(store: WritingStore) -> None:
    await store.store.write(
        lambda connection: connection.execute(
            insert(command).values(id="c", device_id="d1", name="reboot", payload=b"", created_us=1)
        )
    )
    old = Frame("sg/d1/cmd/reboot/ack", b'{"ok":true}', now_us(), None, is_retained=True)
    intake = await store.take(old)
    assert [reason for _frame, reason in intake.refused] == ["a retained answer: it may be older than the command"]
    assert await store.rows("SELECT acknowledged_us FROM command") == [(None,)]
    await store.take(frame("sg/d1/cmd/reboot/ack", '{"ok":true}'))
    assert await store.rows("SELECT answer FROM command WHERE acknowledged_us IS NOT NULL") == [(b'{"ok":true}',)]


async def test_a_fact_that_is_no_number_any_more_stops_nothing(tmp_path: Path) -> None:
    async with writing_store(tmp_path) as store:
        await store.add_device("d1")
        await store.store.write(lambda connection: write_fact(connection, "last_frame_no", 17))
        await store.store.write(
            lambda connection: connection.execute(text("UPDATE fact SET value = '1' || char(2) || '7'"))
        )
        await store.take(telemetry("d1", values(1)))
        assert await store.rows("SELECT count(*) FROM reading") == [(1,)]


async def test_a_damaged_file_is_set_aside_named_and_survived(tmp_path: Path) -> None:
    async with writing_store(tmp_path) as store:
        await store.add_device("d1")
    path = tmp_path / database.FILE_NAME
    path.write_bytes(bytes(path.stat().st_size))
    found = database.prepare(path)
    assert found.set_aside is not None
    assert found.set_aside.exists()
    assert found.damage == "file is not a database"
    async with writing_store(tmp_path) as store:
        assert await store.rows("SELECT count(*) FROM device") == [(0,)]


async def test_what_can_be_read_of_the_small_tables_is_carried_over(tmp_path: Path) -> None:
    async with writing_store(tmp_path) as store:
        await store.add_device("d1")
        await store.take(*(telemetry("d1", values(seq)) for seq in range(2000)))
    path = tmp_path / database.FILE_NAME
    database.mark_damaged(path)
    found = database.prepare(path, SALVAGED)
    assert found.salvaged_rows > 0
    async with writing_store(tmp_path) as store:
        assert await store.rows("SELECT id FROM device") == [("d1",)]
        assert await store.rows("SELECT count(*) FROM reading") == [(0,)]


async def test_what_was_deleted_by_others_makes_room_below_the_cap(tmp_path: Path) -> None:
    async with writing_store(tmp_path, cap_bytes=10_000) as store:
        await store.add_device("d")
        for _ in range(5):
            await store.take(*(telemetry("d", "x" * 500) for _ in range(15)))
            await store.store.write(lambda connection: connection.execute(delete(dead_letter)))
        assert store.dead_letters.dropped_total == 0
        await store.take(*(telemetry("d", "x" * 500) for _ in range(15)))
    async with writing_store(tmp_path, cap_bytes=10_000) as store:
        await store.take(*(telemetry("d", "x" * 500) for _ in range(15)))
        assert store.dead_letters.dropped_total == 10
        [(held,)] = await store.rows("SELECT sum(length(payload)) FROM dead_letter")
        assert held == 10_000


async def test_deletions_that_are_rolled_back_make_no_room(tmp_path: Path) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(delete(dead_letter))
        raise ValueError

    async with writing_store(tmp_path, cap_bytes=10_000) as store:
        await store.add_device("d")
        await store.take(*(telemetry("d", "x" * 500) for _ in range(20)))
        with pytest.raises(ValueError):
            await store.store.write(fail)
        await store.take(telemetry("d", "x" * 500))
        assert store.dead_letters.dropped_total == 1


async def test_a_look_up_on_the_event_loop_waits_for_no_slow_query(tmp_path: Path) -> None:
    """A device that signs in with a wrong secret has the registry read again while all readers are busy."""
    is_over = threading.Event()
    begun: list[int] = []

    def slow(connection: Connection) -> int:
        begun.append(1)
        is_over.wait(60)
        return int(connection.execute(text("SELECT 1")).scalar_one())

    async with writing_store(tmp_path) as store:
        queries = [asyncio.create_task(store.store.read(slow)) for _ in range(2 * READERS)]
        await eventually(lambda: len(begun) == READERS)
        assert store.store.read_now(lambda connection: connection.execute(text("SELECT 2")).scalar_one()) == 2
        assert not any(query.done() for query in queries)
        is_over.set()
        assert await asyncio.gather(*queries) == [1] * len(queries)

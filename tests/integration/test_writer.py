"""The writer when commits fail: who is told, who waits, and what is never acknowledged."""

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from devices.frame import Frame, Intake
from foundation.errors import Unavailable
from gateway.committed import Committed
from gateway.ingest.ingest import Ingest
from tests.eventually import eventually
from tests.writing_store import WritingStore, telemetry, writing_store

GOOD = '{"values": {"n": 1}}'


class Crowded(Ingest):
    """Gives the database no further pages until there is room, as a full disk does."""

    room = threading.Event()

    def __init__(self, inner: Ingest) -> None:
        self.__dict__ = inner.__dict__

    def apply(self, connection: Connection, intakes: list[Intake]) -> Committed:
        used = int(connection.execute(text("PRAGMA page_count")).scalar_one())
        connection.execute(text(f"PRAGMA max_page_count = {1_000_000 if self.room.is_set() else used}"))
        return super().apply(connection, intakes)


class Unstorable(Ingest):
    """Can store a frame in no form at all."""

    def __init__(self, inner: Ingest) -> None:
        self.__dict__ = inner.__dict__

    def apply(self, connection: Connection, intakes: list[Intake]) -> Committed:
        if any(intake.frames for intake in intakes):
            raise ArithmeticError("not even a frame")
        return super().apply(connection, intakes)

    def bury(self, connection: Connection, frame: Frame, reason: str) -> None:
        raise ArithmeticError("nor a dead letter")


def insert_much(connection: Connection) -> None:
    connection.execute(text("INSERT INTO fact VALUES ('much', :value)"), {"value": "x" * 200_000})


def large_intake(store: WritingStore) -> asyncio.Event:
    """Submits frames that need pages, among them some that cannot be decoded; set when they are acknowledged."""
    done = asyncio.Event()
    frames = [telemetry("d1", "x" * 4_000) for _ in range(20)]
    store.writer.submit(Intake(frames, done.set, 80_000))
    return done


async def test_works_are_told_at_once_when_the_disk_is_full_those_behind_them_too(tmp_path: Path) -> None:
    Crowded.room.set()
    async with writing_store(tmp_path, wrap=Crowded) as store:
        await store.add_device("d1")
        Crowded.room.clear()
        done = large_intake(store)
        works = [asyncio.create_task(store.store.write(insert_much)) for _ in range(3)]
        results = await asyncio.wait_for(asyncio.gather(*works, return_exceptions=True), 120)
        assert [type(result) for result in results] == [Unavailable] * 3
        assert not done.is_set()
        Crowded.room.set()
        await asyncio.wait_for(done.wait(), 120)


async def test_after_a_full_disk_the_stages_hear_of_the_commit_and_the_doors_go_on(tmp_path: Path) -> None:
    Crowded.room.set()
    async with writing_store(tmp_path, wrap=Crowded) as store:
        await store.add_device("d1")
        Crowded.room.clear()
        before = len(store.committed)
        intakes = [Intake([telemetry("d1", "x" * 4_000)], lambda: None, 1 << 20)]
        store.writer.submit(intakes[0])
        has_room = asyncio.Event()
        assert not store.writer.on_room(has_room.set)
        with pytest.raises(Unavailable):
            await store.store.write(insert_much)
        Crowded.room.set()
        await asyncio.wait_for(has_room.wait(), 120)
        assert len(store.committed) > before
        assert [reason for _frame, reason in intakes[0].refused] == ["telemetry: not JSON"]


async def test_a_full_disk_stays_a_failure_until_something_was_written(tmp_path: Path) -> None:
    """Though nobody waits any more whose commit would show it."""
    Crowded.room.set()
    async with writing_store(tmp_path, wrap=Crowded) as store:
        Crowded.room.clear()
        with pytest.raises(Unavailable):
            await store.store.write(insert_much)
        Crowded.room.set()
        await eventually(lambda: store.store.status.failure is None)
        await store.store.write(insert_much)


async def test_what_can_be_stored_in_no_form_is_not_acknowledged(tmp_path: Path) -> None:
    async with writing_store(tmp_path, wrap=Unstorable) as store:
        done = asyncio.Event()
        store.writer.submit(Intake([telemetry("d1", GOOD)], done.set, 100))
        await eventually(lambda: store.damages)
        assert store.damages == ["the writer failed: ArithmeticError"]
        with pytest.raises(Unavailable):
            await store.store.write(insert_much)
        assert not done.is_set()


async def test_nothing_is_acknowledged_once_somebody_met_damage(tmp_path: Path) -> None:
    async with writing_store(tmp_path) as store:
        await store.add_device("d1")
        store.writer.give_up("page 7 is no page")
        done = asyncio.Event()
        store.writer.submit(Intake([telemetry("d1", GOOD)], done.set, 100))
        await eventually(lambda: store.damages)
        with pytest.raises(Unavailable, match="page 7"):
            await store.store.write(insert_much)
        assert not done.is_set()
        assert await store.rows("SELECT count(*) FROM reading") == [(0,)]


async def test_damage_met_by_a_write_ends_the_writing(tmp_path: Path) -> None:
    async with writing_store(tmp_path) as store:
        await store.add_device("d1")
        await store.take(telemetry("d1", GOOD))

        def overwrite(connection: Connection) -> None:
            connection.execute(text("PRAGMA writable_schema = ON"))
            connection.execute(text("UPDATE sqlite_master SET rootpage = 1000000 WHERE name = 'pack'"))
            connection.execute(text("PRAGMA writable_schema = RESET"))

        await store.store.write(overwrite)
        done = asyncio.Event()
        store.writer.submit(Intake([telemetry("d1", GOOD)], done.set, 100))
        await eventually(lambda: store.damages)
        assert not done.is_set()
        with pytest.raises(Unavailable):
            await store.store.write(insert_much)


async def test_a_mistake_in_one_acknowledgement_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    async with writing_store(tmp_path) as store:
        await store.add_device("d1")
        done = asyncio.Event()

        def break_down() -> None:
            raise RuntimeError("a mistake of ours")

        before = len(store.committed)
        store.writer.submit(Intake([telemetry("d1", GOOD)], break_down, 100))
        store.writer.submit(Intake([telemetry("d1", GOOD)], done.set, 100))
        await asyncio.wait_for(done.wait(), 10)
        await eventually(lambda: len(store.committed) > before)
        assert store.store.status.queue_bytes == 0
        assert store.store.status.untold_total == 1


async def test_a_group_with_a_bad_frame_among_thousands_is_one_commit(tmp_path: Path) -> None:
    class OneBad(Ingest):
        def __init__(self, inner: Ingest) -> None:
            self.__dict__ = inner.__dict__

        def apply(self, connection: Connection, intakes: list[Intake]) -> Committed:
            if any(frame.payload == b"bad" for intake in intakes for frame in intake.frames):
                raise ArithmeticError("no frame for the ingest")
            return super().apply(connection, intakes)

    async with writing_store(tmp_path, wrap=OneBad) as store:
        await store.add_device("d1")
        commits = store.store.status.commits_total
        payloads = [GOOD.replace("1}", f"{number}}}") for number in range(3_000)]
        payloads[1_234] = "bad"
        intake = await store.store.take_in([telemetry("d1", payload) for payload in payloads], [])
        assert [frame.payload for frame, _reason in intake.refused] == [b"bad"]
        assert store.store.status.commits_total == commits + 1
        assert await store.rows("SELECT count(*) FROM reading") == [(2_999,)]
        assert await store.rows("SELECT reason FROM dead_letter") == [("could not be stored: ArithmeticError",)]

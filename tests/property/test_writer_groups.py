"""The one place that may never lie: whatever fails in a group, what was acknowledged is on disk, and that once.

Groups of intakes (frames, journal entries) and works, any of which may be impossible to store, alone or only after
another, on a disk that may refuse at any statement and at the commit. A real database, a small ingest.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from devices.frame import Frame, Intake, JournalEntry
from foundation.errors import Unavailable
from gateway.committed import Committed
from gateway.store import sqlite, writer
from gateway.store.writer import Writer
from tests.eventually import eventually

GROUPS = int(os.environ.get("WRITER_GROUPS", "300"))

GOOD, BAD, BAD_AFTER_OTHERS, UNBURIABLE = "good", "bad", "bad after others", "unburiable"


@dataclass
class Plan:
    """What one intake holds: frames and entries by their fate. A work by whether it fails."""

    frames: list[str]
    entries: list[str]


PLANS = st.builds(
    Plan,
    st.lists(st.sampled_from([GOOD, GOOD, GOOD, BAD, BAD_AFTER_OTHERS]), max_size=5),
    st.lists(st.sampled_from([GOOD, GOOD, GOOD, BAD]), max_size=3),
)


@dataclass
class Disk:
    """Refuses the statements with these numbers, counted from the first one."""

    refuses: frozenset[int]
    statements: int = 0

    def touch(self) -> None:
        self.statements += 1
        if self.statements in self.refuses:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise OperationalError("INSERT", None, error)


@dataclass
class SmallIngest:
    """Stores names. Keeps in memory, as the real one does, what may be ahead of the disk."""

    disk: Disk
    stored: set[str] | None = None
    buried: list[str] = field(default_factory=list)

    def apply(self, connection: Connection, intakes: list[Intake]) -> Committed:
        if self.stored is None:
            self.stored = {str(name) for name in connection.execute(text("SELECT name FROM kept")).scalars()}
        total = Committed(committed_us=1, last_frame_no=1)
        for intake in intakes:
            for frame in intake.frames:
                fate = frame.payload.decode()
                if fate in (BAD, UNBURIABLE) or (fate == BAD_AFTER_OTHERS and len(self.stored) > 2):
                    raise ArithmeticError(frame.topic)
                self._keep(connection, frame.topic)
                total.frames += 1
            for entry in intake.journal:
                if entry.parameters[0] == BAD:
                    raise ArithmeticError(entry.statement)
                self._keep(connection, entry.statement)
        return total

    def _keep(self, connection: Connection, name: str) -> None:
        self.disk.touch()
        connection.execute(text("INSERT INTO kept VALUES (:name)"), {"name": name})
        assert self.stored is not None
        assert name not in self.stored, f"{name} is stored twice"
        self.stored.add(name)

    def forget(self) -> None:
        self.stored = None

    def bury(self, connection: Connection, frame: Frame, _reason: str) -> None:
        if frame.payload.decode() == UNBURIABLE:
            raise ArithmeticError("in no form")
        self.disk.touch()
        connection.execute(text("INSERT INTO buried VALUES (:name)"), {"name": frame.topic})


@dataclass
class World:
    """A writer over a new database, and what it told."""

    path: Path
    disk: Disk
    told: list[str] = field(default_factory=list)
    on_disk_when_told: list[set[str]] = field(default_factory=list)

    def kept(self, table: str = "kept") -> set[str]:
        with closing(sqlite3.connect(self.path)) as connection:
            return {name for (name,) in connection.execute(f"SELECT name FROM {table}")}

    def tell(self, name: str) -> Callable[[], None]:
        def told() -> None:
            self.told.append(name)
            self.on_disk_when_told.append(self.kept() | self.kept("buried"))

        return told

    async def run(self, plans: list[Plan], works: list[bool]) -> tuple[list[object], list[str]]:
        """Hands everything in as one group; returns what the works came to, and what was found damaged."""
        engine = sqlite.open_engine(self.path)
        with engine.begin() as connection:
            for table in ("kept", "buried"):
                connection.execute(text(f"CREATE TABLE {table} (name TEXT PRIMARY KEY)"))
        damages: list[str] = []
        owner = Writer(engine, self.path, SmallIngest(self.disk), 1 << 30, lambda _: None, damages.append)
        for number, plan in enumerate(plans):
            owner.submit(self._intake(number, plan))
        tasks = [asyncio.ensure_future(owner.write(self._work(number, fails))) for number, fails in enumerate(works)]
        await asyncio.sleep(0)
        owner.start()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await eventually(lambda: len(self.told) == len(plans) or damages)
        await owner.close()
        await asyncio.sleep(0)
        engine.dispose()
        assert owner.status.queue_bytes == (len(plans) if damages else 0)
        return list(results), damages

    def _intake(self, number: int, plan: Plan) -> Intake:
        frames = [Frame(f"frame {number}.{place}", fate.encode(), 0) for place, fate in enumerate(plan.frames)]
        entries = [JournalEntry(f"entry {number}.{place}", (fate,)) for place, fate in enumerate(plan.entries)]
        return Intake(frames, self.tell(f"done {number}"), 1, entries, lost=self.tell(f"lost {number}"))

    def _work(self, number: int, fails: bool) -> Callable[[Connection], str]:
        def work(connection: Connection) -> str:
            self.disk.touch()
            connection.execute(text("INSERT INTO kept VALUES (:name)"), {"name": f"work {number}"})
            if fails:
                raise ValueError("of its own")
            return f"work {number}"

        return work


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_S", (0.0, 0.0))


numbers = iter(range(1 << 30))


@settings(
    max_examples=GROUPS,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    plans=st.lists(PLANS, max_size=6),
    works=st.lists(st.booleans(), max_size=3),
    refuses=st.frozensets(st.integers(1, 60), max_size=3),
)
def test_what_is_told_is_on_disk_and_what_is_lost_is_not(
    tmp_path: Path, plans: list[Plan], works: list[bool], refuses: frozenset[int]
) -> None:
    world = World(tmp_path / f"{next(numbers)}.db", Disk(refuses))
    with structlog.testing.capture_logs():
        results, damages = asyncio.run(world.run(plans, works))
    assert damages == []
    kept, buried = world.kept(), world.kept("buried")
    for number, plan in enumerate(plans):
        frames = {f"frame {number}.{place}" for place in range(len(plan.frames))}
        entries = {f"entry {number}.{place}" for place in range(len(plan.entries))}
        is_lost = BAD in plan.entries
        assert world.told.count(f"done {number}") == (not is_lost)
        assert world.told.count(f"lost {number}") == is_lost
        if is_lost:
            assert not (frames | entries) & (kept | buried)
            continue
        assert entries <= kept
        assert frames <= kept | buried
        assert not kept & buried
        bad = {f"frame {number}.{place}" for place, fate in enumerate(plan.frames) if fate == BAD}
        good = {f"frame {number}.{place}" for place, fate in enumerate(plan.frames) if fate == GOOD}
        assert bad <= buried
        assert good <= kept
    for name, on_disk in zip(world.told, world.on_disk_when_told, strict=True):
        kind, number = name.split()
        if kind == "done":
            plan = plans[int(number)]
            assert {f"frame {number}.{place}" for place in range(len(plan.frames))} <= on_disk
            assert {f"entry {number}.{place}" for place in range(len(plan.entries))} <= on_disk
    for number, (fails, result) in enumerate(zip(works, results, strict=True)):
        if isinstance(result, Unavailable):
            assert refuses
            assert f"work {number}" not in kept
        elif fails:
            assert isinstance(result, ValueError)
            assert f"work {number}" not in kept
        else:
            assert result == f"work {number}"
            assert result in kept
    world.path.unlink()


@settings(
    max_examples=max(20, GROUPS // 20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(plans=st.lists(PLANS, max_size=4), place=st.integers(0, 4))
def test_if_a_frame_can_be_stored_in_no_form_nothing_of_its_group_is_told(
    tmp_path: Path, plans: list[Plan], place: int
) -> None:
    world = World(tmp_path / f"{next(numbers)}.db", Disk(frozenset()))
    plans = [*plans[:place], Plan([GOOD, UNBURIABLE], []), *plans[place:]]
    with structlog.testing.capture_logs():
        results, damages = asyncio.run(world.run(plans, [False]))
    assert damages == ["the writer failed: ArithmeticError"]
    assert world.told == []
    assert world.kept() == world.kept("buried") == set()
    assert isinstance(results[0], Unavailable)
    world.path.unlink()

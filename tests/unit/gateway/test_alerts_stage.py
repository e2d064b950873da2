"""The stage over a real store: what is told is stored, and a start goes on where the last one stopped."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
import structlog.testing
from sqlalchemy import Connection, delete, insert

from devices import registry as device_registry
from foundation.clock import Clock
from foundation.errors import Conflict, NotFound, Unavailable
from foundation.stored import Skipped
from gateway.alerts import saved, tables
from gateway.alerts import stage as stage_module
from gateway.alerts.lifecycle import Alert, Change, Reason, State
from gateway.alerts.rules import Rule, SilenceRule
from gateway.alerts.stage import AlertStage
from gateway.committed import Committed, DeviceChange, Series
from gateway.fleet.tables import device_status
from gateway.readings.catalogue import Catalogue
from gateway.readings.tables import series
from gateway.store.store import Store
from gateway.store.tables import fact
from gateway.supervision import Supervisor
from tests.packed import insert_readings, pack_of
from tests.unit.gateway.alerts_bench import HOT, MINUTE, QUIET, SECOND, START, hot
from tests.writing_store import WritingStore, telemetry, writing_store

T = TypeVar("T")
SERIES = [Series(1, "lab-1", "temperature_c"), Series(2, "lab-1", "humidity_pct")]


class FullDisk(Store):
    """A store whose disk can be full, or not be read. Everything else is the real one's."""

    def __init__(self, real: Store) -> None:
        self.real = real
        self.is_full = False
        self.is_unreadable = False
        self.refused = 0

    async def write(self, work: Callable[[Connection], T]) -> T:
        if self.is_full:
            self.refused += 1
            raise Unavailable("disk full", retry_after_s=0.01)
        return await self.real.write(work)

    async def read(self, query: Callable[[Connection], T]) -> T:
        if self.is_unreadable:
            self.refused += 1
            raise Unavailable("disk I/O error", retry_after_s=0.01)
        return await self.real.read(query)


@dataclass
class School:
    """A store, a clock that the test moves, and one stage at a time."""

    world: WritingStore
    disk: FullDisk
    catalogue: Catalogue
    now_us: int = START
    clock_reads: int = 0
    frame_no: int = 0
    told: list[Change] = field(default_factory=list)
    stage: AlertStage = field(init=False)

    def clock(self) -> int:
        self.clock_reads += 1
        return self.now_us

    @asynccontextmanager
    async def running(self, *rules: Rule) -> AsyncIterator[AlertStage]:
        """Runs a new stage; on leaving it is closed and has ended by itself."""
        self.told = []
        self.stage = AlertStage(self.disk, self.catalogue, self.told.append, self.clock, stale_after_s=600)
        task = asyncio.create_task(self.stage.run())
        for rule in rules:
            await self.stage.put_rule(rule)
        try:
            yield self.stage
        finally:
            self.stage.close()
            await asyncio.wait_for(task, 120)

    async def store_reading(self, value: float, series_id: int = 1, clock: Clock = Clock.GOOD) -> Committed:
        """Stores a reading as the ingest would, and returns what it would tell the stages."""
        self.frame_no += 1
        row = (series_id, self.now_us, self.frame_no, value, int(clock))

        def write(connection: Connection) -> None:
            insert_readings(connection, [row])
            connection.execute(delete(fact).where(fact.c.name == "last_frame_no"))
            connection.execute(insert(fact).values(name="last_frame_no", value=str(self.frame_no)))
            connection.execute(delete(device_status))
            connection.execute(insert(device_status).values(device_id="lab-1", last_seen_us=self.now_us))

        await self.world.store.write(write)
        return Committed(committed_us=self.now_us, last_frame_no=self.frame_no, packs=[pack_of(row)])

    async def read(self, value: float, series_id: int = 1) -> None:
        self.stage.feed(await self.store_reading(value, series_id))

    async def until(self, *states: State) -> Alert:
        """Waits until exactly these states were told; returns the last alert."""
        async with asyncio.timeout(120):
            while len(self.told) < len(states):
                await asyncio.sleep(0.001)
        assert tuple(change.alert.state for change in self.told) == states
        return self.told[-1].alert

    async def breathe(self) -> None:
        """Waits until the stage has done whatever it has to do now."""
        for _ in range(2):
            reads = self.clock_reads
            self.stage.devices_changed()
            async with asyncio.timeout(120):
                while self.clock_reads < reads + 3:
                    await asyncio.sleep(0.001)

    async def wait(self, time_us: int) -> None:
        while time_us > 0:
            self.now_us += min(30 * SECOND, time_us)
            time_us -= 30 * SECOND
            await self.breathe()

    async def open_alerts(self) -> list[Alert]:
        return await self.world.store.read(lambda connection: saved.load_open_alerts(connection, Skipped()))


@pytest.fixture
async def school(tmp_path: Path) -> AsyncIterator[School]:
    async with writing_store(tmp_path) as world:
        await world.add_device("lab-1")
        await world.store.write(
            lambda connection: connection.execute(
                insert(series), [{"id": s.id, "device_id": s.device_id, "measurement": s.measurement} for s in SERIES]
            )
        )
        catalogue = Catalogue(world.registry)
        await world.store.read(lambda connection: catalogue.load(connection, Skipped()))
        yield School(world, FullDisk(world.store), catalogue)


@contextmanager
def logged() -> Iterator[list[str]]:
    """Gathers the names of the events that are logged."""
    names: list[str] = []
    with structlog.testing.capture_logs() as entries:
        yield names
    names += [entry["event"] for entry in entries]


async def test_a_change_is_stored_before_it_is_told(school: School) -> None:
    seen: list[list[Alert]] = []
    async with school.running(hot(for_s=0)):
        await school.read(31)
        alert = await school.until(State.FIRING)
        seen.append(await school.open_alerts())
        await school.read(20)
        await school.until(State.FIRING, State.RESOLVED)
        seen.append(await school.open_alerts())
    assert seen == [[alert], []]


async def test_readings_come_from_the_doors_through_the_ingest(school: School) -> None:
    async with school.running(hot(for_s=0)) as stage:
        school.now_us = 0
        await school.world.take(telemetry("lab-1", '{"values": {"temperature_c": 31}}'))
        school.now_us = school.world.committed[-1].committed_us
        stage.feed(school.world.committed[-1])
        assert (await school.until(State.FIRING)).subject == "lab-1/temperature_c"


async def test_what_was_retained_raises_nothing_and_resets_nothing(school: School) -> None:
    async with school.running(hot(for_s=0), QUIET) as stage:
        for _ in range(30):
            await school.wait(MINUTE)
            committed = await school.store_reading(31)
            committed.retained_packs, committed.packs = committed.packs, []
            stage.feed(committed)
        alert = await school.until(State.FIRING)
        assert alert.rule_id == "quiet"


async def test_a_tap_and_a_connection_are_signs_of_life(school: School) -> None:
    async with school.running(SilenceRule(id="quiet", name="Quiet", after_s=180)) as stage:
        await school.wait(3 * MINUTE)
        await school.until(State.FIRING)
        change = DeviceChange("lab-1", "active", True, school.now_us)
        stage.feed(Committed(committed_us=school.now_us, last_frame_no=0, device_changes=[change]))
        assert (await school.until(State.FIRING, State.RESOLVED)).reason is Reason.HEARD_AGAIN


async def test_silence_is_noticed_without_anything_coming_in(school: School) -> None:
    async with school.running(QUIET):
        await school.read(20)
        await school.wait(29 * MINUTE)
        assert school.told == []
        await school.wait(MINUTE)
        assert (await school.until(State.FIRING)).subject == "lab-1"


async def test_a_series_without_a_rule_is_looked_up_once(school: School) -> None:
    asked: list[int] = []

    class Counting(Catalogue):
        def series(self, series_id: int) -> Series:
            asked.append(series_id)
            return super().series(series_id)

    counting = Counting(school.world.registry)
    await school.world.store.read(lambda connection: counting.load(connection, Skipped()))
    school.catalogue = counting
    async with school.running(HOT):
        for _ in range(5):
            await school.read(50, series_id=2)
            await school.breathe()
        assert asked == [2]
        await school.stage.put_rule(hot(id="humid", measurement="humidity_pct", for_s=0))
        await school.read(50, series_id=2)
        assert (await school.until(State.FIRING)).rule_id == "humid"


async def test_a_rule_is_in_force_when_it_is_put_and_its_alerts_end_when_it_goes(school: School) -> None:
    async with school.running(hot(for_s=0)) as stage:
        await school.read(31)
        await school.until(State.FIRING)
        assert stage.rules() == [hot(for_s=0)]
        await stage.delete_rule("hot")
        assert stage.rules() == []
        assert (await school.until(State.FIRING, State.RESOLVED)).reason is Reason.RULE_GONE
        with pytest.raises(NotFound):
            await stage.delete_rule("hot")


async def test_a_disabled_rule_is_listed_and_does_nothing(school: School) -> None:
    async with school.running(hot(for_s=0, enabled=False)) as stage:
        await school.read(31)
        await school.breathe()
        assert stage.rules() == [hot(for_s=0, enabled=False)]
        assert school.told == []


async def test_acknowledging_returns_what_is_stored(school: School) -> None:
    async with school.running(hot(for_s=0)) as stage:
        await school.read(31)
        fired = await school.until(State.FIRING)
        acknowledged = await stage.acknowledge(fired.id, "ada")
        assert await school.open_alerts() == [acknowledged]
        assert acknowledged.acknowledged_by == "ada"
        assert await stage.acknowledge(fired.id, "bob") == acknowledged
        with pytest.raises(NotFound):
            await stage.acknowledge(fired.id + 1, "ada")
        assert stage.counts() == {State.ACKNOWLEDGED: 1}


async def test_a_pending_alert_cannot_be_acknowledged(school: School) -> None:
    async with school.running(HOT) as stage:
        await school.read(31)
        pending = await school.until(State.PENDING)
        with pytest.raises(Conflict):
            await stage.acknowledge(pending.id, "ada")


async def test_a_revoked_device_takes_its_alerts_with_it(school: School) -> None:
    async with school.running(hot(for_s=0)) as stage:
        await school.read(31)
        await school.until(State.FIRING)
        await school.world.store.write(lambda connection: device_registry.revoke(connection, "lab-1"))
        stage.devices_changed()
        assert (await school.until(State.FIRING, State.RESOLVED)).reason is Reason.DEVICE_GONE


async def test_a_device_that_is_adopted_comes_under_the_rules(school: School) -> None:
    async with school.running(SilenceRule(id="quiet", name="Quiet", device="lab-2", after_s=60)) as stage:
        await school.world.add_device("lab-2")
        change = DeviceChange("lab-2", "active", None, school.now_us)
        stage.feed(Committed(committed_us=school.now_us, last_frame_no=0, device_changes=[change]))
        await school.breathe()
        await school.wait(MINUTE)
        assert (await school.until(State.FIRING)).subject == "lab-2"


async def test_while_the_disk_is_full_nothing_is_told_and_nothing_is_lost(school: School) -> None:
    async with school.running(hot(for_s=0)) as stage:
        with logged() as events:
            school.disk.is_full = True
            await school.read(31)
            while school.disk.refused < 3:
                await asyncio.sleep(0.001)
            with pytest.raises(Unavailable):
                await stage.put_rule(QUIET)
            assert school.told == []
            assert stage.rules() == [hot(for_s=0)]
            school.disk.is_full = False
            alert = await school.until(State.FIRING)
        assert await school.open_alerts() == [alert]
    assert events.count("alerts_not_saved") == 1
    assert "alerts_saved_again" in events


async def test_devices_that_cannot_be_read_now_are_read_again_and_alerts_go_on(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_module, "READ_AGAIN_US", 10_000)
    async with school.running(hot(for_s=0)) as stage:
        with logged() as events:
            school.disk.is_unreadable = True
            await school.world.store.write(lambda connection: device_registry.revoke(connection, "lab-1"))
            stage.devices_changed()
            while school.disk.refused < 3:
                await asyncio.sleep(0.001)
            await school.read(31)
            await school.until(State.FIRING)
            school.disk.is_unreadable = False
            assert (await school.until(State.FIRING, State.RESOLVED)).reason is Reason.DEVICE_GONE
    assert events.count("alerts_not_read") == 1
    assert "recovered" in events


async def test_a_start_waits_until_the_past_can_be_read(school: School) -> None:
    async with school.running(HOT):
        await school.read(31)
        pending = await school.until(State.PENDING)
    school.disk.is_unreadable = True
    async with school.running() as stage:
        while school.disk.refused < 3:
            await asyncio.sleep(0.001)
        assert stage.rules() == []
        school.disk.is_unreadable = False
        await school.breathe()
        assert stage.rules() == [HOT]
        assert await school.open_alerts() == [pending]


async def test_a_stage_that_could_not_read_the_past_closes_and_leaves_it_as_it_is(school: School) -> None:
    async with school.running(HOT):
        await school.read(31)
        pending = await school.until(State.PENDING)
    school.disk.is_unreadable = True
    async with school.running():
        while not school.disk.refused:
            await asyncio.sleep(0.001)
    school.disk.is_unreadable = False
    async with school.running() as stage:
        await school.breathe()
        assert stage.rules() == [HOT]
        assert await school.open_alerts() == [pending]


async def test_a_stage_closes_although_the_disk_is_full(school: School) -> None:
    async with school.running(hot(for_s=0)):
        await school.breathe()
        school.disk.is_full = True
        await school.read(31)
    school.disk.is_full = False
    async with school.running():
        await school.until(State.FIRING)


async def test_closing_evaluates_what_was_fed(school: School) -> None:
    async with school.running(hot(for_s=0)):
        await school.read(31)
    assert [alert.state for alert in await school.open_alerts()] == [State.FIRING]


async def test_a_start_goes_on_where_the_last_one_stopped(school: School) -> None:
    async with school.running(HOT):
        await school.read(31)
        pending = await school.until(State.PENDING)
    school.now_us += 5 * MINUTE
    async with school.running() as stage:
        await stage.put_rule(QUIET)
        assert stage.rules() == [HOT, QUIET]
        await school.read(31)
        fired = await school.until(State.FIRING)
        assert (fired.id, fired.condition_since_us) == (pending.id, START)
        await stage.acknowledge(fired.id, "ada")
    school.now_us += 5 * MINUTE
    async with school.running():
        await school.breathe()
        assert school.told == []
        assert [alert.state for alert in await school.open_alerts()] == [State.ACKNOWLEDGED]


async def test_readings_that_were_committed_and_not_evaluated_are_evaluated_at_the_start(school: School) -> None:
    async with school.running(hot(for_s=0)):
        await school.read(20)
        await school.breathe()
    school.now_us += SECOND
    await school.store_reading(31)
    school.now_us += SECOND
    await school.store_reading(32)
    async with school.running():
        alert = await school.until(State.FIRING)
        assert alert.condition_since_us == START + SECOND


async def test_missed_readings_whose_age_nobody_knows_raise_nothing(school: School) -> None:
    async with school.running(hot(for_s=0)):
        await school.read(20)
        await school.breathe()
    school.now_us += SECOND
    await school.store_reading(31, clock=Clock.UNKNOWN)
    async with school.running():
        await school.breathe()
        assert school.told == []


async def test_readings_that_were_evaluated_before_are_not_evaluated_again(school: School) -> None:
    async with school.running(hot(for_s=0)):
        await school.read(31)
        await school.until(State.FIRING)
        school.now_us += SECOND
        await school.read(20)
        await school.until(State.FIRING, State.RESOLVED)
    async with school.running():
        await school.breathe()
        assert school.told == []


async def test_readings_from_before_the_first_rule_raise_nothing(school: School) -> None:
    await school.store_reading(31)
    async with school.running(hot(for_s=0)):
        await school.breathe()
    async with school.running():
        await school.breathe()
        assert school.told == []


async def test_the_time_the_gateway_was_down_is_no_silence(school: School) -> None:
    async with school.running(QUIET):
        await school.read(20)
        await school.wait(20 * MINUTE)
    school.now_us += 120 * MINUTE
    async with school.running():
        await school.wait(5 * MINUTE)
        assert school.told == []


async def test_a_rule_that_cannot_be_read_is_named_and_the_others_work(school: School) -> None:
    await school.world.store.write(
        lambda connection: connection.execute(
            insert(tables.rule).values(id="later", body='{"kind":"rate"}', enabled=True, updated_us=1)
        )
    )
    with logged() as events:
        async with school.running(hot(for_s=0)) as stage:
            await school.read(31)
            await school.until(State.FIRING)
            await stage.delete_rule("later")
    assert "rule_unreadable" in events


class ForgetfulOnce(Catalogue):
    """A catalogue that does not know a series the first time it is asked."""

    def __init__(self, real: Catalogue) -> None:
        self._real = real
        self.is_forgetful = True

    def series(self, series_id: int) -> Series:
        if self.is_forgetful:
            self.is_forgetful = False
            raise KeyError(series_id)
        return self._real.series(series_id)

    def kind(self, device_id: str) -> str | None:
        return self._real.kind(device_id)


async def test_a_stage_that_failed_begins_anew_and_loses_no_reading(school: School) -> None:
    async with school.running(hot(for_s=0)):
        pass
    supervisor = Supervisor(draw=lambda: 0.0)
    catalogue = ForgetfulOnce(school.catalogue)
    stage = school.stage = AlertStage(school.disk, catalogue, school.told.append, school.clock, stale_after_s=600)
    async with supervisor.running("alerts", stage.run, stage.close):
        await school.read(31)
        assert (await school.until(State.FIRING)).subject == "lab-1/temperature_c"
        assert supervisor.totals()["task_failures"][1] == 1
        await school.read(20)
        await school.until(State.FIRING, State.RESOLVED)
    assert await school.open_alerts() == []

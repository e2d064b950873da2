"""Refused calls in the audit log, with a real writer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from api.refusals import MAX_WAITING, OTHERS, Refusals
from devices.frame import Frame, Intake
from gateway.access import audit
from gateway.access.audit import AuditEntry
from gateway.committed import Committed
from gateway.store.database import prepare
from gateway.store.sqlite import open_engine
from gateway.store.store import Store
from gateway.store.writer import Writer
from tests.school_database import START_US


class _NoFrames:
    """The ingest of a gateway whose doors are shut."""

    def apply(self, _connection: object, _intakes: list[Intake]) -> Committed:
        return Committed(START_US, 0)

    def forget(self) -> None:
        pass

    def bury(self, _connection: object, _frame: Frame, _reason: str) -> None:
        raise AssertionError("there are no frames")


@asynccontextmanager
async def opened_store(directory: Path) -> AsyncIterator[Store]:
    path = prepare(directory / "school.db").path
    engine = open_engine(path)
    writer = Writer(engine, path, _NoFrames(), 1 << 20, lambda _: None, lambda _: None)
    writer.start()
    store = Store(writer, open_engine(path, read_only=True), 1 << 20)
    yield store
    await writer.close()
    store.close()
    engine.dispose()


async def entries_of(store: Store, refusals: int) -> list[AuditEntry]:
    """Returns the audit log when it accounts for this many refusals."""
    async with asyncio.timeout(120):
        while True:
            page = await store.read(lambda connection: audit.page(connection, None, 10_000))
            if sum(entry.count for entry in page.items) >= refusals:
                return page.items
            await asyncio.sleep(0.05)


async def test_a_flood_of_refusals_is_a_few_rows(tmp_path: Path) -> None:
    metrics = CollectorRegistry()
    async with opened_store(tmp_path) as store:
        refusals = Refusals(store, lambda: START_US, metrics)
        for number in range(5000):
            refusals.note(f"client:10.0.0.{number % 3}", "sign_in_failed", "no key: GET /api/v1/status")
        entries = await entries_of(store, 5000)
    assert sorted((entry.actor, entry.count) for entry in entries) == [
        ("client:10.0.0.0", 1667),
        ("client:10.0.0.1", 1667),
        ("client:10.0.0.2", 1666),
    ]
    assert metrics.get_sample_value("schoolgate_http_refused_total", {"action": "sign_in_failed"}) == 5000


async def test_more_different_refusals_than_can_wait_are_counted_together(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as store:
        refusals = Refusals(store, lambda: START_US, CollectorRegistry())
        for number in range(MAX_WAITING + 500):
            refusals.note(f"client:{number}", "sign_in_failed", "no key")
        entries = await entries_of(store, MAX_WAITING + 500)
    assert len(entries) == MAX_WAITING + 1
    assert [entry.count for entry in entries if entry.actor == OTHERS[0]] == [500]


async def test_refusals_go_on_being_written_after_a_pause(tmp_path: Path) -> None:
    async with opened_store(tmp_path) as store:
        refusals = Refusals(store, lambda: START_US, CollectorRegistry())
        for number in range(1, 4):
            refusals.note("client:10.0.0.1", "sign_in_failed", "no key")
            (entry,) = await entries_of(store, number)
            assert entry.count == number

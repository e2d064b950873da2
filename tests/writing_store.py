"""A real store on a real file for tests: writer, ingest and readers, without doors and API."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from devices import registry as device_registry
from devices.frame import Frame, Intake
from devices.registry import Registry
from gateway.committed import Committed
from gateway.fleet.tables import kept_frame
from gateway.ingest.ingest import Ingest
from gateway.ingest.room import build_ingest
from gateway.ingest.statements import compile_for
from gateway.ingest.tables import dead_letter
from gateway.store import database, sqlite
from gateway.store.byte_cap import ByteCap
from gateway.store.store import Store
from gateway.store.writer import Writer
from tests.declared import SALVAGED, STATEMENTS

SCHOOL_KEY = bytes(32)


@dataclass
class WritingStore:
    """An open store. `committed`: everything the stages would have been told."""

    path: Path
    engine: Engine
    writer: Writer
    store: Store
    registry: Registry
    dead_letters: ByteCap
    kept_frames: ByteCap
    committed: list[Committed] = field(default_factory=list)
    damages: list[str] = field(default_factory=list)
    clock: list[bool] = field(default_factory=lambda: [True])

    async def add_device(self, device_id: str, kind: str = "sensor") -> None:
        await self.store.write(lambda connection: device_registry.add(connection, device_id, kind, 1))
        await self.store.read(self.registry.refresh)

    async def take(self, *frames: Frame) -> Intake:
        """Hands frames in as one intake; returns it after the commit."""
        done = asyncio.get_running_loop().create_future()
        intake = Intake(list(frames), lambda: done.set_result(None), sum(len(frame.payload) for frame in frames))
        self.writer.submit(intake)
        await done
        return intake

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        """Returns what a reader sees."""

        def run(connection: Connection) -> list[tuple[object, ...]]:
            return [tuple(row) for row in connection.execute(text(query))]

        return await self.store.read(run)


def now_us() -> int:
    return time.time_ns() // 1000


def telemetry(device_id: str, payload: str, received_us: int | None = None, *, is_retained: bool = False) -> Frame:
    return frame(f"sg/{device_id}/telemetry", payload, received_us, is_retained=is_retained)


def frame(topic: str, payload: str, received_us: int | None = None, *, is_retained: bool = False) -> Frame:
    return Frame(topic, payload.encode(), received_us or now_us(), None, is_retained)


@asynccontextmanager
async def writing_store(
    directory: Path, *, cap_bytes: int = 1 << 20, wrap: Callable[[Ingest], Ingest] = lambda ingest: ingest
) -> AsyncIterator[WritingStore]:
    """Opens a store in `directory`; `wrap` may put something between the writer and its ingest."""
    path = directory / database.FILE_NAME
    database.prepare(path, SALVAGED)
    engine = sqlite.open_engine(path)
    readers = sqlite.open_engine(path, read_only=True)
    registry = Registry()
    with engine.begin() as connection:
        registry.refresh(connection)
    dead, kept = ByteCap(dead_letter, cap_bytes), ByteCap(kept_frame, cap_bytes)
    clock = [True]
    statements = compile_for(engine.dialect, STATEMENTS)
    ingest = build_ingest(
        registry, statements, SCHOOL_KEY, now_us, lambda: clock[0], lambda _device, _ahead_us: None, dead, kept
    )
    committed: list[Committed] = []
    damages: list[str] = []
    writer = Writer(engine, path, wrap(ingest), 1 << 20, committed.append, damages.append)
    store = Store(writer, readers, 1 << 20)
    writer.start()
    try:
        yield WritingStore(path, engine, writer, store, registry, dead, kept, committed, damages, clock)
    finally:
        await writer.close()
        store.close()
        engine.dispose()

"""The core: the open store with its writer and ingest, and what they are asked about."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError

from devices.registry import Registry
from foundation.clocks import monotonic_us, wall_us
from foundation.columns import carried_over
from foundation.room import Room, Totals
from foundation.stored import Skipped
from gateway.access.admin_key import ensure_admin_key
from gateway.access.room import ADMIN_KEY_FILE
from gateway.clockwatch import ClockWatch
from gateway.committed import Committed, Stages
from gateway.configuration.sections import Configuration
from gateway.fleet.tables import kept_frame
from gateway.ingest.room import build_ingest
from gateway.ingest.statements import compile_for
from gateway.ingest.tables import dead_letter
from gateway.readings.catalogue import Catalogue
from gateway.store import database, reserve, sqlite
from gateway.store.byte_cap import ByteCap
from gateway.store.data_directory import tighten
from gateway.store.facts import read_fact, write_fact
from gateway.store.store import Store
from gateway.store.writer import Writer

log = structlog.get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Core:
    """The open store and what belongs to it. `registry` and `catalogue` are its tables in memory; `stages` are told of
    every commit; `run_no` is greater than that of every earlier run; `skipped` counts the rows that cannot be read."""

    store: Store
    writer: Writer
    registry: Registry
    catalogue: Catalogue
    clock: ClockWatch
    stages: Stages
    run_no: int
    skipped: Skipped
    _dead_letters: ByteCap
    _kept_frames: ByteCap

    def is_clock_right(self) -> bool:
        return self.clock.is_right_at(wall_us(), monotonic_us())

    async def note_clock(self, now_us: int) -> None:
        """Notes the newest time that the gateway believes, for the next start."""
        await self.store.write(lambda connection: write_fact(connection, "clock_high_us", now_us))

    def readiness(self) -> Mapping[str, str | None]:
        """See `foundation.room.Reports`."""
        return {"store": self.store.status.failure, "clock": self.clock.doubt}

    def totals(self) -> Totals:
        """See `foundation.room.Reports`."""
        return {
            "failed_commits": ("Commits that the disk refused", self.store.status.failed_commits_total),
            "intakes_lost": (
                "Not acknowledged, for their state could not be stored",
                self.store.status.lost_total,
            ),
            "acknowledgements_failed": ("Mistakes on the way from a commit to a peer", self.store.status.untold_total),
            "dead_letters_dropped": ("Oldest dead letters dropped at their cap", self._dead_letters.dropped_total),
            "kept_frames_dropped": ("Oldest kept frames dropped at their cap", self._kept_frames.dropped_total),
            "rows_unreadable": ("Rows that are skipped, for they cannot be read", self.skipped.total),
            "devices_unreadable": ("Devices that are skipped, for they cannot be read", len(self.registry.unreadable)),
        }


@asynccontextmanager
async def open_core(
    configuration: Configuration, rooms: Sequence[Room], school_key: bytes, on_damage: Callable[[str], None]
) -> AsyncIterator[Core]:
    """Opens the database of these rooms, setting a damaged one aside, and closes it when left: what was submitted is
    committed.

    `on_damage` is called on the event loop when the file turns out to be damaged while it is in use, by whoever met
    it. Raises DatabaseError, Corrupt, Unavailable.
    """
    settings, data = configuration.store, configuration.node.data
    path = data / database.FILE_NAME
    tighten(data, [file for room in rooms for file in room.files])
    preparation = database.prepare(path, carried_over(tables for room in rooms for tables in room.tables))
    if preparation.set_aside is not None:
        log.error(
            "database_set_aside",
            file=str(preparation.set_aside),
            damage=preparation.damage,
            salvaged_rows=preparation.salvaged_rows,
        )
    engine = sqlite.open_engine(path, cache_bytes=settings.cache_bytes)
    readers = sqlite.open_engine(path, read_only=True)
    registry = Registry()
    catalogue = Catalogue(registry)
    skipped = Skipped()
    with engine.begin() as connection:
        ensure_admin_key(connection, data / ADMIN_KEY_FILE, wall_us(), skipped)
        registry.refresh(connection)
        catalogue.load(connection, skipped)
        newest_us = read_fact(connection, "clock_high_us")
        run_no = _next_run_no(connection, wall_us())
    _note_run(engine, run_no)
    reserve.keep(path)
    clock = ClockWatch(newest_us)
    clock.judge(wall_us(), monotonic_us())
    dead_letter_cap = ByteCap(dead_letter, settings.dead_letter_bytes)
    kept_frames = ByteCap(kept_frame, settings.kept_frame_bytes)
    statements = compile_for(engine.dialect, {name: one for room in rooms for name, one in room.statements.items()})
    ingest = build_ingest(
        registry,
        statements,
        school_key,
        wall_us,
        lambda: clock.is_right_at(wall_us(), monotonic_us()),
        clock.note_stamp,
        dead_letter_cap,
        kept_frames,
        skipped,
    )
    stages = Stages()
    stages.add(partial(_note_series, catalogue))
    writer = Writer(engine, path, ingest, settings.queue_bytes, stages.tell, on_damage)
    loop = asyncio.get_running_loop()

    def on_damage_read(damage: str) -> None:
        database.mark_damaged(path)
        with suppress(RuntimeError):  # the loop is closed: this life is over
            loop.call_soon_threadsafe(tell_damage_read, damage)

    def tell_damage_read(damage: str) -> None:
        writer.give_up(damage)
        on_damage(damage)

    sqlite.explain(readers, on_damage_read)
    store = Store(writer, readers, settings.queue_bytes)
    writer.start()
    try:
        yield Core(store, writer, registry, catalogue, clock, stages, run_no, skipped, dead_letter_cap, kept_frames)
    finally:
        await writer.close()
        store.close()
        engine.dispose()
        reserve.keep(path)


def _note_series(catalogue: Catalogue, committed: Committed) -> None:
    for entry in committed.new_series:
        catalogue.add(entry)


def _next_run_no(connection: Connection, now_us: int) -> int:
    """Returns the µs of this start, or more if the clock went back since a run that was noted."""
    return max(now_us, read_fact(connection, "run_no") + 1)


def _note_run(engine: Engine, run_no: int) -> None:
    try:
        with engine.begin() as connection:
            write_fact(connection, "run_no", run_no)
    except DatabaseError as error:
        if not sqlite.is_outage(error):
            raise
        log.warning("run_not_noted", reason=str(error.orig))  # a full disk is no reason not to start

"""The single writer: a thread that commits what has come in since its last commit as one transaction.

Group commit needs no timer: while one transaction is on its way to the disk, the next group gathers. After the
commit the event loop is told once: acknowledgements first, then the stages that read what was committed.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError

from devices.frame import Intake
from foundation.errors import Unavailable
from gateway.committed import Committed
from gateway.store.database import mark_damaged
from gateway.store.group import Group, Ingest, Work, is_nobodys_fault, store, store_singly
from gateway.store.sqlite import is_damage, is_outage

T = TypeVar("T")
log = structlog.get_logger("store")

MAX_FRAMES = 8192
"""A group is closed at this many frames, so that one commit's latency stays bounded."""

RETRY_S = (0.1, 0.25, 0.5, 1.0, 2.0)
"""Pauses after failed commits; the last one repeats until the disk takes writes again."""


class _Condemned(Exception):
    """The file was found damaged by somebody else."""


@dataclass(slots=True)
class WriterStatus:
    """Figures for people and for /metrics. `failure`: why commits fail right now, None if they do not.

    `lost_total`: intakes that were not acknowledged because their state could not be stored. `untold_total`: mistakes
    of ours on the way from a commit to those who wait for it.
    """

    failure: str | None = None
    queue_bytes: int = 0
    frames_total: int = 0
    duplicates_total: int = 0
    dead_letters_total: int = 0
    lost_total: int = 0
    untold_total: int = 0
    commits_total: int = 0
    failed_commits_total: int = 0
    commit_ms: float = 0.0


class Writer:
    """Owns the writing connection. `submit`, `on_room` and `write` are called on the event loop's thread."""

    def __init__(
        self,
        engine: Engine,
        path: Path,
        ingest: Ingest,
        queue_cap_bytes: int,
        on_committed: Callable[[Committed], None],
        on_damage: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._path = path
        self._ingest = ingest
        self._cap_bytes = queue_cap_bytes
        self._on_committed = on_committed
        self._on_damage = on_damage
        self._queue: queue.SimpleQueue[Intake | Work | None] = queue.SimpleQueue()
        self._backlog: deque[Intake | None] = deque()  # taken out of the queue ahead of its turn, by the thread
        self._works: list[Work] = []  # those of the group that the thread is at
        self._damage: str | None = None
        self._waiting_for_room: deque[Callable[[], None]] = deque()
        self._commit_ms: deque[float] = deque(maxlen=128)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closing = threading.Event()
        self.status = WriterStatus()

    def start(self) -> None:
        """Starts the thread; call it on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        """Commits what was submitted and ends the thread. What cannot be committed stays unacknowledged."""
        self._is_closing.set()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def give_up(self, damage: str) -> None:
        """Somebody else found that the file is damaged: nothing more is committed, nor acknowledged."""
        self._damage = damage
        self.status.failure = damage

    def submit(self, intake: Intake) -> None:
        """See `devices.frame.Sink`."""
        self.status.queue_bytes += intake.size_bytes
        self._queue.put(intake)

    def on_room(self, call: Callable[[], None]) -> bool:
        """See `devices.frame.Sink`."""
        if self.status.queue_bytes < self._cap_bytes:
            return True
        self._waiting_for_room.append(call)
        return False

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in the next transaction, in its own savepoint; returns after the commit.

        An exception of `work` undoes only its own changes and is raised here. Raises Unavailable while the disk
        takes no writes and while the gateway closes.
        """
        if self.status.failure is not None:
            raise Unavailable(self.status.failure, retry_after_s=5.0)
        if self._is_closing.is_set():
            raise Unavailable("the gateway is closing", retry_after_s=10.0)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(Work(work, future))
        return await future

    # Below: the writer's thread.

    def _run(self) -> None:
        """Commits until it is closed. A damaged file, or a mistake of ours, ends that for good."""
        try:
            with self._engine.connect() as connection:
                is_open = True
                while is_open:
                    group, is_open = self._gather()
                    self._works = group.works
                    if group.intakes or group.works:
                        self._commit_until_done(connection, group)
        except Exception as error:  # noqa: BLE001 the thread is supervised here
            self._end_for_good(error)

    def _gather(self) -> tuple[Group, bool]:
        """Blocks for the first entry, then takes all that is there; returns whether the queue is still open."""
        intakes: list[Intake] = []
        works: list[Work] = []
        frames = 0
        backlog = self._backlog
        entry = backlog.popleft() if backlog else self._queue.get()
        while entry is not None:
            if isinstance(entry, Intake):
                intakes.append(entry)
                frames += len(entry.frames)
            else:
                works.append(entry)
            if frames >= MAX_FRAMES:
                return Group(intakes, works), True
            try:
                entry = backlog.popleft() if backlog else self._queue.get_nowait()
            except queue.Empty:
                return Group(intakes, works), True
        return Group(intakes, works), False

    def _commit_until_done(self, connection: Connection, group: Group) -> None:
        """Commits the group, however long the disk refuses. Raises if the file is damaged, and for what can be stored
        in no form: then nothing of the group is acknowledged."""
        write = store
        failures = 0
        started = time.perf_counter()
        while True:
            try:
                if self._damage is not None:
                    raise _Condemned(self._damage)
                with connection.begin():
                    committed = write(connection, self._ingest, group)
                break
            except Exception as error:
                self._ingest.forget()
                group.begin_anew()
                if isinstance(error, DatabaseError) and is_outage(error):
                    failures += 1
                    self._note_failure(str(error.orig), failures, group.works)
                    if self._is_closing.wait(RETRY_S[min(failures, len(RETRY_S)) - 1]) and failures >= len(RETRY_S):
                        return
                elif write is store and not is_nobodys_fault(error) and not isinstance(error, _Condemned):
                    log.exception(
                        "group_not_stored", frames=group.frame_count(), hint="its parts are stored one by one"
                    )
                    write = store_singly
                else:
                    raise
        if failures:
            log.info("commits_recovered", previous_errors=failures)
            self.status.failure = self._damage
        self._commit_ms.append((time.perf_counter() - started) * 1000)
        self._call_on_loop(self._finish, group, committed)

    def _note_failure(self, reason: str, failures: int, works: list[Work]) -> None:
        """Nobody who can be told waits for the disk: the works of this group, which is emptied of them, and those
        behind it in the queue."""
        self.status.failed_commits_total += 1
        if failures == 1:
            log.error("commit_failed", reason=reason, hint="nothing is acknowledged until the disk takes writes")
        self.status.failure = reason
        told = [*works, *self._take_waiting_works()]
        works.clear()
        self._refuse(told, reason)

    def _take_waiting_works(self) -> list[Work]:
        works: list[Work] = []
        with contextlib.suppress(queue.Empty):
            while True:
                entry = self._queue.get_nowait()
                if isinstance(entry, Work):
                    works.append(entry)
                else:
                    self._backlog.append(entry)
        return works

    def _refuse(self, works: list[Work], reason: str) -> None:
        for work in works:
            work.error = Unavailable(reason, retry_after_s=5.0)
        if works:
            self._call_on_loop(self._finish, Group([], works), None)

    def _end_for_good(self, error: Exception) -> None:
        """Nothing more is acknowledged. The gateway starts anew, and sets the file aside first if it is broken."""
        if isinstance(error, DatabaseError) and is_damage(error):
            damage = str(error.orig)
            log.error("database_damaged", path=str(self._path), damage=damage)
            mark_damaged(self._path)
        elif isinstance(error, _Condemned):
            damage = str(error)
        else:
            damage = f"the writer failed: {type(error).__name__}"
            log.error("writer_failed", exc_info=error)
        self.status.failure = self._damage = damage
        self._refuse(self._works, damage)
        self._call_on_loop(self._on_damage, damage)
        is_open = None not in self._backlog
        while is_open:
            entry = self._queue.get()
            if isinstance(entry, Work):
                self._refuse([entry], damage)
            is_open = entry is not None

    def _call_on_loop(self, call: Callable[..., None], *arguments: object) -> None:
        if self._loop is None:
            raise RuntimeError("the writer was not started")
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(call, *arguments)

    # Below: the event loop's thread again.

    def _finish(self, group: Group, committed: Committed | None) -> None:
        """Tells everybody of the commit: who waits for it, then the stages. Whoever raises is logged, and keeps nobody
        else from being told."""
        status = self.status
        for intake in group.intakes:
            status.queue_bytes -= intake.size_bytes
        status.lost_total += len(group.lost)
        for intake in group.intakes:
            try:
                if intake in group.lost:
                    intake.lost()
                else:
                    intake.done()
            except Exception:  # noqa: BLE001 one is supervised here
                self._note_untold("acknowledgement_failed")
        for work in group.works:
            if work.future.done():  # cancelled
                continue
            if work.error is not None:
                work.future.set_exception(work.error)
            else:
                work.future.set_result(work.result)
        if committed is not None:
            status.commits_total += 1
            status.frames_total += committed.frames
            status.duplicates_total += committed.duplicates
            status.dead_letters_total += committed.dead_letters
            status.commit_ms = self._commit_ms[-1]
            self._on_committed(committed)
        while self._waiting_for_room and status.queue_bytes < self._cap_bytes // 2:
            try:
                self._waiting_for_room.popleft()()
            except Exception:  # noqa: BLE001 one is supervised here
                self._note_untold("peer_not_let_on")

    def _note_untold(self, failure: str) -> None:
        """One's mistake must not keep the others waiting."""
        self.status.untold_total += 1
        log.exception(failure)

    def median_commit_ms(self) -> float:
        """Returns the median duration of the recent commits, in ms; 0 if there were none."""
        return median(list(self._commit_ms)) if self._commit_ms else 0.0

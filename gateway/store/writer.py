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
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError

from devices.frame import Frame, Intake
from foundation.errors import Unavailable
from gateway.committed import Committed
from gateway.store.database import mark_damaged
from gateway.store.sqlite import is_damage, is_outage, write_something

T = TypeVar("T")
log = structlog.get_logger("store")

MAX_FRAMES = 8192
"""A group is closed at this many frames, so that one commit's latency stays bounded."""

RETRY_S = (0.1, 0.25, 0.5, 1.0, 2.0)
"""Pauses after failed commits; the last one repeats until the disk takes writes again."""


class Ingest(Protocol):
    """What turns frames into rows, in the writer's thread and transaction."""

    def apply(self, connection: Connection, intakes: list[Intake]) -> Committed:
        """Writes everything the intakes hold. On any exception the caller rolls back and calls `forget`."""

    def forget(self) -> None:
        """Drops whatever memory may be ahead of the disk after a rollback; it is read again when needed."""

    def bury(self, connection: Connection, frame: Frame, reason: str) -> None:
        """Stores a frame that `apply` could not store as a dead letter."""


@dataclass(slots=True)
class _Work:
    """A piece of work for the next transaction, from the event loop. Its result crosses threads, hence Any."""

    run: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class _Condemned(Exception):
    """The file was found damaged by somebody else."""


@dataclass(slots=True)
class _Group:
    """What one transaction takes: intakes, works, and frames to bury with the reason."""

    intakes: list[Intake]
    works: list[_Work]
    buried: list[tuple[Frame, str]] = field(default_factory=list)

    def frame_count(self) -> int:
        return sum(len(intake.frames) for intake in self.intakes)

    def is_empty(self) -> bool:
        """True once its works were told that the disk takes nothing, if there was nothing else."""
        return not (self.intakes or self.works or self.buried)

    def split(self, reason: str) -> list["_Group"]:
        """Returns smaller groups with the same content; for a single frame, its burial."""
        rest = [Intake([], intake.done, 0, intake.journal, intake.events) for intake in self.intakes]
        frames = [frame for intake in self.intakes for frame in intake.frames]
        if len(frames) == 1 and not self.works and not any(part.journal or part.events for part in rest):
            return [_Group([], [], [(frames[0], reason)])]
        if not frames:
            return []  # state that cannot be written twice over is logged above and left behind
        singles = [_Group([Intake([frame], self.intakes[0].done, 0)], []) for frame in frames]
        return [*singles, _Group(rest, self.works)]


@dataclass(slots=True)
class WriterStatus:
    """Figures for people and for /metrics. `failure`: why commits fail right now, None if they do not."""

    failure: str | None = None
    queue_bytes: int = 0
    frames_total: int = 0
    duplicates_total: int = 0
    dead_letters_total: int = 0
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
        self._queue: queue.SimpleQueue[Intake | _Work | None] = queue.SimpleQueue()
        self._backlog: deque[Intake | None] = deque()  # taken out of the queue ahead of its turn, by the thread
        self._works: list[_Work] = []  # those of the group that the thread is at
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
        self._queue.put(_Work(work, future))
        return await future

    # Below: the writer's thread.

    def _run(self) -> None:
        """Commits until it is closed. A damaged file, or a mistake of ours, ends that for good."""
        try:
            with self._engine.connect() as connection:
                is_open = True
                while is_open:
                    intakes, works, is_open = self._gather()
                    self._works = works
                    if intakes or works:
                        self._commit_until_done(connection, intakes, works)
        except Exception as error:  # noqa: BLE001 the thread is supervised here
            self._end_for_good(error)

    def _gather(self) -> tuple[list[Intake], list[_Work], bool]:
        """Blocks for the first entry, then takes all that is there; returns whether the queue is still open."""
        intakes: list[Intake] = []
        works: list[_Work] = []
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
                return intakes, works, True
            try:
                entry = backlog.popleft() if backlog else self._queue.get_nowait()
            except queue.Empty:
                return intakes, works, True
        return intakes, works, False

    def _commit_until_done(self, connection: Connection, intakes: list[Intake], works: list[_Work]) -> None:
        """Commits the group, however long the disk refuses. A frame that cannot be stored is found by splitting
        the group, and buried as a dead letter: it must not stop the others, nor come back for ever."""
        pending = deque([_Group(intakes, works)])
        total = Committed(committed_us=0, last_frame_no=0)
        failures = 0
        started = time.perf_counter()
        while pending:
            group = pending[0]
            try:
                committed = self._commit(connection, group)
            except Exception as error:
                self._ingest.forget()
                for intake in group.intakes:
                    intake.refused.clear()
                if isinstance(error, _Condemned) or (isinstance(error, DatabaseError) and is_damage(error)):
                    raise
                if isinstance(error, DatabaseError) and is_outage(error):
                    failures += 1
                    self._note_failure(str(error.orig), failures, works)
                    if self._is_closing.wait(RETRY_S[min(failures, len(RETRY_S)) - 1]) and failures >= len(RETRY_S):
                        return
                    continue
                if group.buried:
                    raise  # it can be stored in no form: it must not be acknowledged
                log.exception("group_not_stored", frames=group.frame_count())
                pending.popleft()
                pending.extendleft(reversed(group.split(f"could not be stored: {type(error).__name__}")))
                continue
            pending.popleft()
            total.extend(committed)
        if failures:
            log.info("commits_recovered", previous_errors=failures)
            self.status.failure = self._damage
        self._commit_ms.append((time.perf_counter() - started) * 1000)
        self._call_on_loop(self._finish, intakes, works, total)

    def _commit(self, connection: Connection, group: "_Group") -> Committed:
        if self._damage is not None:
            raise _Condemned(self._damage)
        with connection.begin():
            committed = self._ingest.apply(connection, group.intakes)
            for frame, reason in group.buried:
                self._ingest.bury(connection, frame, reason)
                committed.dead_letters += 1
            for work in group.works:
                self._do(connection, work)
            if group.is_empty():
                write_something(connection)  # a commit of nothing would say that the disk takes writes again
        return committed

    @staticmethod
    def _do(connection: Connection, work: _Work) -> None:
        work.error = None
        savepoint = connection.begin_nested()
        try:
            work.result = work.run(connection)
            savepoint.commit()
        except Exception as error:
            if isinstance(error, DatabaseError) and (is_damage(error) or is_outage(error)):
                raise  # SQLite may have rolled everything back, the savepoint with it
            savepoint.rollback()
            work.error = error  # handed to the coroutine that asked for the work

    def _note_failure(self, reason: str, failures: int, works: list[_Work]) -> None:
        """Nobody who can be told waits for the disk: the works of this group, which is emptied of them, and those
        behind it in the queue."""
        self.status.failed_commits_total += 1
        if failures == 1:
            log.error("commit_failed", reason=reason, hint="nothing is acknowledged until the disk takes writes")
        self.status.failure = reason
        told = [*works, *self._take_waiting_works()]
        works.clear()
        self._refuse(told, reason)

    def _take_waiting_works(self) -> list[_Work]:
        works: list[_Work] = []
        with contextlib.suppress(queue.Empty):
            while True:
                entry = self._queue.get_nowait()
                if isinstance(entry, _Work):
                    works.append(entry)
                else:
                    self._backlog.append(entry)
        return works

    def _refuse(self, works: list[_Work], reason: str) -> None:
        for work in works:
            work.error = Unavailable(reason, retry_after_s=5.0)
        if works:
            self._call_on_loop(self._finish, [], works, None)

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
            if isinstance(entry, _Work):
                self._refuse([entry], damage)
            is_open = entry is not None

    def _call_on_loop(self, call: Callable[..., None], *arguments: object) -> None:
        if self._loop is None:
            raise RuntimeError("the writer was not started")
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(call, *arguments)

    # Below: the event loop's thread again.

    def _finish(self, intakes: list[Intake], works: list[_Work], committed: Committed | None) -> None:
        status = self.status
        for intake in intakes:
            status.queue_bytes -= intake.size_bytes
            intake.done()
        for work in works:
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
            self._waiting_for_room.popleft()()

    def median_commit_ms(self) -> float:
        """Returns the median duration of the recent commits, in ms; 0 if there were none."""
        return median(list(self._commit_ms)) if self._commit_ms else 0.0

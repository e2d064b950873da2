"""What one transaction of the writer takes, and how it is stored so that nothing is promised that is not kept.

    store        everything at once: the way of nearly every group
    store_singly after that has failed and was rolled back: each intake in a savepoint of its own, and in it each frame

Both write in the transaction that the caller has opened and has yet to commit, so either all of a group is on disk or
nothing is, and nobody is told before. After `store_singly` each part of the group has one of these fates:

    frame    stored | buried: it is a dead letter, in the same transaction as the rest of its intake
    intake   stored with all its frames, journal and events | lost: nothing of it is written, and `lost` names it
    work     done | failed: nothing of it is written, and its own exception goes to who asked for it

Whatever is the disk's or the file's fault is no part's fault and is raised; then the caller rolls back, and all fates
are decided anew.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from devices.frame import Frame, Intake
from gateway.committed import Committed
from gateway.store.sqlite import is_damage, is_outage, write_something

log = structlog.get_logger("store")


class Ingest(Protocol):
    """What turns frames into rows, in the writer's thread and transaction."""

    def apply(self, connection: Connection, intakes: list[Intake]) -> Committed:
        """Writes everything the intakes hold. On any exception the caller rolls back and calls `forget`."""

    def forget(self) -> None:
        """Drops whatever memory may be ahead of the disk after a rollback; it is read again when needed."""

    def bury(self, connection: Connection, frame: Frame, reason: str) -> None:
        """Stores a frame that `apply` could not store as a dead letter."""


@dataclass(slots=True)
class Work:
    """A piece of work for the next transaction, from the event loop. Its result crosses threads, hence Any.

    `run` may be called again after a rollback; what its last call returned or raised counts.
    """

    run: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class Group:
    """What one transaction takes. `lost`: intakes that could not be stored, with the reason."""

    intakes: list[Intake]
    works: list[Work]
    lost: dict[Intake, str] = field(default_factory=dict)

    def frame_count(self) -> int:
        return sum(len(intake.frames) for intake in self.intakes)

    def begin_anew(self) -> None:
        """Forgets all fates; the transaction that decided them was rolled back."""
        self.lost.clear()
        for intake in self.intakes:
            intake.refused.clear()


def is_nobodys_fault(error: BaseException) -> bool:
    """True if the disk or the file is to blame: then SQLite may have rolled back more than the last savepoint."""
    return isinstance(error, DatabaseError) and (is_damage(error) or is_outage(error))


def store(connection: Connection, ingest: Ingest, group: Group) -> Committed:
    """Writes the whole group; see the module. On any exception the caller rolls back."""
    committed = ingest.apply(connection, group.intakes)
    _do(connection, group)
    return committed


def store_singly(connection: Connection, ingest: Ingest, group: Group) -> Committed:
    """Writes the group part by part; see the module. Raises only what is the disk's or the file's fault, and what keeps
    a frame from being stored in any form: then nothing may be acknowledged."""
    total = ingest.apply(connection, [])
    for intake in group.intakes:
        try:
            with _savepoint(connection, ingest):
                committed = _store_intake(connection, ingest, intake)
        except _Lost as error:
            group.lost[intake] = str(error)
            intake.refused.clear()
            log.error("intake_lost", reason=str(error), frames=len(intake.frames), entries=len(intake.journal))
        else:
            total.extend(committed)
    _do(connection, group)
    return total


class _Lost(Exception):
    """The state that came with an intake cannot be written."""


def _store_intake(connection: Connection, ingest: Ingest, intake: Intake) -> Committed:
    total = Committed(committed_us=0, last_frame_no=0)
    for frame in intake.frames:
        single = Intake([frame], intake.done, 0)
        try:
            with _savepoint(connection, ingest):
                total.extend(ingest.apply(connection, [single]))
        except Exception as error:
            if is_nobodys_fault(error):
                raise
            reason = f"could not be stored: {type(error).__name__}"
            log.error("frame_buried", topic=frame.topic, exc_info=error)
            ingest.bury(connection, frame, reason)
            intake.refused.append((frame, reason))
            total.dead_letters += 1
            total.frames += 1
        else:
            intake.refused += single.refused
    try:
        total.extend(ingest.apply(connection, [Intake([], intake.done, 0, intake.journal, intake.events)]))
    except Exception as error:
        if is_nobodys_fault(error):
            raise
        log.error("state_not_stored", exc_info=error)
        raise _Lost(f"its state could not be stored: {type(error).__name__}") from error
    return total


@contextmanager
def _savepoint(connection: Connection, ingest: Ingest) -> Iterator[None]:
    """Undoes what is inside if it raises, on the disk and in the ingest's memory."""
    savepoint = connection.begin_nested()
    try:
        yield
        savepoint.commit()
    except Exception as error:
        ingest.forget()
        if not is_nobodys_fault(error):
            savepoint.rollback()
        raise


def _do(connection: Connection, group: Group) -> None:
    for work in group.works:
        work.error = None
        savepoint = connection.begin_nested()
        try:
            work.result = work.run(connection)
            savepoint.commit()
        except Exception as error:
            if is_nobodys_fault(error):
                raise
            savepoint.rollback()
            work.error = error  # handed to the coroutine that asked for the work
    if not (group.intakes or group.works):
        write_something(connection)  # a commit of nothing would say that the disk takes writes again

"""Checks a database from end to end without changing it: the file, and that its rows agree with each other.

Each check reads one snapshot, so that it holds beside a running gateway, and lets go of it afterwards.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from foundation.room import MAX_PROBLEMS, Room
from gateway.store.sqlite import open_engine


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check looked at and what it found wrong."""

    name: str
    examined: int
    problems: tuple[str, ...]


def verify(path: Path, rooms: Iterable[Room], on_progress: Callable[[str], None]) -> Iterator[CheckResult]:
    """Yields the result of each room's verifications as it is done. `on_progress` is told what begins.

    A file too damaged to be read is a result too; one that is not there is the caller's to notice.
    """
    engine = open_engine(path, read_only=True)
    try:
        for name, check in [entry for room in rooms for entry in room.verifications.items()]:
            on_progress(f"checking: {name} …")
            try:
                with engine.connect() as connection, connection.begin():
                    examined, problems = check(connection)
            except DatabaseError as error:
                examined, problems = 0, [f"cannot be read: {error.orig}"]
            on_progress("")
            yield CheckResult(name, examined, _bounded(problems))
    finally:
        engine.dispose()


def _bounded(problems: list[str]) -> tuple[str, ...]:
    if len(problems) <= MAX_PROBLEMS:
        return tuple(problems)
    return (*problems[:MAX_PROBLEMS], f"and {len(problems) - MAX_PROBLEMS:,} more")

"""What a room says of itself, so that whoever examines, prunes, saves or reports need not know the room.

A `Room` holds whether the room is open or not: `doctor`, `verify-store`, the schedule, retention and salvage ask
it. What is open is asked through `Reports`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeAlias, TypeVar

from sqlalchemy import Column, Connection, MetaData, delete
from sqlalchemy.sql.elements import ClauseElement

from foundation.findings import Finding

T = TypeVar("T")

Totals: TypeAlias = Mapping[str, tuple[str, float]]
"""Counters since the start: name (without `schoolgate_` and `_total`) to help and value."""

Verification: TypeAlias = Callable[[Connection], tuple[int, list[str]]]
"""Looks through rows without changing any; returns how many it examined and what is wrong with them."""

MAX_PROBLEMS: Final = 20
"""Problems of one verification that are described; the rest are counted."""


class Transactions(Protocol):
    """Where a room's rows are read and written: the store. Both raise Unavailable while the disk does not answer."""

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Runs `query` on one snapshot of the database, beside the writer."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in the next transaction; returns after its commit."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long rows live. `forget(store, before_us)` deletes those from before that moment, in short writes; doing it
    again changes nothing."""

    days: int
    forget: Callable[[Transactions, int], Awaitable[None]]


def rows_for(days: int, at_us: Column[int]) -> Lifetime:
    """Returns the lifetime of rows that are deleted by their column `at_us`, in one write."""

    async def forget(store: Transactions, before_us: int) -> None:
        await store.write(lambda connection: connection.execute(delete(at_us.table).where(at_us < before_us)))

    return Lifetime(days, forget)


@dataclass(frozen=True, slots=True)
class Job:
    """Periodic work. `once(store, now_us)` does it once; `jitter_s` keeps what is due in the same minute apart."""

    name: str
    every_s: float
    once: Callable[[Transactions, int], Awaitable[None]]
    jitter_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One room's declaration.

    `statements`: what a `JournalEntry` may name. `checks`: what keeps the room from working on this machine, looked at
    without changing anything. `verifications`: by the name that a person reads. `files`: what lies beside the
    database and belongs in a backup, whether it is there yet or not.
    """

    name: str
    tables: tuple[MetaData, ...] = ()
    statements: Mapping[str, ClauseElement] = field(default_factory=dict)
    checks: Callable[[], Iterable[Finding]] = tuple
    verifications: Mapping[str, Verification] = field(default_factory=dict)
    lifetimes: tuple[Lifetime, ...] = ()
    jobs: tuple[Job, ...] = ()
    files: tuple[Path, ...] = ()


class Reports(Protocol):
    """An open room. Both are cheap enough for every second, and raise nothing."""

    def readiness(self) -> Mapping[str, str | None]:
        """Returns the room's parts by name, with the reason why one is not ready, None if it is."""

    def totals(self) -> Totals:
        """Returns what the room counts."""

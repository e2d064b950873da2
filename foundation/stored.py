"""Rows as they really stand in a table.

SQLite holds anything in any column, whatever the column was made for: a row that cannot be read is skipped, named once
and counted, and the others work.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any, Final, TypeVar

import msgspec
import structlog
from sqlalchemy import Boolean, Column, Connection, Float, Integer, LargeBinary, Row, Select, Table, select, type_coerce
from sqlalchemy.types import NullType

from foundation.errors import SchoolgateError
from foundation.rfc3339 import LAST_US

T = TypeVar("T")
log = structlog.get_logger("store")

NAMED_OF_A_TABLE: Final = 20
"""Rows of one table that are named in the log; the rest are counted."""

REMEMBERED: Final = 10_000
LONGEST_NAME: Final = 128

UNREADABLE: Final = (ValueError, TypeError, OverflowError, SchoolgateError, msgspec.MsgspecError)
"""What reading a row raises if it holds what no program wrote."""


class Skipped:
    """Rows that could not be read since the start. Any thread may use it. `total`: each row once."""

    def __init__(self) -> None:
        self.total = 0
        self._known: set[tuple[str, str]] = set()
        self._named: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, table: str, key: object) -> None:
        """Counts a row of this key, and names it in the log, unless it was counted before."""
        if self.count(table, key) and self._named[table] <= NAMED_OF_A_TABLE:
            name = str(key)[:LONGEST_NAME]
            log.error("row_unreadable", table=table, key=name, hint="it is skipped; the other rows work")

    def count(self, table: str, key: object) -> bool:
        """Counts a row that is named elsewhere; returns False if it was counted before."""
        name = (table, str(key)[:LONGEST_NAME])
        with self._lock:
            if name in self._known:
                return False
            if len(self._known) < REMEMBERED:
                self._known.add(name)
            self.total += 1
            self._named[table] += 1
        return True


def stored(table: Table) -> Select[Any]:
    """Returns a query of all columns as they stand there: a blob stays one where a number belongs, a bool is 0 or 1."""
    return select(*(type_coerce(column, NullType()).label(column.name) for column in table.columns))


def readable(
    connection: Connection,
    table: Table,
    read: Callable[[Row[Any]], T],
    skipped: Skipped,
    query: Select[Any] | None = None,
) -> Iterator[T]:
    """Yields what `read` makes of each row of `query`, which is one of `stored` (None: of all rows).

    `read` is called with rows whose columns hold what they are made for, and raises one of UNREADABLE for what it
    cannot use.
    """
    for row in connection.execute(stored(table) if query is None else query):
        try:
            check(table, row)
            found = read(row)
        except UNREADABLE:
            skipped.note(table.name, key_of(table, row))
        else:
            yield found


def check(table: Table, row: Row[Any]) -> None:
    """Raises ValueError if a column holds another kind of value than it is made for, or a moment no calendar has."""
    for column, value in zip(table.columns, row, strict=True):
        is_right = column.nullable if value is None else _is_right(column, value)
        if not is_right:
            raise ValueError(f"{table.name}.{column.name} holds something else")


def key_of(table: Table, row: Row[Any]) -> object:
    """Returns what names the row: its primary key."""
    values = [value for column, value in zip(table.columns, row, strict=True) if column.primary_key]
    return values[0] if len(values) == 1 else tuple(values)


def is_moment(value: object) -> bool:
    """Whether the value is a time in µs that a calendar has."""
    return type(value) is int and -LAST_US <= value <= LAST_US


def _is_right(column: Column[Any], value: object) -> bool:
    kind = column.type
    if isinstance(kind, LargeBinary):
        return isinstance(value, bytes)
    if isinstance(kind, Boolean):
        return type(value) is int and value in (0, 1)
    if isinstance(kind, Float):
        return isinstance(value, float) and isfinite(value)
    if isinstance(kind, Integer):
        return is_moment(value) if column.name.endswith("_us") else type(value) is int
    return isinstance(value, str)


def within(value: int, lowest: int, highest: int) -> int:
    """Returns the number. Raises ValueError if it is none of these."""
    if not lowest <= value <= highest:
        raise ValueError(f"not {lowest} to {highest}")
    return value

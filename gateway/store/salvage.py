"""What can still be read of a damaged database, copied into a new one."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from foundation.columns import Salvage

KINDS: Final = {"TEXT": str, "BLOB": bytes, "INTEGER": int, "BIGINT": int, "SMALLINT": int, "BOOLEAN": int}
"""What a column of a type holds. SQLite does not look: in a damaged page anything may stand anywhere."""


class _Unreadable(Exception):
    """The rows end here, though there may be more."""


def salvage(damaged: Path, target: sqlite3.Connection, wanted: Iterable[Salvage]) -> int:
    """Copies the rows that can be read, table by table; returns how many. Raises sqlite3.DatabaseError if `target`
    takes no more."""
    copied = 0
    for mark in wanted:
        copied += _copy(damaged, target, mark.table)
        if mark.unfit is not None:
            target.execute(f'DELETE FROM "{mark.table}" WHERE {mark.unfit}')  # noqa: S608 our own tables say it
    return copied


def _copy(damaged: Path, target: sqlite3.Connection, table: str) -> int:
    """Reads from the first row up to the damage and, if there is any, from the last one back to it."""
    columns = [(row[1], KINDS.get(row[2], object)) for row in target.execute(f'PRAGMA table_info("{table}")')]
    names = ", ".join(f'"{name}"' for name, _ in columns)
    marks = ", ".join("?" * len(columns))
    before = target.total_changes
    target.execute("BEGIN IMMEDIATE")
    for order in ("ASC", "DESC"):
        rows = _readable(damaged, f'SELECT {names} FROM "{table}" ORDER BY rowid {order}')  # noqa: S608 own names
        sound = (
            row
            for row in rows
            if all(value is None or isinstance(value, kind) for value, (_, kind) in zip(row, columns, strict=True))
        )
        with suppress(_Unreadable):
            target.executemany(f'INSERT OR IGNORE INTO "{table}" ({names}) VALUES ({marks})', sound)  # noqa: S608
            break
    target.execute("COMMIT")
    return target.total_changes - before


def _readable(damaged: Path, query: str) -> Iterator[tuple[object, ...]]:
    """Yields rows; raises _Unreadable at the last one before the damage, for the driver reads one ahead. The file stays
    for a specialist."""
    try:
        with closing(sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)) as source:
            source.text_factory = _text
            yield from source.execute(query)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise _Unreadable from error


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data

"""What tables of all rooms share: their key, and whether their rows are carried over from a damaged file."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Integer, MetaData

ROW_ID: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite keeps a table by its row id only if the key's type is INTEGER."""


@dataclass(frozen=True, slots=True)
class Salvage:
    """Marks a table, in its `info["salvage"]`, whose rows are worth carrying over from a damaged file.

    `is_long`: it may hold many rows, and comes after the others. `unfit`: an SQL condition of rows that must not be
    carried over, though they can be read.
    """

    table: str
    is_long: bool = False
    unfit: str | None = None


def carried_over(tables: Iterable[MetaData]) -> tuple[Salvage, ...]:
    """Returns what is worth carrying over, the short tables first."""
    marked = (table.info.get("salvage") for metadata in tables for table in metadata.tables.values())
    return tuple(sorted((mark for mark in marked if isinstance(mark, Salvage)), key=lambda mark: mark.is_long))

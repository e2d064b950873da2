"""A real database file with every table, for tests of queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from gateway.store import database, sqlite

START_US = 1_795_420_800_000_000
"""2026-11-23T08:00:00Z."""


@contextmanager
def opened(directory: Path) -> Iterator[Connection]:
    """Yields a connection in a transaction on a new database."""
    path = directory / database.FILE_NAME
    database.prepare(path)
    engine = sqlite.open_engine(path)
    with engine.begin() as connection:
        yield connection
    engine.dispose()

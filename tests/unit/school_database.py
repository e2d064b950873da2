"""A real database file with every table, for tests of queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from gateway.store.database import open_engine
from gateway.store.schema import ALL_METADATA

START_US = 1_795_420_800_000_000
"""2026-11-23T08:00:00Z."""


@contextmanager
def opened(directory: Path) -> Iterator[Connection]:
    """Yields a connection in a transaction on a new database."""
    engine = open_engine(directory / "school.db")
    with engine.begin() as connection:
        for metadata in ALL_METADATA:
            metadata.create_all(connection)
        yield connection
    engine.dispose()

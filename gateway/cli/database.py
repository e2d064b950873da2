"""The database as a command opens it, beside a running gateway."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from foundation.errors import Conflict, Unavailable
from gateway.configuration.sections import Configuration
from gateway.errors import Corrupt

if TYPE_CHECKING:  # loading SQLAlchemy takes longer than all that a command does without a database
    from sqlalchemy import Connection

    from gateway.store.page import Page

T = TypeVar("T")


ACTOR = "gateway"
PAGE = 1_000


@contextmanager
def connected(configuration: Configuration, *, is_writing: bool) -> "Iterator[Connection]":
    """One transaction beside a running gateway; to write, on a new database if there is none yet.

    Raises Conflict, Corrupt or Unavailable for a database that cannot be used.
    """
    from sqlalchemy.exc import DatabaseError

    from gateway.store.database import FILE_NAME, is_empty, prepare
    from gateway.store.revision import Fit, fit_of
    from gateway.store.sqlite import is_damage, open_engine

    path = configuration.node.data / FILE_NAME
    try:
        if not path.exists() and not is_writing:
            raise no_database(path)
        if is_writing and is_empty(path):  # nobody has made it, or somebody is making it right now
            prepare(path)
        engine = open_engine(path, read_only=not is_writing)
        try:
            with engine.begin() as connection:
                if fit_of(connection) is not Fit.CURRENT:
                    raise Conflict(f"{path} was made by another version: restart the gateway, it migrates the file")
                yield connection
        finally:
            engine.dispose()
    except DatabaseError as error:
        if is_damage(error):
            raise Corrupt(path, f"{error.orig}; restart the gateway: it sets the file aside and goes on") from error
        raise Unavailable(f"{path} cannot be used: {error.orig}", retry_after_s=30.0) from error


def no_database(path: Path) -> Unavailable:
    return Unavailable(f"{path} is not there: is --data right, was the gateway ever started?", retry_after_s=0.0)


def every(page: "Callable[[str | None], Page[T, str]]") -> list[T]:
    """The items of all pages."""
    found: list[T] = []
    after_id: str | None = None
    while True:
        one = page(after_id)
        found += one.items
        after_id = one.next
        if after_id is None:
            return found

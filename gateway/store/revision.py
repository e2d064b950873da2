"""Which revision of the schema a database has, and which one this program wants."""

import enum
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, inspect


class Fit(enum.Enum):
    """How a database's schema fits this program."""

    CURRENT = "current"
    OLDER = "older"
    """The next start of the gateway migrates it."""
    UNKNOWN = "unknown"
    """A newer program made it, or it is no database of ours."""


@cache
def _revisions() -> tuple[str, ...]:
    """Every revision, newest first. Their files are named after them in order, so Alembic need not be asked."""
    files = (Path(__file__).parent / "migrations" / "versions").glob("[0-9]*.py")
    return tuple(sorted((file.stem.partition("_")[0] for file in files), reverse=True))


def fit_of(connection: Connection) -> Fit:
    """Returns how the connected database fits. Raises sqlalchemy's DatabaseError for a damaged file."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return Fit.OLDER
    if "alembic_version" not in tables:
        return Fit.UNKNOWN
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found not in (None, *_revisions()):
        return Fit.UNKNOWN
    return Fit.CURRENT if found == _revisions()[0] else Fit.OLDER

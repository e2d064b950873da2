"""The database file: makes or migrates it, and sets a damaged one aside so that the gateway starts."""

import fcntl
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import DatabaseError

from foundation.clocks import wall_us
from foundation.columns import Salvage
from foundation.durable_file import sync_directory
from foundation.errors import Unavailable
from gateway.errors import Corrupt
from gateway.store import reserve
from gateway.store.landed import settle
from gateway.store.revision import Fit, fit_of
from gateway.store.salvage import salvage
from gateway.store.sqlite import UNNAMEABLE, is_damage, open_engine, quick_check

FILE_NAME = "schoolgate.db"
SUFFIXES = ("-wal", "-shm", "")
"""A database's files in the order of moving it away: no log may be left to be taken for the next one's."""


VERSION = re.compile(r"\w{1,32}", re.ASCII)

OUR_TABLES = frozenset({"device", "pack", "fact"})


@dataclass(frozen=True, slots=True)
class Preparation:
    """How the database was found. `set_aside`: where a damaged one was moved to, None if it was sound."""

    path: Path
    set_aside: Path | None
    damage: str | None
    salvaged_rows: int


def migrate(engine: Engine) -> None:
    """Brings the schema to the newest revision; harmless if it is there already. Raises Corrupt for a database that
    is none of ours."""
    with engine.connect() as connection:
        fit = fit_of(connection)
    if fit is Fit.CURRENT:
        return
    if fit is Fit.UNKNOWN:
        path = Path(str(engine.url.database))
        raise Corrupt(path, "a newer Schoolgate made it, or another program: install that one, or move the file away")
    from alembic import command  # loading it takes a tenth of a start, and most starts need no migration
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        settle(connection)
        command.upgrade(config, "head")


def is_empty(path: Path) -> bool:
    """Whether there is no file, or one without tables. Raises DatabaseError."""
    if not path.exists():
        return True
    engine = open_engine(path, read_only=True)
    try:
        with engine.connect() as connection:
            return not inspect(connection).get_table_names()
    finally:
        engine.dispose()


def prepare(path: Path, wanted: Sequence[Salvage] = ()) -> Preparation:
    """Makes a usable, migrated database of `path`, whatever is there. A damaged file is renamed beside it, what can
    still be read of the `wanted` tables is carried over, and the audit log says so. Raises Corrupt if even that
    fails or the file is not ours to touch, Unavailable if the disk does not let it be used."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = os.umask(0o077)  # SQLite makes its log with the rights that the database has
    try:
        return _prepared(path, wanted)
    except Unavailable:
        if not reserve.give_up(path):
            raise
        return _prepared(path, wanted)
    finally:
        os.umask(before)


def _prepared(path: Path, wanted: Sequence[Salvage]) -> Preparation:
    fresh = path.with_name(path.name + ".new")
    try:
        with _alone(path):
            if fresh.exists() and not path.exists():
                fresh.rename(path)  # the last start ended between the two renames below
            damage = _damage_of(path)
            if damage is None:
                return Preparation(path, None, None, 0)
            return _replace(path, fresh, damage, wanted)
    except (DatabaseError, sqlite3.DatabaseError) as error:
        reason = error.orig if isinstance(error, DatabaseError) else error
        is_full = shutil.disk_usage(path.parent).free < reserve.SIZE_BYTES
        hint = " (the disk is full: make room and start again)" if is_full else ""
        raise Unavailable(f"{path} cannot be used: {reason}{hint}", retry_after_s=30.0) from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits for whoever prepares the same database in another process: a file that is being made looks damaged."""
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _replace(path: Path, fresh: Path, damage: str, wanted: Sequence[Salvage]) -> Preparation:
    """Makes a new database beside the damaged one, and puts it in its place when it is whole."""
    for suffix in SUFFIXES:
        fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
    second = _damage_of(fresh)
    if second is not None:
        raise Corrupt(path, f"a new database could not be made either ({second}); check the disk")
    aside = _free_name(path)
    with closing(sqlite3.connect(fresh, isolation_level=None)) as target:
        copied = salvage(path, target, wanted)
        row = (wall_us(), "gateway", "database_set_aside", str(aside), 1)
        target.execute("INSERT INTO audit (at_us, actor, action, detail, count) VALUES (?, ?, ?, ?, ?)", row)
    for suffix in SUFFIXES:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    fresh.rename(path)
    _note(path).unlink(missing_ok=True)
    sync_directory(path.parent)
    return Preparation(path, aside, damage, copied)


def mark_damaged(path: Path) -> None:
    """Leaves a note that the running gateway met damage in `path`, so that the next `prepare` sets it aside. Without
    it, on a full disk, that has to find the damage itself."""
    with suppress(OSError):
        _note(path).touch(mode=0o600)


def is_marked_damaged(path: Path) -> bool:
    """Whether `mark_damaged` was called since the file was last prepared."""
    return _note(path).exists()


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".damaged-found")


def _damage_of(path: Path) -> str | None:
    """Touches every table, looks through as much as a start has time for, and migrates the file; returns what is
    wrong with it, or None."""
    if _note(path).exists():
        return "damage was found while running"
    if path.exists() and path.stat().st_size == 0:
        return "the file is empty"
    engine = open_engine(path, cache_bytes=2 << 20)
    try:
        with engine.connect() as connection:
            damage = _damage_within(connection)
        if damage is None:
            migrate(engine)
    except UnicodeDecodeError:
        return UNNAMEABLE
    except DatabaseError as error:
        if not is_damage(error):
            raise
        return str(error.orig)
    else:
        return damage
    finally:
        engine.dispose()


def _damage_within(connection: Connection) -> str | None:
    tables = set(inspect(connection).get_table_names())
    for table in tables:
        connection.exec_driver_sql(f'SELECT * FROM "{table}" LIMIT 1').all()  # noqa: S608 own table names
    if tables >= OUR_TABLES:
        versions: list[object] = []
        if "alembic_version" in tables:
            versions = list(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars())
        if len(versions) != 1 or not VERSION.fullmatch(str(versions[0])):
            return "its version cannot be read"
    return quick_check(connection)


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while aside.exists():
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
        number += 1
    return aside

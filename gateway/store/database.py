"""The database file: opens engines on it, migrates it, and sets a damaged one aside so that the gateway starts."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError

from gateway.errors import Corrupt
from gateway.store.revision import Fit, fit_of

FILE_NAME = "schoolgate.db"
BUSY_TIMEOUT_S = 30.0
CHECKPOINT_PAGES = 16_000
"""64 MiB of log: a page that is written again and again is copied to the database once."""
READERS = 4
READER_CACHE_KIB = 4096

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
SALVAGED = ("device", "device_status", "api_key", "person", "card", "rule", "series", "fact")
"""Small tables worth carrying over from a damaged file, as far as they can be read."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How the database was found. `set_aside`: where a damaged one was moved to, None if it was sound."""

    path: Path
    set_aside: Path | None
    damage: str | None
    salvaged_rows: int


def open_engine(path: Path, *, cache_bytes: int = 32 << 20, read_only: bool = False) -> Engine:
    """Returns an engine on the SQLite file: WAL, synchronous=FULL, one connection that begins IMMEDIATE; with
    `read_only` a small pool of connections that cannot write."""
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=READERS if read_only else 1,
        max_overflow=0,
        connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None, "check_same_thread": False},
    )
    cache_kib = READER_CACHE_KIB if read_only else cache_bytes >> 10

    @event.listens_for(engine, "connect")
    def _set_up(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA cache_size=-{cache_kib}")
        cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        cursor.execute(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def migrate(engine: Engine) -> None:
    """Brings the schema to the newest revision; harmless if it is there already."""
    with engine.connect() as connection:
        if fit_of(connection) is Fit.CURRENT:
            return
    from alembic import command  # loading it takes a tenth of a start, and most starts need no migration
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_damage(error: DatabaseError) -> bool:
    """True if SQLite says that the file itself is broken (not busy, not full, not a wrong statement)."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in DAMAGE


def prepare(path: Path) -> Preparation:
    """Makes a usable, migrated database of `path`, whatever is there. A damaged file is renamed beside it, and
    what can still be read of the small tables is carried over. Raises Corrupt only if even that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    damage = _damage_of(path)
    if damage is None:
        return Preparation(path, None, None, 0)
    aside = _set_aside(path)
    second = _damage_of(path)
    if second is not None:
        raise Corrupt(path, f"a new database could not be made either ({second}); check the disk")
    return Preparation(path, aside, damage, _salvage(aside, path))


def mark_damaged(path: Path) -> None:
    """Leaves a note that the running gateway met damage in `path`, so that the next `prepare` sets it aside."""
    _note(path).touch()


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".damaged-found")


def _damage_of(path: Path) -> str | None:
    """Migrates the file and touches every table; returns what is wrong with it, or None."""
    if _note(path).exists():
        return "damage was found while running"
    engine = open_engine(path, cache_bytes=2 << 20)
    try:
        migrate(engine)
        with engine.connect() as connection:
            for table in inspect(connection).get_table_names():
                connection.exec_driver_sql(f'SELECT * FROM "{table}" LIMIT 1').all()  # noqa: S608 own table names
    except DatabaseError as error:
        if not is_damage(error):
            raise
        return str(error.orig)
    finally:
        engine.dispose()
    return None


def _set_aside(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while aside.exists():
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    _note(path).unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return aside


@contextmanager
def _plain(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def _salvage(damaged: Path, path: Path) -> int:
    """Copies the readable rows of the small tables; returns how many."""
    copied = 0
    with _plain(path) as target:
        for table in SALVAGED:
            names = [row[1] for row in target.execute(f'PRAGMA table_info("{table}")')]
            if not names:
                continue
            columns = ", ".join(f'"{name}"' for name in names)
            marks = ", ".join("?" * len(names))
            try:
                with _plain(damaged) as source:
                    for row in source.execute(f'SELECT {columns} FROM "{table}"'):  # noqa: S608 own names
                        target.execute(f'INSERT OR IGNORE INTO "{table}" ({columns}) VALUES ({marks})', row)  # noqa: S608
                        copied += 1
            except sqlite3.DatabaseError:
                continue  # as far as it can be read; the file itself stays for a specialist
    return copied

"""What is SQLite's alone: engines on a file, what its errors mean, whether the file is sound. A second database would
stand beside this module."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DatabaseError

from foundation.errors import Unavailable
from foundation.room import MAX_PROBLEMS

BUSY_TIMEOUT_S = 30.0


CHECKPOINT_PAGES = 16_000
"""64 MiB of log: a page that is written again and again is copied to the database once."""


READERS = 4
"""Threads that read. There is one connection more, for look-ups on the event loop."""


READER_CACHE_KIB = 4096


CHECK_WITHIN_S = 0.3
"""A start looks through the file for this long; damage that lies deeper is met while running."""


DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


DAMAGED_READS = frozenset({sqlite3.SQLITE_IOERR_DATA, sqlite3.SQLITE_IOERR_CORRUPTFS})


UNDECODABLE = "Could not decode to UTF-8"
"""How the driver's message begins for a text that is none; SQLite itself does not look."""


UNNAMEABLE = "malformed database schema"
"""SQLite quotes the broken name in its message; if that is no text the driver raises UnicodeDecodeError instead."""


OUTAGE = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


def open_engine(path: Path, *, cache_bytes: int = 32 << 20, read_only: bool = False) -> Engine:
    """Returns an engine on the SQLite file: WAL, synchronous=FULL, one connection that begins IMMEDIATE; with
    `read_only` a small pool of connections that cannot write."""
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=READERS + 1 if read_only else 1,
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


def explain(readers: Engine, on_damage: Callable[[str], None]) -> None:
    """Has what these connections meet raised as Unavailable if it is the file's or the disk's fault. `on_damage` is
    called with SQLite's words, in the thread that met the damage."""

    @event.listens_for(readers, "handle_error")
    def _translate(context: ExceptionContext) -> Exception | None:
        error = context.sqlalchemy_exception
        if isinstance(context.original_exception, UnicodeDecodeError):
            on_damage(UNNAMEABLE)
            return Unavailable(f"the database is damaged: {UNNAMEABLE}", retry_after_s=10.0)
        if not isinstance(error, DatabaseError):
            return None
        if is_damage(error):
            on_damage(str(error.orig))
            return Unavailable(f"the database is damaged: {error.orig}", retry_after_s=10.0)
        if is_outage(error):
            return Unavailable(f"the database cannot be read: {error.orig}", retry_after_s=5.0)
        return None


def is_damage(error: DatabaseError) -> bool:
    """True if the file itself is broken (not busy, not full, not a wrong statement)."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is None:
        return str(error.orig).startswith(UNDECODABLE)
    return code & 0xFF in DAMAGE or code in DAMAGED_READS


def is_outage(error: DatabaseError) -> bool:
    """True if the same statement may succeed later: the disk is full, does not answer, or is read-only for now."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in OUTAGE and not is_damage(error)


def write_something(connection: Connection) -> None:
    """Makes a transaction one that needs the disk."""
    number = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    connection.exec_driver_sql(f"PRAGMA user_version = {(number + 1) % (1 << 30)}")


def quick_check(connection: Connection) -> str | None:
    """Returns the first thing that SQLite finds wrong within `CHECK_WITHIN_S`, None if it finds nothing by then."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 the engine is ours
    until_s = time.monotonic() + CHECK_WITHIN_S
    driver.set_progress_handler(lambda: time.monotonic() > until_s, 20_000)
    try:
        found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
    except DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
            raise
        return None
    finally:
        driver.set_progress_handler(None, 0)
    return None if found == "ok" else found


def check_file(connection: Connection) -> tuple[int, list[str]]:
    """SQLite's own integrity check: every page, every row in every index, every unique key."""
    answers = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA integrity_check({MAX_PROBLEMS + 1})")]
    pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
    return pages, [] if answers == ["ok"] else answers


def watch_deletions(connection: Connection, table: Table) -> None:
    """Has this connection note from now on how many bytes of `payload` it deletes from the table. A note is rolled back
    with the rows."""
    noted = _noted(table)
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE IF NOT EXISTS {noted} (bytes INTEGER NOT NULL)")
    connection.exec_driver_sql(f"DELETE FROM temp.{noted}")  # noqa: S608 own names
    connection.exec_driver_sql(f"INSERT INTO temp.{noted} VALUES (0)")  # noqa: S608 own names
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TRIGGER IF NOT EXISTS note_{noted} AFTER DELETE ON main.{table.name} "  # noqa: S608 own names
        f"BEGIN UPDATE {noted} SET bytes = bytes + length(old.payload); END"
    )


def take_deleted_bytes(connection: Connection, table: Table) -> int:
    """Returns what was deleted since the last call, or since `watch_deletions`."""
    noted = _noted(table)
    found = int(connection.exec_driver_sql(f"SELECT bytes FROM temp.{noted}").scalar_one())  # noqa: S608 own names
    connection.exec_driver_sql(f"UPDATE temp.{noted} SET bytes = 0")  # noqa: S608 own names
    return found


def _noted(table: Table) -> str:
    return f"deleted_from_{table.name}"

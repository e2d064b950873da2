"""A little of the disk, kept for the day it is full: a database that was closed cleanly needs some to be opened."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

SIZE_BYTES: Final = 64 << 10
"""SQLite makes the index of its log, 32 KiB, before the first page is read."""


def keep(database: Path) -> None:
    """Takes room beside the database unless that was done before; harmless if there is none."""
    path = _path(database)
    with suppress(OSError):
        if path.stat().st_size >= SIZE_BYTES:
            return
    with suppress(OSError):
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(file, 0, SIZE_BYTES)
        except OSError:
            path.unlink()
        finally:
            os.close(file)


def give_up(database: Path) -> bool:
    """Gives the room back; returns whether there was any."""
    try:
        _path(database).unlink()
    except OSError:
        return False
    return True


def _path(database: Path) -> Path:
    return database.with_name(f"{database.name}.reserve")

"""The data directory: one gateway at a time runs on it, and nobody else reads what lies in it."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from foundation.errors import Conflict
from gateway.store.database import FILE_NAME

log = structlog.get_logger("gateway")

LOCK_NAME: Final = "gateway.lock"

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600

SUFFIXES: Final = ("", "-wal", "-shm", ".reserve", ".lock")
LONGEST_PID: Final = 20


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Makes the directory if there is none, and keeps other gateways from it until left; for a process that ends in
    whatever way the system lets go. Commands beside the gateway do not ask.

    Raises Conflict, naming the process, if another gateway runs on the directory; OSError if it cannot be made.
    """
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    path = directory / LOCK_NAME
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
    except OSError as error:  # what follows says whether the directory can be used
        log.warning("data_not_locked", path=str(path), reason=error.strerror)
        yield
        return
    try:
        _take(lock, path)
        with suppress(OSError):  # a full disk: the lock holds, though it does not say whose it is
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def _take(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, LONGEST_PID, 0).decode("ascii", "replace").strip()
        who = f"process {holder}" if holder.isdecimal() else "another process"
        raise Conflict(
            f"{path.parent} is in use: a gateway runs on it already, {who}; stop that one, or choose another directory "
            "with --data"
        ) from None
    except OSError as error:  # some network file systems
        log.warning("data_not_locked", path=str(path), reason=error.strerror)


def tighten(directory: Path, files: Iterable[Path]) -> None:
    """Takes from everybody else the rights to the directory, to the database in it, and to those of `files` that lie in
    it. What does not let itself be changed is logged."""
    database = directory / FILE_NAME
    ours = [directory, directory / LOCK_NAME, *(database.with_name(FILE_NAME + suffix) for suffix in SUFFIXES)]
    ours += directory.glob(f"{FILE_NAME}.damaged-*")
    ours += [file for file in files if file.is_relative_to(directory)]
    for path in ours:
        try:
            mode = path.stat().st_mode & 0o7777
            wanted = mode & (DIRECTORY_MODE if path.is_dir() else FILE_MODE)
            if mode != wanted:
                path.chmod(wanted)
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("rights_not_taken", path=str(path), reason=error.strerror)

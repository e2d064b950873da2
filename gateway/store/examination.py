"""What could keep the store from working on this machine: the disk, its room and speed, the database, the clock."""

import os
import shutil
import sqlite3
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from foundation.clock import MINUTE_US, SECOND_US
from foundation.clocks import wall_us
from foundation.findings import Finding, bad, good, warning
from gateway.clockwatch import MADE_US
from gateway.configuration.sections import MIB
from gateway.store.database import FILE_NAME
from gateway.store.facts import read_fact
from gateway.store.revision import Fit, fit_of
from gateway.store.sqlite import is_damage, open_engine

LEAST_FREE_BYTES = 256 * MIB


COMFORTABLE_FREE_BYTES = 2048 * MIB


LEAST_SQLITE = (3, 35, 0)  # RETURNING, and ALTER TABLE DROP COLUMN for migrations


FSYNC_ROUNDS = 7


SLOW_FSYNC_MS = 50.0


LATEST = datetime(2100, 1, 1, tzinfo=UTC)


CLOCK_TOLERANCE_US = 5 * MINUTE_US


NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs"})


VOLATILE_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs"})


def check_store(data: Path) -> Iterator[Finding]:
    """Everything that the store needs of the machine, in the order of what depends on what."""
    yield from check_data(data)
    yield from check_sqlite()
    yield from check_database(data)


def check_data(directory: Path) -> Iterator[Finding]:
    """The data directory takes files, on a disk that keeps them and has room."""
    existing = directory
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if existing != directory:
        text = f"{directory} is not there yet"
        if not os.access(existing, os.W_OK | os.X_OK):
            yield bad("data directory", f"{text} and cannot be made in {existing}", "choose another with --data")
            return
        yield good("data directory", f"{text}; the first start makes it")
    else:
        try:
            times_ms = fsync_times_ms(directory)
        except OSError as error:
            advice = f"make it writable for this user (chown), or choose another with --data: {error.strerror}"
            yield bad("data directory", f"{directory} cannot be written", advice)
            return
        yield good("data directory", f"{directory} can be written")
        yield _fsync_finding(statistics.median(times_ms))
    yield from _file_system_findings(existing)
    free = shutil.disk_usage(existing).free
    text = f"{free / MIB:,.0f} MiB free"
    if free < LEAST_FREE_BYTES:
        yield bad("disk space", text, "make room: on a full disk nothing is acknowledged any more")
    elif free < COMFORTABLE_FREE_BYTES:
        yield warning("disk space", text, "make room, or keep readings for fewer days (store.raw_days)")
    else:
        yield good("disk space", text)


def fsync_times_ms(directory: Path) -> list[float]:
    """Returns how long it takes to put 4 KiB safely on the disk of `directory`. Raises OSError."""
    file = directory / f".doctor-{os.getpid()}"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        times = []
        for _ in range(FSYNC_ROUNDS):
            os.write(descriptor, bytes(4096))
            started = time.perf_counter()
            os.fsync(descriptor)
            times.append((time.perf_counter() - started) * 1000)
        return times
    finally:
        os.close(descriptor)
        file.unlink()


def _fsync_finding(median_ms: float) -> Finding:
    text = f"fsync takes {median_ms:.2f} ms"
    if median_ms > SLOW_FSYNC_MS:
        return warning("disk speed", text, "acknowledgements wait for it: use an SSD rather than an SD card")
    return good("disk speed", text)


def _file_system_findings(directory: Path) -> Iterator[Finding]:
    kind = file_system_of(directory)
    if kind in NETWORK_FILE_SYSTEMS:
        text = f"{directory} is on a network file system ({kind})"
        yield bad("file system", text, "move it to a local disk: SQLite's write-ahead log needs one")
    elif kind in VOLATILE_FILE_SYSTEMS:
        text = f"{directory} is in memory ({kind})"
        yield warning("file system", text, "move it to a disk: everything in it is lost when the machine stops")
    elif kind:
        yield good("file system", kind)


def file_system_of(path: Path) -> str:
    """Returns the type of the file system that holds `path`; empty where the system does not say."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    except OSError:
        return ""
    target = path.resolve()
    best = (-1, "")
    for line in lines:  # proc(5): id parent major:minor root mount-point options … - type source options
        mount, _, described = line.partition(" - ")
        point = Path(mount.split()[4].replace("\\040", " "))
        if target.is_relative_to(point):
            best = max(best, (len(point.parts), described.split()[0]), key=lambda one: one[0])
    return best[1]


def check_sqlite() -> Iterator[Finding]:
    text = f"version {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        wanted = ".".join(map(str, LEAST_SQLITE))
        yield bad("SQLite", f"{text} is older than {wanted}", "use a newer Python, it brings a newer SQLite")
    elif sqlite3.threadsafety == 0:
        yield bad("SQLite", f"{text} was built without threads", "use another build of Python")
    else:
        yield good("SQLite", text)


def check_database(data: Path) -> Iterator[Finding]:
    """The database opens, fits this program, and does not lie in the future of this machine's clock."""
    path = data / FILE_NAME
    for aside in sorted(data.glob("*.damaged-*")):
        if not aside.name.endswith(("-wal", "-shm")):
            text = f"{aside} was set aside as damaged"
            yield warning("damaged file", text, "keep a copy for a specialist, then remove it; check the disk")
    now_us = wall_us()
    if not path.exists():
        yield good("database", f"{path} is not there yet; the first start makes it")
        yield clock_finding(now_us, None)
        return
    try:
        engine = open_engine(path, read_only=True)
        try:
            with engine.begin() as connection:
                fit = fit_of(connection)
                highest_us = read_fact(connection, "clock_high_us") if fit is Fit.CURRENT else None
        finally:
            engine.dispose()
    except DatabaseError as error:
        if is_damage(error):
            advice = "start the gateway: it sets the file aside, carries over what it can, and goes on"
            yield bad("database", f"{path} is damaged: {error.orig}", advice)
        else:
            yield bad("database", f"{path} cannot be opened: {error.orig}", "check its owner and rights")
        yield clock_finding(now_us, None)
        return
    if fit is Fit.CURRENT:
        yield good("database", f"{path} opens, and its schema is current")
    elif fit is Fit.OLDER:
        yield warning("database", f"{path} has an older schema", "make a backup; the next start migrates it")
    else:
        yield bad("database", f"{path} was made by a newer version", "install that version again")
    yield clock_finding(now_us, highest_us)


def clock_finding(now_us: int, highest_us: int | None) -> Finding:
    """Judges this machine's clock by the calendar and by the latest moment that the gateway has seen."""
    now = datetime.fromtimestamp(now_us / SECOND_US, UTC)
    text = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    advice = "set it, and let it be kept right (timedatectl set-ntp true): times of events hang on it"
    if now_us < MADE_US or now > LATEST:
        return bad("clock", f"{text} cannot be right", advice)
    if highest_us is not None and now_us < highest_us - CLOCK_TOLERANCE_US:
        behind = timedelta(seconds=(highest_us - now_us) // SECOND_US)
        return bad("clock", f"{text} is {behind} before what the gateway has seen already", advice)
    return good("clock", text)

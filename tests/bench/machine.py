"""The machine that the figures were taken on."""

import os
import platform
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

FSYNCS = 100
BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Machine:
    """`fsync_ms`: median of writing a block of 4 KiB to the data's disk and waiting until it is there.
    `load`: how many programs wanted a core in the minute before."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    sqlite: str
    mosquitto: str
    fsync_ms: float
    load: float

    def text(self) -> str:
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory_gib:.1f} GiB; {self.kernel}\n"
            f"Python {self.python}, SQLite {self.sqlite}, Mosquitto {self.mosquitto}; "
            f"fsync {self.fsync_ms:.2f} ms (median of {FSYNCS}); load before: {self.load:.1f}"
        )


def machine(directory: Path) -> Machine:
    """Returns what there is to say of this machine; `directory` lies on the disk to try."""
    return Machine(
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        mosquitto=_mosquitto_version(),
        fsync_ms=round(_fsync_ms(directory), 3),
        load=round(os.getloadavg()[0], 2),
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or "unknown processor"


def _mosquitto_version() -> str:
    """Mosquitto says its version at the head of its help, and ends with 3."""
    answer = subprocess.run(["/usr/sbin/mosquitto", "-h"], capture_output=True, text=True, check=False).stdout
    return answer.split(maxsplit=3)[2] if answer else "unknown"


def _fsync_ms(directory: Path) -> float:
    path = directory / "fsync"
    times: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            began = time.perf_counter()
            file.write(bytes(BLOCK))
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    path.unlink()
    return statistics.median(times)


def forget_files(paths: Iterable[Path]) -> None:
    """Has the system drop these files, and all in these directories, from memory, as far as nobody uses them."""
    for path in paths:
        for file in path.rglob("*") if path.is_dir() else (path,):
            if file.is_file():
                with file.open("rb") as opened:
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

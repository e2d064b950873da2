"""Disks that are full when a test says so: a small file system, or a limit on the size of any one file."""

import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from tests.gateway_process import GatewayProcess

SIZE = "24m"


class Disk(Protocol):
    """Where a gateway keeps its data. `data` is the directory."""

    data: Path

    def fill(self, gateway: GatewayProcess) -> None:
        """From now on nothing more can be written."""

    def make_room(self, gateway: GatewayProcess) -> None:
        """From now on there is room again."""


class LimitedFiles:
    """No file of the running gateway may grow beyond the log of its database: needs no privilege."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def fill(self, gateway: GatewayProcess) -> None:
        _, hard = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
        size_bytes = (self.data / "schoolgate.db-wal").stat().st_size
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (size_bytes, hard))

    def make_room(self, gateway: GatewayProcess) -> None:
        _, hard = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (hard, hard))


class SmallFileSystem:
    """A file system of its own in memory, filled by somebody else's file. Mounting it needs root."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._ballast = data / "somebody-elses-film"

    def fill(self, gateway: GatewayProcess) -> None:
        with self._ballast.open("ab", buffering=0) as ballast, suppress(OSError):
            size = 1 << 20
            while size:
                try:
                    ballast.write(bytes(size))
                except OSError:
                    size >>= 1

    def make_room(self, gateway: GatewayProcess) -> None:
        self._ballast.unlink()


@contextmanager
def limited_files(data: Path) -> Iterator[Disk]:
    yield LimitedFiles(data)


@contextmanager
def small_file_system(data: Path) -> Iterator[Disk]:
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", data], check=True, capture_output=True)
    try:
        yield SmallFileSystem(data)
    finally:
        subprocess.run(["umount", "--lazy", data], check=True, capture_output=True)


def may_mount() -> bool:
    """Whether this process may mount a file system: root in a container often may not."""
    try:
        with tempfile.TemporaryDirectory() as directory, small_file_system(Path(directory) / "data"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False

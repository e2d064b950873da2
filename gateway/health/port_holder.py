"""Who listens on a TCP port, as Linux's /proc tells it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LISTEN = "0A"  # TCP_LISTEN in the `st` column, proc(5)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that listens. `command` is its program and first words, without secrets that may follow."""

    pid: int
    command: str
    is_gateway: bool


def holder_of(port: int) -> Holder | None:
    """Returns the process that listens on `port`; None if none does, or it is not ours to see."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):  # it ended, or belongs to somebody else
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) in sockets:
                        return _described(process)
    return None


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


def _described(process: Path) -> Holder:
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    names = [Path(word).name for word in words]
    return Holder(int(process.name), " ".join(names[:2]).strip(), "schoolgate" in names and "run" in names)

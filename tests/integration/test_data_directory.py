"""The data directory belongs to one gateway, and to nobody else."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog.testing

from gateway.store.data_directory import LOCK_NAME, tighten
from gateway.store.database import FILE_NAME
from tests.gateway_process import GatewayProcess


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_second_gateway_on_the_directory_ends_and_names_the_first(gateway: GatewayProcess) -> None:
    second = GatewayProcess(gateway.data)
    ended = second.command("run")
    assert ended.returncode == 1
    assert f"process {gateway.pid}" in ended.stderr
    assert str(gateway.data) in ended.stderr
    assert "Traceback" not in ended.stderr
    gateway.wait_until_ready()
    assert gateway.command("devices", "add", "lab-7", "--kind", "sensor").returncode == 0


def test_the_lock_of_a_dead_gateway_is_no_obstacle(gateway: GatewayProcess) -> None:
    gateway.kill9()
    gateway.start()
    assert (gateway.data / LOCK_NAME).read_text().strip() == str(gateway.pid)
    gateway.stop()
    (gateway.data / LOCK_NAME).write_bytes(b"\xff" * 100)
    gateway.start()
    assert (gateway.data / LOCK_NAME).read_text().strip() == str(gateway.pid)


def test_the_directory_and_its_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path / "data")
    with umask(0), gateway:
        found = {path.name: mode(path) for path in gateway.data.iterdir() if path.is_file()}
        assert {FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", "admin.key", "card.key", LOCK_NAME} <= set(found)
        assert {name: right for name, right in found.items() if right != 0o600} == {}
        assert mode(gateway.data) == 0o700


def test_what_a_command_makes_is_private_too(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path / "data")
    with umask(0):
        assert gateway.command("devices", "add", "lab-7", "--kind", "sensor").returncode == 0
    assert mode(gateway.data) == 0o700
    assert mode(gateway.data / FILE_NAME) == 0o600


def test_a_start_takes_rights_away_that_others_have_and_leaves_what_is_not_ours(gateway: GatewayProcess) -> None:
    gateway.stop()
    aside, foreign = gateway.data / f"{FILE_NAME}.damaged-20260101T000000Z", gateway.data / "notes.txt"
    aside.touch()
    foreign.touch()
    for path in (foreign, *gateway.data.glob("*.key"), *gateway.data.glob(f"{FILE_NAME}*"), gateway.data / LOCK_NAME):
        path.chmod(0o666)
    gateway.data.chmod(0o755)
    gateway.start()
    assert {path.name for path in gateway.data.iterdir() if path.is_file() and mode(path) != 0o600} == {"notes.txt"}
    assert mode(foreign) == 0o666
    assert mode(gateway.data) == 0o700


def test_a_directory_that_keeps_its_rights_is_logged_and_no_obstacle() -> None:
    with structlog.testing.capture_logs() as entries:
        tighten(Path("/proc/self"), [])
    assert [(entry["event"], entry["path"]) for entry in entries] == [("rights_not_taken", "/proc/self")]

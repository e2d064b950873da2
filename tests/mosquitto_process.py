"""A real Mosquitto in a process of its own, for tests and benchmarks."""

import getpass
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.gateway_process import free_ports

PROGRAM = Path("/usr/sbin/mosquitto")
LISTENS_WITHIN_S = 120.0
STOPPED_WITHIN_S = 120.0
TAIL_BYTES = 4096


class MosquittoProcess:
    """Debian's mosquitto on a free port of 127.0.0.1, which it keeps over restarts, like what it persisted.

    It saves when it stops. For `kill` to leave something, set "autosave_on_changes": "true" and "autosave_interval":
    "1"; it then writes all that it holds with every change, and is slow.

    `settings`: lines of mosquitto.conf in order, key to value, added to or put in place of the defaults below
    ("max_queued_messages": "0"). Without `is_persistent` it forgets everything when it ends. With `users`, name to
    password, nobody else may connect. As a context manager it starts and stops the broker.
    """

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        *,
        is_persistent: bool = True,
        users: Mapping[str, str] | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (self.port,) = free_ports(1)
        self.directory = directory
        self.log_file = directory / "mosquitto.log"
        self._config = directory / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        lines = {
            "user": getpass.getuser(),
            "per_listener_settings": "false",
            "listener": f"{self.port} 127.0.0.1",
            "allow_anonymous": "false" if users else "true",
            "persistence": "true" if is_persistent else "false",
            "persistence_location": f"{directory}/",
            "max_queued_messages": "0",
            "max_keepalive": "65535",
        }
        if users:
            lines["password_file"] = str(self._write_users(users))
        lines |= dict(settings or {})
        self._config.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))

    def _write_users(self, users: Mapping[str, str]) -> Path:
        file = self.directory / "passwords"
        file.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
        subprocess.run(["mosquitto_passwd", "-U", file], check=True, capture_output=True)
        return file

    @property
    def pid(self) -> int:
        if self._process is None:
            raise AssertionError("mosquitto is not running")
        return self._process.pid

    def start(self) -> None:
        """Starts the broker and waits until it takes connections."""
        assert self._process is None, "mosquitto is running already"
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-c", self._config], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + LISTENS_WITHIN_S
        while True:
            assert self._process.poll() is None, f"mosquitto ended\n{self.log_tail()}"
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=10).close()
            except OSError:
                assert time.monotonic() < deadline, f"mosquitto does not listen\n{self.log_tail()}"
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """Ends the broker as a power cut would; it keeps what it saved before."""
        self._end(is_killed=True)

    def stop(self) -> None:
        """Ends the broker; it saves first if it is persistent."""
        self._end(is_killed=False)

    def restart(self) -> None:
        """Stops the broker and starts it on the same port and what it saved."""
        self.stop()
        self.start()

    def _end(self, *, is_killed: bool) -> None:
        assert self._process is not None, "mosquitto is not running"
        process, self._process = self._process, None
        if is_killed:
            process.kill()
        else:
            process.terminate()
        try:
            process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"mosquitto did not stop\n{self.log_tail()}") from None

    def log_tail(self) -> str:
        """The last lines of the broker's log."""
        if not self.log_file.exists():
            return "(no log)"
        return self.log_file.read_bytes()[-TAIL_BYTES:].decode(errors="replace")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()
        if kind is not None:
            print(self.log_tail())

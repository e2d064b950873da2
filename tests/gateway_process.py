"""A real gateway in a process of its own, for tests and benchmarks."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

PROGRAM = Path(sys.executable).with_name("schoolgate")
READY_WITHIN_S = 120.0
STOPPED_WITHIN_S = 120.0
ANSWERS_WITHIN_S = 120.0
TAIL_BYTES = 8192
PORTS = (15_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Returns ports of 127.0.0.1 that nobody listens on just now, each a different one.

    They lie below the range that the system takes ports of outgoing connections from, so that none of those takes
    one before the gateway does. Each of pytest-xdist's workers has a part of that range to itself: a gateway that is
    killed and started again finds its ports free.
    """
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = random.choice(own_ports())
            one = held.enter_context(socket.socket())
            with suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
    return found


def own_ports() -> range:
    """Returns the ports that no other worker of this test run uses."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return range(*PORTS)[worker::workers]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Returns this process's environment with our variables, and no other of the gateway's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SCHOOLGATE_")}
    return own | {f"SCHOOLGATE_{name.replace('.', '__').upper()}": value for name, value in settings.items()}


class GatewayProcess:
    """`schoolgate run` on a data directory and free ports of 127.0.0.1, which it keeps over restarts.

    `settings`: dotted key to text, as the environment has it ("store.queue_bytes": "2 MiB"). The doors with
    TLS are off unless `settings` turns them on. As a context manager it starts the gateway and stops it, and
    prints the end of its log when something failed.
    """

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.mqtt_port, self.mqtts_port, self.http_port, self.https_port = free_ports(4)
        self.settings = {
            "node.data": str(data),
            "mqtt.host": "127.0.0.1",
            "mqtt.port": str(self.mqtt_port),
            "mqtts.enabled": "false",
            "mqtts.host": "127.0.0.1",
            "mqtts.port": str(self.mqtts_port),
            "http.host": "127.0.0.1",
            "http.port": str(self.http_port),
            "https.enabled": "false",
            "https.host": "127.0.0.1",
            "https.port": str(self.https_port),
        } | dict(settings or {})
        self.log_file = data.with_name(f"{data.name}.log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def admin_key(self) -> str:
        """The key that the first start wrote."""
        return (self.data / "admin.key").read_text("ascii").strip()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise AssertionError("the gateway is not running")
        return self._process.pid

    def api(self) -> httpx.Client:
        """Returns a client of the API that holds the admin key; close it, or use it in a `with`."""
        headers = {"Authorization": f"Bearer {self.admin_key}"}
        return httpx.Client(
            base_url=f"{self.http_url}/api/v1/", headers=headers, timeout=ANSWERS_WITHIN_S, trust_env=False
        )

    def add_device(self, device_id: str, kind: str = "sensor", **more: object) -> str:
        """Adds a device through the API and returns its secret. `more`: name, place, publish, subscribe."""
        with self.api() as client:
            answer = client.post("devices", json={"id": device_id, "kind": kind, **more})
        assert answer.status_code == 201, f"{answer.status_code} {answer.text}"
        return str(answer.json()["secret"])

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `schoolgate ARGUMENTS` beside this gateway, on its data and configuration."""
        return subprocess.run(
            [PROGRAM, *arguments],
            env=environment(self.settings),
            capture_output=True,
            text=True,
            timeout=ANSWERS_WITHIN_S,
            check=False,
        )

    def start(self) -> float:
        """Starts the gateway and waits until it is ready; returns the seconds that took."""
        began = time.monotonic()
        self.launch()
        self.wait_until_ready()
        return time.monotonic() - began

    def launch(self) -> None:
        """Starts the gateway and waits for nothing."""
        assert self._process is None, "the gateway is running already"
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "run"],
                env=environment(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_until_ready(self, within_s: float = READY_WITHIN_S) -> None:
        """Returns when /readyz says ready. Raises AssertionError with the log's end if it does not."""
        deadline = time.monotonic() + within_s
        answer = "no answer"
        with httpx.Client(base_url=self.http_url, timeout=ANSWERS_WITHIN_S, trust_env=False) as client:
            while time.monotonic() < deadline:
                self._assert_running()
                try:
                    response = client.get("/readyz")
                except httpx.TransportError as error:
                    answer = repr(error)
                else:
                    if response.status_code == 200:
                        return
                    answer = f"{response.status_code} {response.text}"
                time.sleep(0.02)
        raise AssertionError(f"not ready after {within_s} s: {answer}\n{self.log_tail()}")

    def _assert_running(self) -> None:
        assert self._process is not None, "the gateway is not running"
        if self._process.poll() is not None:
            code, self._process = self._process.returncode, None
            raise AssertionError(f"the gateway ended with exit code {code}\n{self.log_tail()}")

    def kill9(self) -> None:
        """Ends the gateway as a power cut would, without a chance to tidy up."""
        assert self._process is not None, "the gateway is not running"
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """SIGTERM, then waits for its exit code, which must be 0."""
        assert self._process is not None, "the gateway is not running"
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"not stopped after {STOPPED_WITHIN_S} s\n{self.log_tail()}") from None
        assert code == 0, f"exit code {code}\n{self.log_tail()}"

    def restart(self) -> float:
        """Stops the gateway and starts it on the same data and ports; returns the seconds to readiness."""
        self.stop()
        return self.start()

    def log_tail(self) -> str:
        """The last lines of the gateway's log."""
        if not self.log_file.exists():
            return "(no log)"
        tail = self.log_file.read_bytes()[-TAIL_BYTES:].decode(errors="replace")
        return f"──── the end of {self.log_file} ────\n{tail}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            if self._process is not None:
                self.kill9()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            if self._process is not None:
                self.stop()
            return
        if self._process is not None:
            self.kill9()
        print(self.log_tail())

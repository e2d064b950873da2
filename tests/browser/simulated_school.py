"""A gateway with a simulated school talking to it, and a few things that a school day does not bring by itself."""

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.browser.wire_device import WireDevice
from tests.gateway_process import GatewayProcess

SIMULATOR = Path(sys.executable).with_name("school-sim")
READY_WITHIN_S = 240.0
STOPPED_WITHIN_S = 120.0

RULES: tuple[dict[str, object], ...] = (
    {
        "name": "Too warm",
        "kind": "threshold",
        "severity": "critical",
        "device_kind": "climate",
        "measurement": "temperature_c",
        "above": 24.5,
        "clear": 23.5,
    },
    {
        "name": "Solvents in the air",
        "kind": "threshold",
        "severity": "warning",
        "device_kind": "air_quality",
        "measurement": "tvoc_ppb",
        "above": 315,
        "clear": 290,
    },
)


class SimulatedSchool:
    """When the `with` has begun, there are taps, alerts in several states, dead letters and devices to adopt."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._simulator: subprocess.Popen[bytes] | None = None
        self.gateway = GatewayProcess(directory / "data", {"node.name": "Lindenschule"})

    def __enter__(self) -> Self:
        self.gateway.__enter__()
        try:
            with self.gateway.api() as api:
                for rule in RULES:
                    assert api.post("rules", json=rule).status_code == 201
                self._start_simulator()
                self._add_what_a_day_lacks()
                self._wait_until_there_is_something_to_see(api)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._simulator is not None:
            self._simulator.terminate()
            self._simulator.wait(STOPPED_WITHIN_S)
        self.gateway.__exit__(kind, error, trace)

    def _start_simulator(self) -> None:
        gateway = self.gateway
        arguments = [
            *("--api", gateway.http_url, "--mqtt", f"127.0.0.1:{gateway.mqtt_port}"),
            *("--key-file", str(gateway.data / "admin.key"), "--credentials", str(self._directory / "secrets.json")),
            *("--speed", "60", "--start", "07:35", "--loop", "--garbage", "40", "--wrong-clock", "2"),
        ]
        with (self._directory / "school.log").open("wb") as log:
            self._simulator = subprocess.Popen([SIMULATOR, "day", *arguments], stdout=log, stderr=log)

    def _add_what_a_day_lacks(self) -> None:
        """A device that left, one that never came, a card that nobody knows, a reader without a clock."""
        self.gateway.add_device("beamer-204", "beamer", name="Beamer 204", place="Room 204")
        with WireDevice.added(self.gateway, "reader-annex", "reader", name="Annex reader", place="Annex") as reader:
            reader.tap("04DEADBEEF01", direction="in")
            reader.tap("04DEADBEEF02", at="1970-01-01T00:01:00Z", direction="in")

    def _wait_until_there_is_something_to_see(self, api: httpx.Client) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        lacks = "everything"
        while time.monotonic() < deadline:
            alerts = api.get("alerts", params={"state": "open"}).json()["items"]
            firing = [alert for alert in alerts if alert["state"] == "firing"]
            if firing and not any(alert["state"] == "acknowledged" for alert in alerts):
                api.post(f"alerts/{firing[-1]['id']}/ack")
            counts = {
                "alerts": len(firing),
                "acknowledged": sum(alert["state"] == "acknowledged" for alert in alerts),
                "people": len(api.get("people", params={"limit": 1000}).json()["items"]) // 900,
                "taps": len(api.get("taps", params={"limit": 200}).json()["items"]) // 200,
                "dead letters": len(api.get("dead-letters").json()["items"]) // 3,
                "to adopt": len(api.get("devices", params={"state": "seen"}).json()["items"]),
            }
            lacks = ", ".join(name for name, count in counts.items() if count == 0)
            if not lacks:
                return
            time.sleep(0.5)
        log = (self._directory / "school.log").read_text("utf-8", "replace")
        raise AssertionError(f"after {READY_WITHIN_S:.0f} s there is still a lack of {lacks}\n{log[-3000:]}")

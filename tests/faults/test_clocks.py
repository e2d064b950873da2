"""A clock that is ten years off, or jumps by them: nothing is lost, nothing ends for it, no row claims to be sure."""

import time
from contextlib import suppress
from pathlib import Path

import mqtt5
import pytest
from mqtt5 import PublishPacket, QoS

from foundation.clock import DAY_US, Clock
from tests.faults.faked_clock import TEN_YEARS_DAYS, FakedClock
from tests.faults.fault_figures import mistakes, rows, unready
from tests.faults.stream import WITHIN_S, wait_for
from tests.faults.wire_client import WireClient
from tests.gateway_process import GatewayProcess

DEVICES = 6
LONG_S = 7_200
HOT_C = 35.0
TEN_YEARS_US = TEN_YEARS_DAYS * DAY_US
LATEST = (
    "SELECT at_us, clock FROM reading JOIN series ON id = series_id WHERE device_id = ? ORDER BY frame_no DESC LIMIT 1"
)
LATEST_TAP = "SELECT at_us, received_us, device_at_us, clock FROM tap WHERE device_id = ? ORDER BY id DESC LIMIT 1"


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakedClock:
    return FakedClock(tmp_path, monkeypatch)


def now_ms() -> int:
    """The right time, by which the devices go."""
    return time.time_ns() // 1_000_000


class Devices:
    """Some devices whose clocks are right, or all off by the same time, and one that has none: all of one hub."""

    def __init__(self, gateway: GatewayProcess, count: int = DEVICES, prefix: str = "d", off_us: int = 0) -> None:
        self._gateway = gateway
        self._off_ms = off_us // 1000
        self._plain = f"{prefix}-plain"
        self._names = [*(f"{prefix}{number}" for number in range(count)), self._plain]
        for name in self._names:
            gateway.add_device(name)
        self._hub = f"{prefix}-hub"
        self._secret = gateway.add_device(self._hub, "hub", publish=["sg/#"])

    def measure(self) -> dict[str, tuple[int | None, int, Clock]]:
        """Each sends one reading. Returns by device: its stamp, the time of the row (µs), and how sure the row is."""
        stamps: dict[str, int | None] = {}
        with WireClient(self._gateway.mqtt_port) as hub:
            hub.sign_in(self._hub, self._secret)
            for name in self._names:
                body: dict[str, object] = {"values": {"temperature_c": HOT_C}}
                if name != self._plain:
                    body["at"] = now_ms() + self._off_ms
                hub.publish(f"sg/{name}/telemetry", body)
                stamps[name] = None if name == self._plain else int(str(body["at"])) * 1000
        stored: dict[str, tuple[int | None, int, Clock]] = {}
        for name, stamp_us in stamps.items():
            [(at_us, sure)] = rows(self._gateway.data, LATEST, name)
            stored[name] = (stamp_us, int(str(at_us)), Clock(int(str(sure))))
        return stored

    def tap(self) -> tuple[int, int, int, Clock]:
        """The first device reports a card; returns the row's time, its time of receipt, the stamp, and how sure."""
        with WireClient(self._gateway.mqtt_port) as hub:
            hub.sign_in(self._hub, self._secret)
            body = {"at": now_ms() + self._off_ms, "credential": "04:a2:24:b2", "kind": "uid"}
            hub.publish(f"sg/{self._names[0]}/tap", body)
        [(at_us, received_us, device_at_us, sure)] = rows(self._gateway.data, LATEST_TAP, self._names[0])
        return int(str(at_us)), int(str(received_us)), int(str(device_at_us)), Clock(int(str(sure)))

    def assert_all_are_sure(self) -> None:
        for stamp_us, at_us, sure in self.measure().values():
            assert sure is (Clock.ESTIMATED if stamp_us is None else Clock.GOOD)
            assert stamp_us in (None, at_us)
        assert self.tap()[3] is Clock.GOOD

    def assert_none_is_sure(self) -> None:
        """Stamps are kept as they are, for they are all there is to go by."""
        for stamp_us, at_us, sure in self.measure().values():
            assert sure is Clock.UNKNOWN
            assert stamp_us in (None, at_us)
        at_us, _, device_at_us, sure = self.tap()
        assert (at_us, sure) == (device_at_us, Clock.UNKNOWN)


class Standing:
    """What lasts for hours: a session with a message waiting, a retained message, a will, and a firing alert."""

    def __init__(self, gateway: GatewayProcess, devices: Devices) -> None:
        self._gateway = gateway
        self._secret = gateway.add_device(
            "keeper", "client", subscribe=["sg/+/telemetry", "notes/#"], publish=["notes/#"]
        )
        with gateway.api() as api:
            hot = {"kind": "threshold", "name": "hot", "measurement": "temperature_c", "above": 30, "clear": 28}
            quiet = {"kind": "silence", "name": "quiet", "after_s": LONG_S, "device_kind": "sensor"}
            for rule in (hot | {"device": "d0"}, quiet):
                assert api.post("rules", json=rule).status_code == 201
        will = mqtt5.Will("notes/will", payload=b"gone", qos=QoS.AT_LEAST_ONCE, will_delay_interval=LONG_S)
        with WireClient(gateway.mqtt_port) as keeper:
            keeper.sign_in("keeper", self._secret, expiry_s=LONG_S, will=will)
            keeper.subscribe("sg/+/telemetry")
            retained = PublishPacket("notes/bells", b"8:00", retain=True, message_expiry_interval=LONG_S)
            keeper.send(retained.write() + mqtt5.PingReqPacket().write())
            keeper.wait_for(mqtt5.PingRespPacket)
        devices.measure()
        wait_for(lambda: self.alerts() == {("hot", "firing")}, WITHIN_S, "the alert")

    def alerts(self) -> set[tuple[str, str]]:
        with self._gateway.api() as api:
            rules = {rule["id"]: rule["name"] for rule in api.get("rules").json()["items"]}
            return {(rules[alert["rule"]], alert["state"]) for alert in api.get("alerts").json()["items"]}

    def assert_all_lasts(self) -> None:
        """Ends the session on the way: call it once."""
        assert rows(self._gateway.data, "SELECT count(*) FROM mqtt_will") == [(1,)]
        assert self.alerts() == {("hot", "firing")}
        with WireClient(self._gateway.mqtt_port) as keeper:
            connack = keeper.sign_in("keeper", self._secret, expiry_s=0, is_clean=False)
            assert connack.session_present
            assert b"35.0" in keeper.wait_for(PublishPacket).payload
            keeper.subscribe("notes/#")
            with suppress(StopIteration):
                while keeper.wait_for(PublishPacket).topic != "notes/bells":
                    pass


@pytest.mark.parametrize("days", [TEN_YEARS_DAYS, -TEN_YEARS_DAYS], ids=["ahead", "back"])
def test_a_clock_that_jumps_by_ten_years_and_back_ends_nothing(tmp_path: Path, clock: FakedClock, days: int) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        devices = Devices(gateway)
        standing = Standing(gateway, devices)
        assert not unready(gateway)
        clock.set(days)
        wait_for(lambda: "clock" in unready(gateway), WITHIN_S, "the gateway to doubt its clock")
        devices.assert_none_is_sure()
        assert unready(gateway).keys() == {"clock"}
        standing.assert_all_lasts()
        clock.set(0)
        wait_for(lambda: not unready(gateway), WITHIN_S, "the gateway to believe its clock")
        devices.assert_all_are_sure()
        assert rows(gateway.data, "SELECT count(*) FROM reading") == [(3 * (DEVICES + 1),)]
        assert not mistakes(gateway)


@pytest.mark.parametrize("days", [TEN_YEARS_DAYS, -TEN_YEARS_DAYS], ids=["ahead", "behind"])
def test_a_start_with_a_clock_that_is_ten_years_off_ends_nothing(tmp_path: Path, clock: FakedClock, days: int) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        devices = Devices(gateway)
        standing = Standing(gateway, devices)
        gateway.stop()
        clock.set(days)
        gateway.start()
        assert "clock" in unready(gateway)
        devices.assert_none_is_sure()
        standing.assert_all_lasts()
        gateway.restart()
        assert "clock" in unready(gateway)
        clock.set(0)
        wait_for(lambda: not unready(gateway), WITHIN_S, "the gateway to believe its clock")
        devices.assert_all_are_sure()
        assert not mistakes(gateway)


@pytest.mark.parametrize("days", [TEN_YEARS_DAYS, -TEN_YEARS_DAYS], ids=["ahead", "behind"])
def test_a_first_start_with_a_clock_that_is_ten_years_off_is_found_out_by_the_devices(
    tmp_path: Path, clock: FakedClock, days: int
) -> None:
    clock.set(days)
    with GatewayProcess(tmp_path / "data") as gateway:
        devices = Devices(gateway)
        assert all(sure is not Clock.GOOD for _, _, sure in devices.measure().values())
        wait_for(lambda: "clock" in unready(gateway), WITHIN_S, "the gateway to doubt its clock")
        devices.assert_none_is_sure()
        clock.set(0)

        def is_believed() -> bool:
            devices.measure()
            return not unready(gateway)

        wait_for(is_believed, WITHIN_S, "the gateway to believe its clock")
        devices.assert_all_are_sure()
        gateway.restart()
        assert not unready(gateway)
        assert not mistakes(gateway)


@pytest.mark.parametrize("years_us", [TEN_YEARS_US, -TEN_YEARS_US], ids=["ahead", "behind"])
def test_devices_whose_clocks_are_ten_years_off_get_the_gateways_time(tmp_path: Path, years_us: int) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        right, wrong = Devices(gateway), Devices(gateway, DEVICES - 1, "w", years_us)
        right.assert_all_are_sure()
        before_us = now_ms() * 1000
        for stamp_us, at_us, sure in wrong.measure().values():
            assert sure is Clock.ESTIMATED
            assert stamp_us != at_us
            assert before_us <= at_us <= now_ms() * 1000 + 1000
        at_us, received_us, device_at_us, sure = wrong.tap()
        assert (at_us, sure) == (received_us, Clock.ESTIMATED)
        assert abs(device_at_us - at_us) > TEN_YEARS_US // 2
        right.assert_all_are_sure()
        assert not unready(gateway)
        assert not mistakes(gateway)

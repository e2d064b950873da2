"""Device, Mosquitto, bridge, store, API: the second way in from end to end."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec

from tests.eventually import eventually
from tests.gateway_process import GatewayProcess
from tests.mosquitto_process import MosquittoProcess
from tests.running_bridge import publisher

COUNT = 3_000


def bridged(mosquitto: MosquittoProcess, data: Path) -> GatewayProcess:
    settings = {
        "bridge.enabled": "true",
        "bridge.host": "127.0.0.1",
        "bridge.port": str(mosquitto.port),
        "bridge.canary_s": "1",
    }
    return GatewayProcess(data, settings)


def telemetry(seq: int) -> bytes:
    return msgspec.json.encode({"boot": "b", "seq": seq, "values": {"temperature_c": float(seq)}})


def state(api: httpx.Client) -> str:
    return str(api.get("status").json()["bridge"]["state"])


def values(api: httpx.Client) -> list[float]:
    """All the readings of the device `a`, in the API's order."""
    found: list[float] = []
    after = None
    while True:
        parameters = {"device": "a", "measurement": "temperature_c", "limit": "1000"} | (
            {"after": after} if after else {}
        )
        page = api.get("readings", params=parameters).raise_for_status().json()
        found += [item["value"] for item in page["items"]]
        after = page["next"]
        if after is None:
            return found


def told(condition: Callable[[], object]) -> Callable[[], object]:
    """The condition, false while the gateway does not answer."""

    def ask() -> object:
        try:
            return condition()
        except httpx.TransportError:
            return False

    return ask


async def test_readings_and_taps_come_through_a_broker_and_a_retained_tap_is_none(tmp_path: Path) -> None:
    tap = b'{"credential":"04A1B2C3","kind":"uid","seq":%d,"boot":"b"}'
    with MosquittoProcess(tmp_path / "mosquitto") as mosquitto:
        gateway = bridged(mosquitto, tmp_path / "data")
        gateway.settings["bridge.enabled"] = "false"
        with gateway:
            gateway.add_device("a")
            gateway.add_device("door", "reader")
        gateway.settings["bridge.enabled"] = "true"
        async with publisher(mosquitto.port) as client:
            info = client.publish("sg/door/tap", tap % 1, 1, retain=True)
            await eventually(info.is_published)
            with gateway, gateway.api() as api:
                await eventually(lambda: state(api) == "connected")
                await eventually(lambda: api.get("dead-letters").json()["items"])
                client.publish("sg/a/telemetry", telemetry(1), 1)
                client.publish("sg/door/tap", tap % 2, 1)
                await eventually(lambda: values(api) == [1.0])
                await eventually(lambda: api.get("taps").json()["items"])
                (taken,) = api.get("taps").json()["items"]
                (letter,) = api.get("dead-letters").json()["items"]
    assert taken["device"] == "door"
    assert letter["topic"] == "sg/door/tap"
    assert "retained" in letter["reason"]


async def test_a_gateway_killed_in_mid_flow_stores_everything_once(tmp_path: Path) -> None:
    with MosquittoProcess(tmp_path / "mosquitto") as mosquitto:
        async with publisher(mosquitto.port) as client:
            with bridged(mosquitto, tmp_path / "data") as gateway, gateway.api() as api:
                gateway.add_device("a")
                await eventually(lambda: state(api) == "connected")
                for seq in range(COUNT):
                    client.publish("sg/a/telemetry", telemetry(seq), 1)
                    if seq % 1_000 == 500:
                        await eventually(lambda: len(values(api)) > seq - 500)  # noqa: B023 awaited here
                        gateway.kill9()
                    if seq % 1_000 == 700:
                        await asyncio.to_thread(gateway.start)
                await eventually(told(lambda: len(values(api)) >= COUNT))
                found = values(api)
    assert sorted(found) == [float(seq) for seq in range(COUNT)]

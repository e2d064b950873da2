"""What leaves through the bridge."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cut_line import CutLine, Way
from tests.eventually import eventually
from tests.held_sink import HeldSink
from tests.mosquitto_process import MosquittoProcess
from tests.running_bridge import publisher, running_bridge

TOPIC = "sg/lock/cmd/open"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[MosquittoProcess]:
    with MosquittoProcess(tmp_path / "mosquitto") as running:
        yield running


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_command_reaches_its_device(mosquitto: MosquittoProcess, qos: int) -> None:
    heard: list[tuple[bytes, int]] = []
    async with publisher(mosquitto.port) as device, running_bridge(mosquitto.port, HeldSink()) as bridge:
        device.on_message = lambda _client, _userdata, message: heard.append((bytes(message.payload), message.qos))
        granted: list[int] = []
        device.on_subscribe = lambda _client, _userdata, mid, _codes, _properties: granted.append(mid)
        device.subscribe(TOPIC, 2)
        await eventually(lambda: granted)
        for number in range(100):
            bridge.publish(TOPIC, b"%d" % number, qos)
        await eventually(lambda: len(heard) == 100)
    assert heard == [(b"%d" % number, qos) for number in range(100)]


async def test_a_command_waits_for_the_line(mosquitto: MosquittoProcess) -> None:
    heard: list[bytes] = []
    async with (
        CutLine(mosquitto.port) as line,
        publisher(mosquitto.port) as device,
        running_bridge(line.port, HeldSink(), canary_s=0.2, canary_wait_s=0.4) as bridge,
    ):
        granted: list[int] = []
        device.on_message = lambda _client, _userdata, message: heard.append(bytes(message.payload))
        device.on_subscribe = lambda _client, _userdata, mid, _codes, _properties: granted.append(mid)
        device.subscribe(TOPIC, 1)
        await eventually(lambda: granted)
        line.swallowed.add(Way.TO_SERVER)
        bridge.publish(TOPIC, b"open", qos=1)
        await eventually(lambda: bridge.counters.failures_total)
        bridge.publish(TOPIC, b"close", qos=1)
        bridge.publish(TOPIC, b"blink", qos=0)
        line.swallowed.clear()
        await eventually(lambda: len(heard) >= 2)
    assert heard[-2:] == [b"open", b"close"]


async def test_what_is_no_topic_name_is_not_published(mosquitto: MosquittoProcess) -> None:
    async with running_bridge(mosquitto.port, HeldSink()) as bridge:
        for topic in ("", "sg/+/cmd", "sg/#", "sg/\0"):
            with pytest.raises(ValueError, match=r"topic name|character"):
                bridge.publish(topic, b"", qos=1)

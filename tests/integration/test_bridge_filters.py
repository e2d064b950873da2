"""What the bridge subscribes, and what its broker grants it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.eventually import eventually
from tests.gateway_process import GatewayProcess
from tests.held_sink import HeldSink
from tests.mosquitto_process import MosquittoProcess
from tests.running_bridge import numbered, published, publisher, running_bridge


@pytest.fixture(params=["mosquitto", "door"])
def broker_port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """Mosquitto delivers a copy for each subscription that matches, the gateway's own door one for all."""
    if request.param == "mosquitto":
        with MosquittoProcess(tmp_path / "mosquitto", is_persistent=False) as mosquitto:
            yield mosquitto.port
    else:
        with GatewayProcess(tmp_path / "data", {"mqtt.anonymous_topics": "#"}) as gateway:
            yield gateway.mqtt_port


CROSSING = ("school/+/telemetry", "school/hall/#", "school/hall/+", "+/hall/telemetry", "school/hall/telemetry")


async def test_a_message_that_several_filters_match_is_taken_once(broker_port: int) -> None:
    sink = HeldSink()
    async with (
        publisher(broker_port) as client,
        running_bridge(broker_port, sink, subscribe=CROSSING) as bridge,
    ):
        await published(client, numbered(50), topic="school/hall/telemetry")
        await published(client, [b"one filter"], topic="school/hall/door/lock")
        await eventually(lambda: len(sink.frames) == 51)
        await published(client, [b"last"], topic="school/attic/telemetry")
        await eventually(lambda: b"last" in sink.payloads)
        assert bridge.counters.acknowledged_total == bridge.counters.received_total
        assert bridge.counters.strays_total == 0
    assert sink.payloads == [*numbered(50), b"one filter", b"last"]


async def test_a_retained_message_that_several_filters_match_is_taken_once(broker_port: int) -> None:
    sink = HeldSink()
    async with publisher(broker_port) as client:
        info = client.publish("school/hall/telemetry", b"kept", 1, retain=True)
        await eventually(info.is_published)
        async with running_bridge(broker_port, sink, subscribe=CROSSING) as bridge:
            await eventually(lambda: bridge.counters.retained_total)
            assert bridge.counters.received_total == 0
    (frame,) = sink.frames
    assert (frame.topic, frame.payload, frame.is_retained) == ("school/hall/telemetry", b"kept", True)


async def test_only_what_was_kept_before_counts_as_retained(tmp_path: Path) -> None:
    sink = HeldSink()
    with MosquittoProcess(tmp_path / "mosquitto") as mosquitto:
        async with publisher(mosquitto.port) as client:
            info = client.publish("sg/a/telemetry", b"kept", 1, retain=True)
            await eventually(info.is_published)
            async with running_bridge(mosquitto.port, sink):
                await eventually(lambda: sink.frames)
                info = client.publish("sg/a/telemetry", b"live", 1, retain=True)
                await eventually(lambda: len(sink.frames) == 2)
    assert [(frame.payload, frame.is_retained) for frame in sink.frames] == [(b"kept", True), (b"live", False)]


async def test_what_an_earlier_configuration_subscribed_is_acknowledged_and_left_out(tmp_path: Path) -> None:
    sink = HeldSink()
    with MosquittoProcess(tmp_path / "mosquitto") as mosquitto:
        async with publisher(mosquitto.port) as client:
            async with running_bridge(mosquitto.port, sink, subscribe=("old/#", "sg/+/telemetry")):
                pass
            async with running_bridge(mosquitto.port, sink, subscribe=("sg/+/telemetry",)) as bridge:
                await published(client, numbered(3), topic="old/news")
                await published(client, [b"wanted"])
                await eventually(lambda: sink.frames)
                assert bridge.counters.strays_total == 3
                assert bridge.counters.acknowledged_total == 4
    assert sink.payloads == [b"wanted"]


async def test_our_own_commands_do_not_come_back(tmp_path: Path) -> None:
    sink = HeldSink()
    with MosquittoProcess(tmp_path / "mosquitto") as mosquitto:
        async with (
            publisher(mosquitto.port) as client,
            running_bridge(mosquitto.port, sink, subscribe=("sg/#",)) as bridge,
        ):
            heard: list[bytes] = []
            client.on_message = lambda _client, _userdata, message: heard.append(bytes(message.payload))
            client.subscribe("sg/lock/cmd/open", 1)
            await published(client, [b"heard"], topic="sg/lock/cmd/open")
            bridge.publish("sg/lock/cmd/open", b"{}", qos=1)
            await eventually(lambda: heard == [b"heard", b"{}"])
            await published(client, [b"last"])
            await eventually(lambda: b"last" in sink.payloads)
    assert sink.payloads == [b"heard", b"last"]


async def test_what_the_broker_refuses_is_told_and_the_rest_works(tmp_path: Path) -> None:
    sink = HeldSink()
    with GatewayProcess(tmp_path / "data") as broker, structlog.testing.capture_logs() as logs:  # it refuses by default
        secret = broker.add_device("bridge", "bridge", subscribe=["sg/+/telemetry"])
        reader = broker.add_device("a")
        async with running_bridge(
            broker.mqtt_port,
            sink,
            subscribe=("sg/+/telemetry", "secret/#"),
            username="bridge",
            password=secret,
        ) as bridge:
            assert bridge.reason is not None
            assert "secret/#" in bridge.reason
            assert bridge.counters.refused_total >= 2
            async with publisher(broker.mqtt_port, "a", reader) as client:
                await published(client, [b'{"values":{"temperature_c":1}}'])
                await eventually(lambda: sink.frames)
    refused = {entry["topic"] for entry in logs if entry["event"] == "bridge_refused"}
    assert refused == {"secret/#", "schoolgate/canary/bridge"}
    assert secret not in repr(logs)

"""What the bridge acknowledges, and when: against a real Mosquitto, with a sink whose commits the test decides on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cut_line import CutLine
from tests.eventually import eventually
from tests.held_sink import HeldSink
from tests.mosquitto_process import MosquittoProcess
from tests.running_bridge import numbered, published, publisher, running_bridge


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[MosquittoProcess]:
    with MosquittoProcess(tmp_path / "mosquitto") as running:
        yield running


@pytest.mark.parametrize("qos", [1, 2])
async def test_nothing_is_acknowledged_before_the_commit(mosquitto: MosquittoProcess, qos: int) -> None:
    sink = HeldSink(is_open=False)
    async with running_bridge(mosquitto.port, sink) as bridge, publisher(mosquitto.port) as client:
        await published(client, numbered(20), qos)
        await eventually(lambda: len(sink.held_frames) == 20)
        assert bridge.counters.acknowledged_total == 0
        sink.commit()
        assert bridge.counters.acknowledged_total == 20
    assert sink.payloads == numbered(20)


@pytest.mark.parametrize("qos", [1, 2])
async def test_what_was_not_committed_comes_again_to_the_next_life(mosquitto: MosquittoProcess, qos: int) -> None:
    dying = HeldSink(is_open=False)
    async with CutLine(mosquitto.port) as line, publisher(mosquitto.port) as client:
        async with running_bridge(line.port, dying):
            await published(client, numbered(20), qos)
            await eventually(lambda: len(dying.held_frames) == 20)
            line.cut()
        assert dying.frames == []
        sink = HeldSink()
        async with running_bridge(mosquitto.port, sink) as bridge:
            await eventually(lambda: len(sink.frames) == 20)
            assert bridge.counters.redelivered_total == 20
    assert sink.payloads == numbered(20)


async def test_what_was_committed_does_not_come_again(mosquitto: MosquittoProcess) -> None:
    sink = HeldSink()
    async with publisher(mosquitto.port) as client:
        async with running_bridge(mosquitto.port, sink):
            await published(client, numbered(20))
            await eventually(lambda: len(sink.frames) == 20)
        async with running_bridge(mosquitto.port, sink) as bridge:
            await published(client, [b"next"])
            await eventually(lambda: len(sink.frames) > 20)
            assert bridge.counters.redelivered_total == 0
    assert sink.payloads == [*numbered(20), b"next"]


async def test_a_commit_during_the_farewell_is_still_acknowledged(mosquitto: MosquittoProcess) -> None:
    sink = HeldSink(is_open=False)
    async with publisher(mosquitto.port) as client:
        async with running_bridge(mosquitto.port, sink):
            await published(client, numbered(5))
            await eventually(lambda: len(sink.held_frames) == 5)
            asyncio.get_running_loop().call_later(0.2, sink.open)
        async with running_bridge(mosquitto.port, sink) as bridge:
            await published(client, [b"next"])
            await eventually(lambda: len(sink.frames) > 5)
            assert bridge.counters.redelivered_total == 0
    assert sink.payloads == [*numbered(5), b"next"]


async def test_what_waits_for_its_commit_while_the_line_breaks_is_taken_once(mosquitto: MosquittoProcess) -> None:
    sink = HeldSink(is_open=False)
    async with (
        CutLine(mosquitto.port) as line,
        publisher(mosquitto.port) as client,
        running_bridge(line.port, sink) as bridge,
    ):
        await published(client, numbered(20))
        await eventually(lambda: len(sink.held_frames) == 20)
        line.cut()
        await eventually(lambda: bridge.counters.redelivered_total == 20)
        assert bridge.counters.acknowledged_total == 0
        sink.open()
        assert bridge.counters.acknowledged_total == 20
        await published(client, [b"next"])
        await eventually(lambda: len(sink.frames) > 20)
    assert sink.payloads == [*numbered(20), b"next"]


async def test_what_was_committed_without_a_line_is_acknowledged_on_the_next(mosquitto: MosquittoProcess) -> None:
    sink = HeldSink(is_open=False)
    async with (
        CutLine(mosquitto.port) as line,
        publisher(mosquitto.port) as client,
        running_bridge(line.port, sink, receive_max=20) as bridge,
    ):
        await published(client, numbered(40))
        await eventually(lambda: len(sink.held_frames) == 20)
        line.cut()
        await eventually(lambda: bridge.state == "connecting")
        sink.open()
        await eventually(lambda: len(sink.frames) >= 40)
    assert sink.payloads == numbered(40)


async def test_no_more_than_receive_max_is_ever_unacknowledged(mosquitto: MosquittoProcess) -> None:
    sink = HeldSink(is_open=False)
    async with running_bridge(mosquitto.port, sink, receive_max=50) as bridge, publisher(mosquitto.port) as client:
        await published(client, numbered(500))
        await eventually(lambda: len(sink.held_frames) == 50)
        client.publish("sg/b/telemetry", b"QoS 0", 0)  # is in no window: when it is here, so is all that may come
        await eventually(lambda: len(sink.held_frames) == 51)
        assert bridge.counters.received_total == 51
        sink.open()
        await eventually(lambda: len(sink.frames) == 501)
    assert [payload for payload in sink.payloads if payload != b"QoS 0"] == numbered(500)


async def test_a_stuck_store_is_not_taken_for_a_deaf_line(mosquitto: MosquittoProcess) -> None:
    sink = HeldSink(is_open=False)
    async with (
        running_bridge(mosquitto.port, sink, receive_max=5, canary_s=0.2, canary_wait_s=0.5) as bridge,
        publisher(mosquitto.port) as client,
    ):
        await published(client, numbered(20))
        await eventually(lambda: len(sink.held_frames) == 5)
        before = bridge.counters.failures_total
        with pytest.raises(AssertionError):
            await eventually(lambda: bridge.counters.failures_total > before, within_s=3)
        sink.open()
        await eventually(lambda: len(sink.frames) == 20)


async def test_a_full_queue_stops_the_reading_and_loses_nothing(
    mosquitto: MosquittoProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With QoS 0, which no window holds back. A broker may drop that when it is busy, so the end is a QoS 1 message, in
    front of which comes all that the broker kept."""
    monkeypatch.setattr("devices.mqtt.client.bridge.PAUSE_LIMIT_S", 600.0)  # a new line would lose QoS 0
    payload = bytes(10_000)
    cap_bytes = 500_000
    sink = HeldSink(is_open=False, cap_bytes=cap_bytes)
    async with running_bridge(mosquitto.port, sink, canary_wait_s=600.0) as bridge, publisher(mosquitto.port) as client:
        infos = [client.publish("sg/a/telemetry", payload, 0) for _ in range(2_000)]
        await eventually(lambda: all(info.is_published() for info in infos))
        await eventually(lambda: sink.held_bytes >= cap_bytes)
        client.publish("sg/a/telemetry", b"last", 1)
        burst_bytes = 1 << 19

        def is_all_there() -> bool:
            assert sink.held_bytes < cap_bytes + burst_bytes
            sink.commit()
            return sink.frames[-1].payload == b"last"

        await eventually(is_all_there)
        assert bridge.counters.failures_total == 0
        assert bridge.counters.received_total == len(sink.frames)
    assert sink.most_held_bytes < cap_bytes + burst_bytes
    assert sink.payloads == [payload] * (len(sink.frames) - 1) + [b"last"]
    assert cap_bytes < len(payload) * len(sink.frames) <= len(payload) * 2_001


async def test_what_waited_at_the_broker_is_late_and_what_comes_then_is_live(mosquitto: MosquittoProcess) -> None:
    sink = HeldSink()
    async with publisher(mosquitto.port) as client:
        async with running_bridge(mosquitto.port, sink):
            pass
        await published(client, numbered(20))
        async with running_bridge(mosquitto.port, sink):
            await eventually(lambda: len(sink.frames) == 20)
            await published(client, [b"live"])
            await eventually(lambda: len(sink.frames) == 21)
    assert [frame.is_late for frame in sink.frames] == [True] * 20 + [False]

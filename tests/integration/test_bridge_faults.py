"""The bridge and a real Mosquitto whose line is cut, which is restarted, which goes deaf, which has a lot to say."""

import asyncio
import contextlib
import random
import resource
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
import structlog

from tests.cut_line import CutLine, Way
from tests.eventually import eventually
from tests.held_sink import HeldSink
from tests.mosquitto_process import MosquittoProcess
from tests.running_bridge import numbered, published, publisher, running_bridge
from tests.scripted_server import scripted_server

RETAINED = 100_000


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[MosquittoProcess]:
    with MosquittoProcess(tmp_path / "mosquitto") as running:
        yield running


async def test_a_line_cut_in_mid_flow_again_and_again_loses_and_doubles_nothing(mosquitto: MosquittoProcess) -> None:
    sink = HeldSink()
    async with (
        CutLine(mosquitto.port) as line,
        publisher(mosquitto.port) as client,
        running_bridge(line.port, sink, receive_max=100, wait_share=0.01) as bridge,
    ):
        for number in range(3_000):
            client.publish("sg/a/telemetry", b"%d" % number, 1)
            if number % 300 == 299:
                seen, failures = len(sink.frames), bridge.counters.failures_total
                await eventually(lambda: len(sink.frames) > seen)  # noqa: B023 awaited here
                line.cut()
                await eventually(lambda: bridge.counters.failures_total > failures)  # noqa: B023 awaited here
                await eventually(lambda: bridge.state == "connected")
        await eventually(lambda: len(sink.frames) >= 3_000)
        assert bridge.counters.redelivered_total
    assert sorted(sink.payloads, key=int) == numbered(3_000)


async def test_a_broker_that_restarts_in_mid_flow_loses_nothing_it_acknowledged(mosquitto: MosquittoProcess) -> None:
    sink = HeldSink()
    acknowledged: set[int] = set()
    async with publisher(mosquitto.port) as client, running_bridge(mosquitto.port, sink) as bridge:
        client.on_publish = lambda _client, _userdata, mid, _code, _properties: acknowledged.add(mid)
        for number in range(2_000):
            client.publish("sg/a/telemetry", b"%d" % number, 1)
            if number in (500, 1_500):
                await eventually(lambda: sink.frames)
                await asyncio.to_thread(mosquitto.restart)
        await eventually(lambda: len(acknowledged) == 2_000)
        await eventually(lambda: set(numbered(2_000)) <= set(sink.payloads))
        assert bridge.counters.connections_total >= 2


async def test_a_broker_that_is_down_at_first_is_waited_for(mosquitto: MosquittoProcess) -> None:
    mosquitto.stop()
    sink = HeldSink()
    with structlog.testing.capture_logs() as logs:
        async with running_bridge(mosquitto.port, sink, is_connected=False) as bridge:
            await eventually(lambda: bridge.counters.failures_total >= 3)
            assert (bridge.state, bridge.reason) == ("connecting", "cannot connect: Connection refused")
            mosquitto.start()
            await eventually(lambda: bridge.state == "connected")
            assert bridge.reason is None
    told = [entry["event"] for entry in logs]
    assert told.count("bridge_failed") == 1
    (recovered,) = [entry for entry in logs if entry["event"] == "bridge_recovered"]
    assert recovered["previous_errors"] >= 3


async def test_a_line_that_swallows_what_the_broker_says_is_found_deaf_and_opened_anew(
    mosquitto: MosquittoProcess,
) -> None:
    sink = HeldSink()
    async with (
        CutLine(mosquitto.port) as line,
        publisher(mosquitto.port) as client,
        running_bridge(line.port, sink, canary_s=0.3, canary_wait_s=0.5) as bridge,
    ):
        line.swallowed.add(Way.TO_CLIENT)
        await published(client, [b"unheard"])
        await eventually(lambda: bridge.state == "deaf")
        assert bridge.reason == "connected, but nothing comes in, not even our own message"
        assert bridge.counters.canaries_lost_total >= 1
        line.swallowed.clear()
        await eventually(lambda: bridge.state == "connected")
        await eventually(lambda: sink.frames)
    assert sink.payloads == [b"unheard"]


async def test_a_line_that_swallows_what_we_say_is_found_out_too(mosquitto: MosquittoProcess) -> None:
    sink = HeldSink()
    async with (
        CutLine(mosquitto.port) as line,
        publisher(mosquitto.port) as client,
        running_bridge(line.port, sink, receive_max=10, canary_s=0.3, canary_wait_s=0.5) as bridge,
    ):
        line.swallowed.add(Way.TO_SERVER)
        await published(client, numbered(30))
        await eventually(lambda: bridge.counters.canaries_lost_total)
        line.swallowed.clear()
        await eventually(lambda: len(sink.frames) >= 30)
    assert sink.payloads == numbered(30)


async def test_a_store_that_takes_nothing_for_long_leaves_the_messages_with_the_broker(
    mosquitto: MosquittoProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.mqtt.client.bridge.PAUSE_LIMIT_S", 0.3)  # not half a minute
    sink = HeldSink(is_open=False, cap_bytes=2_000)
    async with publisher(mosquitto.port) as client, running_bridge(mosquitto.port, sink, receive_max=50) as bridge:
        for number in range(1_000):
            client.publish("sg/a/telemetry", b"%d" % number, 1)
        await eventually(lambda: bridge.reason == "waiting for the store to take more in")
        assert bridge.state == "connecting"
        assert len(sink.held_frames) <= 50
        sink.open()
        await eventually(lambda: bridge.state == "connected")
        await eventually(lambda: len(sink.frames) >= 1_000)
    assert sink.payloads == numbered(1_000)


async def test_a_broker_that_lies_ends_its_own_connection_and_nothing_else() -> None:
    draw = random.Random(7)
    honest = b"\x20\x03\x00\x00\x00"
    packets = [
        b"\x32\x14\x00\x04sg/a\x00\x05\x00" + bytes(10),  # PUBLISH with QoS 1, 2, 0, and a topic that is no UTF-8
        b"\x34\x10\x00\x04sg/a\x00\x07\x00payload",
        b"\x30\x0c\x00\x04sg/a\x02\x01\x01abcd",
        b"\x30\x0e\x00\x04sg/\xff\x00abcdefg",
        b"\x90\x04\x00\x01\x00\x01\x90\x03\x00\x02\x00",  # SUBACK, and one without reason codes
        b"\x40\x02\x00\x03\x50\x02\x00\x01\x62\x02\x00\x07",
        b"\xe0\x02\x81\x00\xd0\x00\xf0\x00\xc0\x00\x82\x00\x20\x03\x01\x00\x00",
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(1)
            said = bytearray(honest if draw.random() < 0.9 else draw.randbytes(5))
            for _ in range(draw.randrange(1, 12)):
                packet = bytearray(draw.choice(packets))
                for _ in range(draw.randrange(3)):
                    packet[draw.randrange(len(packet))] = draw.randrange(256)
                said += packet
            writer.write(said)
            await writer.drain()

    sink = HeldSink()
    async with (
        scripted_server(serve) as port,
        running_bridge(port, sink, subscribe=("sg/#",), is_connected=False, wait_share=0.0) as bridge,
    ):
        await eventually(lambda: bridge.counters.failures_total >= 500)
    assert all(isinstance(frame.payload, bytes) for frame in sink.frames)


async def test_the_canary_is_no_frame(mosquitto: MosquittoProcess) -> None:
    sink = HeldSink()
    async with (
        publisher(mosquitto.port) as client,
        running_bridge(mosquitto.port, sink, subscribe=("#",), canary_s=0.05) as bridge,
    ):
        await asyncio.sleep(0.5)
        await published(client, [b"last"])
        await eventually(lambda: sink.frames)
        assert bridge.counters.canaries_lost_total == 0
    assert sink.payloads == [b"last"]


@pytest.mark.parametrize("max_queued", ["0", "1000"], ids=["patient broker", "broker as delivered"])
async def test_a_hundred_thousand_retained_messages_cost_no_live_one(tmp_path: Path, max_queued: str) -> None:
    sink = HeldSink()
    delays_ms = []
    with MosquittoProcess(tmp_path, {"max_queued_messages": max_queued}, is_persistent=False) as mosquitto:
        await asyncio.to_thread(retain, mosquitto.port, RETAINED)
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with publisher(mosquitto.port) as client, running_bridge(mosquitto.port, sink) as bridge:
            live = 0
            while not bridge.counters.retained_total:
                client.publish(f"sg/live{live % 10}/telemetry", b"%d" % (time.time_ns() // 1000), 1)
                live += 1
                await asyncio.sleep(0.005)
            await eventually(lambda: sum(not frame.is_retained for frame in sink.frames) == live)
            assert bridge.counters.failures_total == 0
            kept = {frame.topic for frame in sink.frames if frame.is_retained}
            assert bridge.counters.retained_total == len(sink.frames) - live == len(kept)
    delays_ms = [(one.received_us - int(one.payload)) / 1000 for one in sink.frames if not one.is_retained]
    used_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    print(
        f"{len(kept)} retained; {live} live meanwhile, after {median(delays_ms):.1f} ms, {max(delays_ms):.1f} at most;"
        f" {sink.most_held_bytes} bytes held at most; {used_kib} KiB with all frames kept by the test"
    )
    if max_queued == "0":
        assert len(kept) == RETAINED
    assert sink.most_held_bytes < 1 << 20


def retain(port: int, count: int) -> None:
    """Publishes retained messages with QoS 0 as fast as the broker takes them: MQTT 3.1.1, by hand."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02pp")
        assert connection.recv(4) == b"\x20\x02\x00\x00"
        packets = bytearray()
        for number in range(count):
            topic = b"sg/r%06d/telemetry" % number
            body = struct.pack("!H", len(topic)) + topic + b'{"values":{"temperature_c":%d}}' % number
            packets += bytes((0x31, len(body))) + body
            if len(packets) > 1 << 16 or number == count - 1:
                connection.sendall(packets)
                packets.clear()
        connection.sendall(b"\xc0\x00")
        assert connection.recv(2) == b"\xd0\x00"
        connection.sendall(b"\xe0\x00")

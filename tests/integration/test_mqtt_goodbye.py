"""How the door ends a connection: what was taken in is acknowledged, and the last word arrives."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import mqtt5
import pytest
from mqtt5 import (
    ConnAckPacket,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PubAckPacket,
    PublishPacket,
    QoS,
    SubscribePacket,
    TopicFilter,
)

from devices.mqtt.server.broker import Broker
from devices.mqtt.server.door import Door, DoorLimits
from devices.mqtt.server.limits import Limits
from devices.registry import Registry
from foundation.clocks import monotonic_us, wall_us
from tests.eventually import eventually
from tests.gateway_process import free_ports
from tests.held_sink import HeldSink

LIMITS = DoorLimits(max_connections=100, connect_timeout_s=30, slow_consumer_s=30)


class Socket:
    """A client's socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._held = b""

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    async def next(self) -> object:
        """Returns the next packet; None if the connection was closed in good order."""
        async with asyncio.timeout(60):
            while True:
                with suppress(IndexError, ValueError):
                    packet, size = mqtt5.read(memoryview(self._held))
                    self._held = self._held[size:]
                    return packet
                data = await self.reader.read(65_536)
                if not data:
                    return None
                self._held += data


class World:
    """A door on a free port, over a sink that commits when it is let."""

    def __init__(self) -> None:
        self.sink = HeldSink()
        self.broker = Broker(self.sink, Limits(), wall_us, monotonic_us)
        self.door = Door(self.broker, Registry(), lambda: False, ("#",), LIMITS)
        [self.port] = free_ports(1)
        self._clients: list[Socket] = []

    async def close(self) -> None:
        """Ends everything; what is held is committed."""
        self.sink.open()
        for client in self._clients:
            await client.close()
        await self.door.close()
        await eventually(lambda: not self.door.peers)

    async def connect(self, client_id: str = "c", *, receive_buffer: int | None = None) -> Socket:
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        client = Socket(*await asyncio.open_connection(sock=sock, limit=1 << 12))
        self._clients.append(client)
        client.writer.write(ConnectPacket(client_id).write())
        assert isinstance(await client.next(), ConnAckPacket)
        return client


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.door.listen("127.0.0.1", made.port)
    async with running(made.door):
        yield made
        await made.close()


@asynccontextmanager
async def running(door: Door) -> AsyncIterator[None]:
    sweeping = asyncio.create_task(door.run())
    yield
    sweeping.cancel()
    await asyncio.wait([sweeping])


async def test_what_was_taken_in_is_acknowledged_before_the_good_bye(world: World) -> None:
    client = await world.connect()
    world.sink.is_open = False
    client.writer.write(PublishPacket("t", b"x", qos=QoS.AT_LEAST_ONCE, packet_id=7).write())
    await eventually(lambda: world.sink.held_frames)
    closing = asyncio.create_task(world.door.close())
    await asyncio.sleep(0)
    client.writer.write(PublishPacket("t", b"too late", qos=QoS.AT_LEAST_ONCE, packet_id=8).write())
    world.sink.open()
    puback = await client.next()
    assert isinstance(puback, PubAckPacket)
    assert puback.packet_id == 7
    goodbye = await client.next()
    assert isinstance(goodbye, DisconnectPacket)
    assert goodbye.reason_code is DisconnectReasonCode.SERVER_SHUTTING_DOWN
    assert await client.next() is None
    await client.close()
    await closing
    assert world.sink.payloads == [b"x"]


async def test_a_disk_that_does_not_answer_does_not_hold_up_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devices.mqtt.server.door.COMMIT_WITHIN_S", 0.05)
    client = await world.connect()
    world.sink.is_open = False
    client.writer.write(PublishPacket("t", b"x", qos=QoS.AT_LEAST_ONCE, packet_id=7).write())
    await eventually(lambda: world.sink.held_frames)
    closing = asyncio.create_task(world.door.close())
    goodbye = await client.next()
    assert isinstance(goodbye, DisconnectPacket), "no acknowledgement, for nothing is on disk"
    await client.close()
    await closing


async def test_who_still_sends_reads_why_it_is_turned_away(world: World) -> None:
    client = await world.connect()
    client.writer.write(b"\xf0\x00" + bytes(300_000))  # AUTH, which nobody asked for, and more than we read at once
    goodbye = await client.next()
    assert isinstance(goodbye, DisconnectPacket)
    assert goodbye.reason_code is DisconnectReasonCode.PROTOCOL_ERROR
    assert await client.next() is None


async def test_what_was_on_its_way_arrives_before_the_end(world: World) -> None:
    """Though the client has not read it yet and goes on sending."""
    payload = bytes(20_000)
    publisher = await world.connect("publisher")
    client = await world.connect("slow", receive_buffer=4096)
    client.writer.write(SubscribePacket(1, [TopicFilter("t", max_qos=QoS.AT_MOST_ONCE)]).write())
    assert await client.next() is not None
    for _ in range(15):
        publisher.writer.write(PublishPacket("t", payload).write())
    await eventually(lambda: len(world.sink.payloads) == 15)
    client.writer.write(b"\xf0\x00" + bytes(100_000))
    got = [await client.next() for _ in range(15)]
    assert [packet.payload for packet in got if isinstance(packet, PublishPacket)] == [payload] * 15
    assert isinstance(await client.next(), DisconnectPacket)
    assert await client.next() is None


async def test_a_peer_that_never_stops_sending_is_cut_off(world: World) -> None:
    client = await world.connect()
    client.writer.write(b"\xf0\x00")

    async def flood() -> None:
        with suppress(ConnectionError):
            while True:
                client.writer.write(bytes(65_536))
                await client.writer.drain()

    await asyncio.wait_for(flood(), 60)
    await eventually(lambda: not world.door.peers)

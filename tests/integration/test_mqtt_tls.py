"""The door with TLS: who is let in, and what is said of a handshake that fails. On both event loops."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mqtt5
import pytest
import structlog
import uvloop
from mqtt5 import ConnAckPacket, ConnAckReasonCode, ConnectPacket, PubAckPacket, PublishPacket, QoS

from devices.mqtt.server.broker import Broker
from devices.mqtt.server.door import Door, DoorLimits
from devices.mqtt.server.limits import Limits
from devices.registry import Registry
from foundation.clocks import monotonic_us, wall_us
from gateway.tls.authority import Names
from gateway.tls.files import provide, ssl_context
from tests.eventually import eventually
from tests.gateway_process import free_ports
from tests.held_sink import HeldSink

Logs = Sequence[MutableMapping[str, Any]]


class World:
    """A door with TLS on a free port. `authority` signed its certificate."""

    def __init__(self, directory: Path, *, needs_certificate: bool = False, connect_timeout_s: float = 60) -> None:
        provided = provide(directory, "node", Names(("localhost",), ()), datetime.now(UTC))
        self.authority = provided.authority
        self.context = ssl_context(
            provided.certificate,
            provided.key,
            client_authority=provided.authority,
            is_client_certificate_required=needs_certificate,
        )
        sink = HeldSink()
        sink.open()
        broker = Broker(sink, Limits(), wall_us, monotonic_us)
        limits = DoorLimits(max_connections=100, connect_timeout_s=connect_timeout_s, slow_consumer_s=30)
        self.door = Door(broker, Registry(), lambda: False, ("#",), limits)
        [self.port] = free_ports(1)

    @property
    def failed(self) -> int:
        return int(self.door.totals()["mqtt_tls_handshakes_failed"][1])

    async def connect(self, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname="localhost")

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)

    async def fail(self, context: ssl.SSLContext) -> None:
        """Connects with what cannot come to anything."""

        def connect() -> None:
            with (
                suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port)) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secured,
            ):
                secured.recv(1)  # in TLS 1.3 the client is done before the server

        await asyncio.to_thread(connect)


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[World, Callable[[World], Awaitable[None]]], Logs]:
    def run_door(world: World, visit: Callable[[World], Awaitable[None]]) -> Logs:
        async def live() -> None:
            await world.door.listen("127.0.0.1", world.port, world.context)
            try:
                async with asyncio.timeout(120):
                    await visit(world)
            finally:
                await world.door.close()

        with structlog.testing.capture_logs() as logs:
            request.param(live())
        return [line for line in logs if line["event"] == "tls_handshake_failed"]

    return run_door


Run = Callable[[World, Callable[[World], Awaitable[None]]], Logs]


def test_a_client_is_served_behind_its_handshake(run: Run, tmp_path: Path) -> None:
    async def visit(world: World) -> None:
        reader, writer = await world.connect(world.client_context())
        publish = PublishPacket("t", b"x" * 100_000, qos=QoS.AT_LEAST_ONCE, packet_id=7)
        writer.write(ConnectPacket("c").write() + publish.write())
        held = b""
        packets: list[object] = []
        while len(packets) < 2:
            held += await reader.read(65_536)
            with suppress(IndexError, ValueError):
                while held:
                    packet, size = mqtt5.read(memoryview(held))
                    packets.append(packet)
                    held = held[size:]
        connack, puback = packets
        assert isinstance(connack, ConnAckPacket)
        assert connack.reason_code is ConnAckReasonCode.SUCCESS
        assert puback == PubAckPacket(7)
        assert len(world.door.peers) == 1
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        await eventually(lambda: not world.door.peers)
        assert world.failed == 0

    assert run(World(tmp_path), visit) == []


def test_a_handshake_that_fails_is_counted_and_logged_with_its_reason(run: Run, tmp_path: Path) -> None:
    async def visit(world: World) -> None:
        await world.fail(ssl.create_default_context())  # does not know the school's CA
        await eventually(lambda: world.failed == 1)

    (line,) = run(World(tmp_path), visit)
    assert line["address"] == "127.0.0.1"
    assert "UNKNOWN_CA" in line["reason"]


def test_a_client_without_the_certificate_that_it_needs_is_told_of(run: Run, tmp_path: Path) -> None:
    async def visit(world: World) -> None:
        await world.fail(world.client_context())
        await eventually(lambda: world.failed == 1)
        assert not world.door.peers

    (line,) = run(World(tmp_path, needs_certificate=True), visit)
    assert line["reason"] == "PEER_DID_NOT_RETURN_A_CERTIFICATE"


def test_a_peer_that_does_not_speak_tls_and_one_that_says_nothing_are_counted(run: Run, tmp_path: Path) -> None:
    async def visit(world: World) -> None:
        with socket.create_connection(("127.0.0.1", world.port)) as plain:
            plain.sendall(ConnectPacket("c").write())
            await eventually(lambda: world.failed == 1)
        with socket.create_connection(("127.0.0.1", world.port)):
            pass
        await eventually(lambda: world.failed == 2)
        with socket.create_connection(("127.0.0.1", world.port)):
            await eventually(lambda: world.failed == 3)

    logs = run(World(tmp_path, connect_timeout_s=1), visit)
    assert [line["reason"] for line in logs] == ["WRONG_VERSION_NUMBER"]  # the others of the address are only counted

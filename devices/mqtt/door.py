"""The MQTT door: sockets on the outside, `Connection`s on the inside. It holds no rules of the protocol."""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import structlog
from mqtt5 import DisconnectReasonCode

from devices.mqtt import access
from devices.mqtt.broker import Broker
from devices.mqtt.connection import Connection
from devices.registry import DeviceState, Registry

log = structlog.get_logger("mqtt")

SWEEP_S = 1.0
CLOSE_WITHIN_S = 5.0
WRITE_HIGH_BYTES = 1 << 20
"""A client with this much unread is congested: nothing more is sent until it has read most of it."""

KEEP_ALIVE_FACTOR = 1.5
"""MQTT 5.0 §3.1.2.10."""


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """See the section `mqtt` of the configuration."""

    max_connections: int
    connect_timeout_s: float
    slow_consumer_s: float


class Door:
    """Listens, and owns the open sockets. All of it runs on the event loop's thread."""

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        refresh_registry: Callable[[], bool],
        anonymous_topics: tuple[str, ...],
        limits: DoorLimits,
    ) -> None:
        self.broker = broker
        self._registry = registry
        self._refresh_registry = refresh_registry
        self._anonymous = access.anonymous(anonymous_topics) if anonymous_topics else None
        self._limits = limits
        self._servers: list[asyncio.Server] = []
        self._to_flush: set[Peer] = set()
        self._is_flush_due = False
        self.peers: set[Peer] = set()
        self.connections_refused_total = 0

    async def listen(self, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
        """Opens a listening socket. Raises OSError if the address is taken or not allowed."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Peer(self), host, port, ssl=context, backlog=1024)
        self._servers.append(server)
        log.info("mqtt_listening", host=host, port=port, tls=context is not None)

    async def run(self) -> None:
        """Sweeps once a second, until cancelled: keep-alives, silent or stuck peers, wills and expiries."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = time.monotonic()
            for peer in list(self.peers):
                peer.check(now_s, self._limits)
            self.broker.expire(self.broker.steady_us())
            self._close_revoked()

    async def close(self) -> None:
        """Stops listening and says good-bye to everybody."""
        for server in self._servers:
            server.close()
        for peer in list(self.peers):
            peer.connection.close(DisconnectReasonCode.SERVER_SHUTTING_DOWN)
        self._flush()
        for _ in range(20):
            if not self.peers:
                break
            await asyncio.sleep(0.05)
        for peer in list(self.peers):
            peer.abort()
        await asyncio.sleep(0)

    def sign_in(
        self, username: str | None, password: bytes | None, certificate_name: str | None
    ) -> access.Principal | None:
        """Returns who the client is: by its certificate, its id and secret, or nobody in particular."""
        if certificate_name is not None and username in (None, certificate_name):
            device = self._registry.devices.get(certificate_name)
            if device is not None and device.state is DeviceState.ACTIVE:
                return access.of_device(device)
        if username is None:
            return self._anonymous
        found = self._registry.authenticate(username, password or b"")
        if found is None and self._refresh_registry():  # somebody may have added it a moment ago
            found = self._registry.authenticate(username, password or b"")
        return access.of_device(found) if found is not None else None

    def schedule_flush(self, peer: "Peer") -> None:
        """Sends the peer's output at the end of this turn of the loop, together with what else comes up."""
        self._to_flush.add(peer)
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        peers, self._to_flush = self._to_flush, set()
        for peer in peers:
            peer.flush()

    def _close_revoked(self) -> None:
        for peer in list(self.peers):
            device_id = peer.connection.device_id
            if device_id is not None:
                device = self._registry.devices.get(device_id)
                if device is None or device.state is not DeviceState.ACTIVE:
                    peer.connection.close(DisconnectReasonCode.NOT_AUTHORIZED)


class Peer(asyncio.Protocol):
    """One socket and its connection."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._transport: asyncio.Transport
        self._pauses = 0
        self._heard_s = self._opened_s = time.monotonic()
        self._congested_s: float | None = None
        self._closing_s: float | None = None
        self.connection: Connection

    def connection_made(self, made: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, made)  # what a TCP server hands out, uvloop's too
        door = self._door
        address = (transport.get_extra_info("peername") or ("unknown",))[0]
        certificate_name = _common_name(transport.get_extra_info("peercert"))
        self.connection = Connection(
            door.broker,
            lambda username, password: door.sign_in(username, password, certificate_name),
            str(address),
            on_output=self._on_output,
            on_wait=self._on_wait,
        )
        if len(door.peers) >= door._limits.max_connections:
            door.connections_refused_total += 1
            transport.abort()
            return
        transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        door.peers.add(self)

    def data_received(self, data: bytes) -> None:
        self._heard_s = time.monotonic()
        connection = self.connection
        connection.receive(data, time.time_ns() // 1000)
        if not self._door.broker.sink.on_room(self._resume_reading):
            self._pause_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.peers.discard(self)
        self._door._to_flush.discard(self)
        self.connection.lost()

    def pause_writing(self) -> None:
        self._congested_s = time.monotonic()
        self.connection.is_congested = True

    def resume_writing(self) -> None:
        self._congested_s = None
        self.connection.resume()

    def flush(self) -> None:
        """Writes what the connection has to send, and closes the socket if it is done."""
        if self._transport.is_closing():
            return
        data = self.connection.data_to_send()
        if data:
            self._transport.write(data)
        if self.connection.is_closing:
            self._closing_s = time.monotonic()
            self._transport.close()

    def abort(self) -> None:
        """Ends the socket without waiting for the peer."""
        self._transport.abort()

    def check(self, now_s: float, limits: DoorLimits) -> None:
        """Ends a peer that says nothing, or does not read, for too long."""
        connection = self.connection
        if self._closing_s is not None:
            if now_s - self._closing_s > CLOSE_WITHIN_S:
                self.abort()
        elif not connection.is_connected:
            if now_s - self._opened_s > limits.connect_timeout_s:
                self.abort()
        elif self._congested_s is not None and now_s - self._congested_s > limits.slow_consumer_s:
            log.info("slow_consumer_closed", session=connection.client_id)
            self.abort()
        elif (
            connection.keep_alive_s
            and not self._pauses
            and now_s - self._heard_s > connection.keep_alive_s * KEEP_ALIVE_FACTOR
        ):
            connection.close(DisconnectReasonCode.KEEP_ALIVE_TIMEOUT)

    def _on_output(self, _connection: Connection) -> None:
        self._door.schedule_flush(self)

    def _on_wait(self, _connection: Connection) -> Callable[[], None]:
        self._pause_reading()
        return self._resume_reading

    def _pause_reading(self) -> None:
        self._pauses += 1
        if self._pauses == 1 and not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        self._pauses -= 1
        if self._pauses == 0 and not self._transport.is_closing():
            self._heard_s = time.monotonic()
            self._transport.resume_reading()


def _common_name(certificate: dict[str, object] | None) -> str | None:
    """Returns the subject's common name of a verified client certificate, None without one."""
    subject = certificate.get("subject", ()) if certificate else ()
    for part in subject if isinstance(subject, tuple) else ():
        for key, value in part:
            if key == "commonName":
                return str(value)
    return None

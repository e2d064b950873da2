"""The MQTT door: sockets on the outside, `Connection`s on the inside. It holds no rules of the protocol."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import cast

import structlog
from mqtt5 import DisconnectReasonCode

from devices.frame import Intake
from devices.mqtt.server import access
from devices.mqtt.server.broker import Broker
from devices.mqtt.server.connection import Connection
from devices.mqtt.server.entrance import BACKLOG, FailedHandshakes, TlsEntrance
from devices.registry import Device, DeviceState, Registry
from foundation.room import Totals

log = structlog.get_logger("mqtt")

SWEEP_S = 1.0
CLOSE_WITHIN_S = 5.0
"""Time that a peer has to read our last word, and to close its side, before the connection is reset."""

LINGER_BYTES = 4 << 20
"""What a peer may still send meanwhile. It is thrown away: a socket closed with bytes unread is reset, and the peer's
system may then throw away what it had not read of ours."""

COMMIT_WITHIN_S = 5.0
GOODBYE_WITHIN_S = 1.0
GOODBYE_POLL_S = 0.02
"""At the end of the program: for the last commit, and for everybody to have read it."""

REFRESH_EVERY_S = 0.05
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
        self._entrances: list[TlsEntrance] = []
        self._failed_handshakes = FailedHandshakes()
        self._to_flush: set[Peer] = set()
        self._is_flush_due = False
        self._revision = registry.revision
        self._refreshed_s = 0.0
        self._is_full = False
        self.peers: set[Peer] = set()
        self.connections_refused_total = 0

    async def listen(self, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
        """Opens a listening socket. Raises OSError if the address is taken or not allowed."""
        make = partial(Peer, self)
        if context is None:
            self._servers.append(await asyncio.get_running_loop().create_server(make, host, port, backlog=BACKLOG))
        else:
            entrance = TlsEntrance(context, self._limits.connect_timeout_s, make, self._failed_handshakes)
            self._entrances.append(entrance)
            await entrance.listen(host, port)
        log.info("mqtt_listening", host=host, port=port, tls=context is not None)

    async def run(self) -> None:
        """Sweeps once a second, until cancelled: keep-alives, silent or stuck peers, wills and expiries, and
        devices whose rights have changed."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = time.monotonic()
            for peer in list(self.peers):
                peer.check(now_s, self._limits)
            self.broker.expire(self.broker.steady_us())
            self._follow_registry()

    async def close(self) -> None:
        """Stops reading, acknowledges what was taken in once it is committed, and says good-bye to everybody. A disk
        that does not answer has COMMIT_WITHIN_S. Wills stay for the next start."""
        self.broker.is_stopping = True
        for server in self._servers:
            server.close()
        for entrance in self._entrances:
            await entrance.close()
        for peer in list(self.peers):
            peer.pause_reading()
        committed = asyncio.Event()
        self.broker.sink.submit(Intake([], committed.set, 0))
        with suppress(TimeoutError):
            async with asyncio.timeout(COMMIT_WITHIN_S):
                await committed.wait()
        for peer in list(self.peers):
            peer.connection.close(DisconnectReasonCode.SERVER_SHUTTING_DOWN)
        self._flush()
        for _ in range(round(GOODBYE_WITHIN_S / GOODBYE_POLL_S)):
            if not self.peers:
                break
            await asyncio.sleep(GOODBYE_POLL_S)
        for peer in list(self.peers):
            peer.abort()
        await asyncio.sleep(0)

    def readiness(self) -> Mapping[str, str | None]:
        """See `foundation.room.Reports`: once it listens, it is ready."""
        return {}

    def totals(self) -> Totals:
        """See `foundation.room.Reports`."""
        broker, counters = self.broker, self.broker.counters
        return {
            "mqtt_connects": ("Accepted CONNECTs", counters.connects_total),
            "mqtt_sign_ins_failed": ("Refused sign-ins", counters.sign_ins_failed_total),
            "mqtt_tls_handshakes_failed": ("TLS handshakes that failed", self._failed_handshakes.total),
            "mqtt_refused_topics": ("Publishes and subscriptions without permission", counters.refused_topics_total),
            "mqtt_packet_errors": ("Connections closed for what they sent", counters.packet_errors_total),
            "mqtt_queue_dropped": ("Messages dropped from full queues of absent clients", counters.queue_dropped_total),
            "mqtt_qos0_dropped": ("QoS 0 messages not sent to clients that do not read", counters.qos0_dropped_total),
            "mqtt_expired": ("Messages that expired before they were sent", counters.expired_total),
            "retained_refused": ("Messages not retained at the cap", broker.retained.refused),
            "connections_refused": ("Connections over mqtt.max_connections", self.connections_refused_total),
        }

    def sign_in(
        self, username: str | None, password: bytes | None, certificate_name: str | None
    ) -> tuple[access.Principal | None, Device | None]:
        """Returns who the client is: by its certificate, its id and secret, or nobody in particular; (None, None)
        if it may not connect."""
        if certificate_name is not None and username in (None, "", certificate_name):
            found = self._registry.devices.get(certificate_name)
            if found is not None and found.state is DeviceState.ACTIVE:
                return access.of_device(found), found
        if not username:
            return (self._anonymous, None) if not password else (None, None)
        found = self._registry.authenticate(username, password or b"")
        if found is None and self._has_refreshed():  # somebody may have added it a moment ago
            found = self._registry.authenticate(username, password or b"")
        return (access.of_device(found), found) if found is not None else (None, None)

    def _has_refreshed(self) -> bool:
        """Reads the registry again, but not for every one of a storm of wrong sign-ins."""
        now_s = time.monotonic()
        if now_s - self._refreshed_s < REFRESH_EVERY_S:
            return False
        self._refreshed_s = now_s
        return self._refresh_registry()

    def admit(self, peer: "Peer") -> bool:
        """Takes a new peer in; False if there are too many. How fast they come is no matter: after a power cut 2,000
        devices come at once, perhaps from behind one address."""
        if len(self.peers) >= self._limits.max_connections:
            self.connections_refused_total += 1
            return False
        self.peers.add(peer)
        if self._is_full:
            peer.pause_reading()
        return True

    def look_for_room(self) -> None:
        """Call it after each intake: once the sink is full nobody is read until there is room, so that what many
        peers have in hand does not come on top of it."""
        if self._is_full or self.broker.sink.on_room(self._go_on):
            return
        self._is_full = True
        for peer in self.peers:
            peer.pause_reading()

    def _go_on(self) -> None:
        self._is_full = False
        for peer in self.peers:
            peer.resume_reading()

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

    def _follow_registry(self) -> None:
        """Closes connections whose device was revoked, or got another secret or other grants: those sign in again."""
        if self._registry.revision == self._revision:
            return
        self._revision = self._registry.revision
        for peer in list(self.peers):
            if (then := peer.device) is None:
                continue
            now = self._registry.devices.get(then.id)
            if now is None or now.state is not DeviceState.ACTIVE:
                peer.connection.close(DisconnectReasonCode.NOT_AUTHORIZED)
            elif (now.secret_digest, now.publish_grants, now.subscribe_grants) != (
                then.secret_digest,
                then.publish_grants,
                then.subscribe_grants,
            ):
                peer.connection.close(DisconnectReasonCode.ADMINISTRATIVE_ACTION)


class Peer(asyncio.Protocol):
    """One socket and its connection. `device`: who signed in, as the registry had it then."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._transport: asyncio.Transport
        self._certificate_name: str | None = None
        self._pauses = 0
        self._heard_s = self._opened_s = time.monotonic()
        self._congested_s: float | None = None
        self._unread_bytes = 0
        self._closing_s: float | None = None  # since when it only has to read what we said last
        self._thrown_away_bytes = 0
        self.device: Device | None = None
        self.connection: Connection

    def connection_made(self, made: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, made)  # what a TCP server hands out, uvloop's too
        door = self._door
        address = str((transport.get_extra_info("peername") or ("unknown",))[0])
        self._certificate_name = _common_name(transport.get_extra_info("peercert"))
        self.connection = Connection(door.broker, self._sign_in, address, self._on_output, self._on_wait)
        if not door.admit(self):
            transport.abort()
            return
        transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def _sign_in(self, username: str | None, password: bytes | None) -> access.Principal | None:
        principal, self.device = self._door.sign_in(username, password, self._certificate_name)
        return principal

    def data_received(self, data: bytes) -> None:
        if self._closing_s is not None:
            self._thrown_away_bytes += len(data)
            if self._thrown_away_bytes > LINGER_BYTES:
                self.abort()
            return
        connection = self.connection
        if connection.receive(data, time.time_ns() // 1000):
            self._heard_s = time.monotonic()  # a whole packet: bytes alone keep nobody alive [MQTT-3.1.2-22]
        self._door.look_for_room()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.peers.discard(self)
        self.connection.lost()

    def pause_writing(self) -> None:
        self._congested_s = time.monotonic()
        self.connection.hold_back()
        self.pause_reading()  # whoever asks without reading the answers waits until it does

    def resume_writing(self) -> None:
        self._congested_s = None
        self.resume_reading()
        self.connection.resume()

    def flush(self) -> None:
        """Writes what the connection has to send, and closes the socket if it is done."""
        transport, connection = self._transport, self.connection
        if self._closing_s is not None or transport.is_closing():
            return
        data = connection.data_to_send()
        if data:
            transport.write(data)
        if connection.is_closing:
            self._linger()
        else:
            connection.pump()  # there may be more that was only too much at once

    def _linger(self) -> None:
        """Ends our side, and reads on until the peer ends its own. TLS has no half of an end: there it just closes."""
        self._closing_s = time.monotonic()
        self.connection.lost()
        transport = self._transport
        if not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        if self._pauses:
            transport.resume_reading()

    @property
    def _is_read(self) -> bool:
        return self._closing_s is None and not self._transport.is_closing()

    def pause_reading(self) -> None:
        """Reads nothing more until `resume_reading` was called as often as this."""
        self._pauses += 1
        if self._pauses == 1 and self._is_read:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See `pause_reading`. What the peer could not say meanwhile is not held against it."""
        self._pauses -= 1
        if self._pauses == 0 and self._is_read:
            self._heard_s = time.monotonic()
            self._transport.resume_reading()

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
        elif self._congested_s is not None:
            unread_bytes = self._transport.get_write_buffer_size()
            if unread_bytes < self._unread_bytes:
                self._congested_s = now_s  # it reads, slowly
            elif now_s - self._congested_s > limits.slow_consumer_s:
                log.info("slow_consumer_closed", session=connection.client_id)
                self.abort()
            self._unread_bytes = unread_bytes
        elif (
            connection.keep_alive_s
            and not self._pauses
            and now_s - self._heard_s > connection.keep_alive_s * KEEP_ALIVE_FACTOR
        ):
            connection.close(DisconnectReasonCode.KEEP_ALIVE_TIMEOUT)

    def _on_output(self) -> None:
        self._door.schedule_flush(self)

    def _on_wait(self) -> Callable[[], None]:
        self.pause_reading()
        return self.resume_reading


def _common_name(certificate: dict[str, object] | None) -> str | None:
    """Returns the subject's common name of a verified client certificate, None without one."""
    subject = certificate.get("subject", ()) if certificate else ()
    for part in subject if isinstance(subject, tuple) else ():
        for key, value in part:
            if key == "commonName":
                return str(value)
    return None

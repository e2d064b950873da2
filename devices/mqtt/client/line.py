"""One connection to a broker: a paho client whose network loop runs on the event loop.

Each connection has a paho client of its own. A client that reconnects keeps packet identifiers, queues and QoS 2
state of the connection before; acknowledging a delivery of that one would acknowledge another message. A closed
line sends nothing more.

paho's thread is not used but its interface for other event loops: an acknowledgement wakes no thread, and a line
that is paused stops reading its socket, so that TCP holds the broker back, for QoS 0 too. Only what blocks (name
look-up, TCP and TLS handshake) runs in a thread.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from devices.errors import DeviceError

KEEP_ALIVE_S = 60
DIAL_WITHIN_S = 10.0
OPEN_WITHIN_S = 20.0
LINGER_S = 1.0
BURST_S = 0.002
"""How long one turn reads before the loop's other work has its turn."""

BURST_BYTES = 1 << 18
REFUSED = 0x80
"""Reason codes from here on are errors (MQTT 5.0 §2.4)."""


class LineLost(DeviceError):
    """The connection could not be opened, or is over."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is and who we are there."""

    host: str
    port: int
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What CONNECT asks for (MQTT 5.0 §3.1.2.11)."""

    client_id: str
    expiry_s: int
    receive_max: int
    max_packet_bytes: int


@dataclass(frozen=True, slots=True)
class Greeting:
    """What CONNACK said (MQTT 5.0 §3.2)."""

    is_session_present: bool
    has_identifiers: bool


@dataclass(frozen=True, slots=True)
class Hearing:
    """Who is told what comes in, all on the event loop's thread.

    `on_open` comes before the first message, which may arrive in the same turn; `on_burst` follows the messages of
    one turn. `on_subscribed` and `on_published`: packet id, and why the broker refused it or None; a subscription that
    was granted less than QoS 1 is told as `is_lesser`.
    """

    on_open: Callable[["Line", Greeting], None]
    on_message: Callable[[mqtt.MQTTMessage], None]
    on_burst: Callable[[], None]
    on_subscribed: Callable[[int, str | None, bool], None]
    on_published: Callable[[int, str | None], None]


class Line:
    """Use it on one event loop; `lost` is done when the connection is over, with the reason."""

    def __init__(self, address: Address, session: Session, hearing: Hearing) -> None:
        self._address = address
        self._session = session
        self._hearing = hearing
        self._loop = asyncio.get_running_loop()
        self._greeting: asyncio.Future[Greeting] = self._loop.create_future()
        self._fd: int | None = None
        self._messages = 0
        self._burst_bytes = 0
        self._is_flush_due = False
        self._paused_s: float | None = None
        self.lost: asyncio.Future[LineLost] = self._loop.create_future()
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=session.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = DIAL_WITHIN_S
        client.max_inflight_messages = 1  # what every broker takes; paho does not heed its Receive Maximum
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_socket_register_write
        client.username_pw_set(address.username, address.password)

    async def open(self) -> Greeting:
        """Connects and signs in. Raises LineLost. Afterwards the line is to be closed."""
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                await self._dial()
                sock = self._client.socket()
                if sock is None:
                    raise LineLost("the connection was lost")
                self._fd = sock.fileno()
                self._loop.add_reader(self._fd, self._read)
                self._flush()
                futures: set[asyncio.Future[Greeting] | asyncio.Future[LineLost]] = {self._greeting, self.lost}
                await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise LineLost(f"the broker did not answer within {OPEN_WITHIN_S:.0f} s") from None
        if self.lost.done():
            raise self.lost.result()
        return self._greeting.result()

    async def close(self, session_expiry_s: int | None = None) -> None:
        """Sends what is queued and DISCONNECT, as far as the socket takes it, and closes. The session stays, with
        another expiry if one is given; it was not opened with 0 then (MQTT 5.0 §3.14.2.2.2)."""
        fd = self._fd
        self._lose(LineLost("closed by the gateway"))
        if fd is not None:
            with socket.socket(fileno=os.dup(fd)) as rest:
                self._detach()
                properties = None
                if session_expiry_s is not None:
                    properties = _properties(PacketTypes.DISCONNECT)
                    properties.SessionExpiryInterval = session_expiry_s
                self._client.disconnect(properties=properties)
                self._client.loop_write()
                await self._linger(rest)
        self._abort()

    async def _linger(self, sock: socket.socket) -> None:
        """Reads until the broker has closed. Closing with unread bytes makes TCP throw away, at the other end too,
        what is on its way there: the last acknowledgements."""
        sock.setblocking(False)
        with contextlib.suppress(OSError, TimeoutError):
            sock.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(LINGER_S):
                while await self._loop.sock_recv(sock, 1 << 16):
                    pass

    def subscribe(self, topic_filter: str, options: SubscribeOptions, identifier: int | None) -> int | None:
        """Asks for a subscription; returns the packet id that `on_subscribed` will name, None if the line is lost."""
        if self._fd is None:
            return None
        properties = None
        if identifier is not None:
            properties = _properties(PacketTypes.SUBSCRIBE)
            properties.SubscriptionIdentifier = identifier
        return self._client.subscribe(topic_filter, options=options, properties=properties)[1]

    def unsubscribe(self, topic_filter: str) -> None:
        if self._fd is not None:
            self._client.unsubscribe(topic_filter)

    def publish(self, topic: str, payload: bytes, qos: int, expiry_s: int | None = None) -> int | None:
        """Sends a message; returns the packet id that `on_published` will name, None if the line is lost.

        Raises ValueError for a topic that cannot be published to.
        """
        if self._fd is None:
            return None
        properties = None
        if expiry_s is not None:
            properties = _properties(PacketTypes.PUBLISH)
            properties.MessageExpiryInterval = expiry_s
        info = self._client.publish(topic, payload, qos, properties=properties)
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def ack(self, packet_id: int, qos: int) -> bool:
        """Acknowledges a delivery of this line (PUBACK, PUBCOMP); False if the line is lost."""
        if self._fd is None:
            return False
        self._client.ack(packet_id, qos)
        return True

    def pause(self) -> None:
        """Stops reading until `resume`."""
        if self._fd is not None and self._paused_s is None:
            self._paused_s = time.monotonic()
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Reads again."""
        if self._fd is not None and self._paused_s is not None:
            self._paused_s = None
            self._loop.add_reader(self._fd, self._read)
            self._loop.call_soon(self._read)  # TLS may hold decrypted bytes that no socket event tells of

    def paused_s(self, now_s: float) -> float:
        """Returns for how long the line has been paused, 0 if it is not."""
        return 0.0 if self._paused_s is None else now_s - self._paused_s

    def check(self) -> None:
        """Keeps the connection alive and notices when the broker does not; call it at least once a second."""
        if self._fd is not None and self._paused_s is None:
            self._note(self._client.loop_misc())

    # The socket.

    async def _dial(self) -> None:
        """Opens the socket and queues CONNECT, in a thread that nobody waits for at the end: a name server that
        does not answer must not keep the gateway from stopping."""
        dialled: asyncio.Future[None] = self._loop.create_future()
        client, address, session = self._client, self._address, self._session
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = session.expiry_s
        properties.ReceiveMaximum = session.receive_max
        properties.MaximumPacketSize = session.max_packet_bytes

        def settle(failure: LineLost | None) -> None:
            if dialled.done():  # given up meanwhile
                self._abort()
            elif failure is not None:
                dialled.set_exception(failure)
            else:
                dialled.set_result(None)

        def dial() -> None:
            failure = None
            try:
                if address.tls:
                    client.tls_set_context(_tls_context(address.ca_file))
                client.connect(address.host, address.port, KEEP_ALIVE_S, clean_start=False, properties=properties)
            except LineLost as error:
                failure = error
            except ssl.SSLCertVerificationError as error:
                failure = LineLost(f"the broker is not trusted: {error.verify_message}")
            except (OSError, ValueError) as error:
                failure = LineLost(f"cannot connect: {getattr(error, 'strerror', None) or error}")
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                self._loop.call_soon_threadsafe(settle, failure)

        threading.Thread(target=dial, name="bridge-dial", daemon=True).start()
        await dialled

    def _read(self) -> None:
        """Reads packets for one turn, then tells that the burst is over."""
        if self._fd is None or self._paused_s is not None:
            return
        client = self._client
        self._burst_bytes = 0
        until_s = time.monotonic() + BURST_S
        while True:
            seen = self._messages
            rc = client.loop_read()
            if rc != MQTTErrorCode.MQTT_ERR_SUCCESS or self._messages == seen or self._fd is None:
                break
            if self._burst_bytes > BURST_BYTES or time.monotonic() > until_s:
                break
        self._hearing.on_burst()
        self._note(rc)
        if self._fd is not None and self._paused_s is None:
            sock = client.socket()
            if isinstance(sock, ssl.SSLSocket) and sock.pending():
                self._loop.call_soon(self._read)

    def _flush(self) -> None:
        """Writes what is queued; the rest when the socket takes more."""
        self._is_flush_due = False
        if self._fd is None:
            return
        self._note(self._client.loop_write())
        if self._fd is None:
            return
        if self._client.want_write():
            self._loop.add_writer(self._fd, self._flush)
        else:
            self._loop.remove_writer(self._fd)

    def _note(self, rc: MQTTErrorCode) -> None:
        """Ends the line if paho says that something failed, or has closed the socket."""
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._lose(LineLost(mqtt.error_string(rc).rstrip(".").lower()))
        if self.lost.done() or self._fd is None:
            self._abort()

    def _lose(self, reason: LineLost) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    def _abort(self) -> None:
        self._lose(LineLost("the connection was lost"))
        self._detach()
        if (sock := self._client.socket()) is not None:
            sock.close()

    def _detach(self) -> None:
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = None

    # What paho calls.

    def _on_socket_register_write(self, _client: mqtt.Client, _userdata: object, _sock: object) -> None:
        if self._fd is not None and not self._is_flush_due:  # before that we are in the dialling thread
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _on_socket_close(self, _client: mqtt.Client, _userdata: object, _sock: object) -> None:
        self._detach()

    def _on_connect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        flags: mqtt.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason_code.value >= REFUSED:
            self._lose(LineLost(f"the broker refuses us: {reason_code}"))
            return
        has_identifiers = bool(getattr(properties, "SubscriptionIdentifierAvailable", 1))
        if not self._greeting.done():
            greeting = Greeting(flags.session_present, has_identifiers)
            self._greeting.set_result(greeting)
            self._hearing.on_open(self, greeting)

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        flags: mqtt.DisconnectFlags,
        reason_code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._lose(LineLost(f"the broker ended the connection: {reason_code}"))

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        self._messages += 1
        self._burst_bytes += len(message.payload)
        self._hearing.on_message(message)

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _userdata: object,
        packet_id: int,
        reason_codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        for code in reason_codes[:1]:  # a SUBACK without any answers nothing
            self._hearing.on_subscribed(packet_id, _refusal(code), code.value < 1)

    def _on_publish(
        self,
        _client: mqtt.Client,
        _userdata: object,
        packet_id: int,
        reason_code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._hearing.on_published(packet_id, _refusal(reason_code))


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise LineLost(f"{ca_file} cannot be used: {error.strerror or error}") from None
    context.sslsocket_class = _TlsSocket
    return context


class _TlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _properties(packet_type: int) -> Properties:
    return Properties(packet_type)  # type: ignore[no-untyped-call]  # paho's constructor has no types


def _refusal(code: ReasonCode) -> str | None:
    return str(code) if code.value >= REFUSED else None

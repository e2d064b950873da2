"""A device on the wire: one paho-mqtt client without a thread, driven by the running asyncio loop.

The device signs in with its id and secret, says "online" (its will says "offline"), numbers its messages, keeps
them until they are acknowledged, and answers commands. When to connect is the fleet's business.
"""

import asyncio
import contextlib
import secrets
import socket
import time
import zlib
from collections.abc import Callable
from typing import cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware_sim import messages, packets
from firmware_sim.messages import QOS
from firmware_sim.outbox import Outbox, Outgoing
from firmware_sim.school import Tap
from firmware_sim.wire import Credential

KEEP_ALIVE_S = 30
CONNECT_TIMEOUT_S = 5.0
_COMMANDS = frozenset({"identify", "restart", "ping"})
_STRAY_DISTANCE = 30_000
"""Packet ids of messages sent past paho are this far from those that it uses at the time."""


def now_ms() -> int:
    """Milliseconds since 1970 UTC by this machine's clock."""
    return time.time_ns() // 1_000_000


def version_of(device_id: str) -> int:
    """Half of the devices speak MQTT 5, half 3.1.1; the same ones every time."""
    return packets.MQTT_5 if zlib.crc32(device_id.encode()) % 2 else packets.MQTT_3_1_1


class DeviceClient:
    """One device and its connection. All methods run on the event loop's thread.

    `clock` gives the stamps of its messages, in ms. `is_kept_session`: the broker keeps the session while the
    device is away, and with it the commands sent meanwhile.
    """

    def __init__(
        self,
        credential: Credential,
        host: str,
        port: int,
        *,
        clock: Callable[[], int] = now_ms,
        is_kept_session: bool = False,
    ) -> None:
        self.id = credential.device_id
        self.clock = clock
        self.outbox = Outbox()
        self.boot = secrets.token_hex(6)
        self.seq = 0
        self.is_online = False
        self.refusal = ""
        self.refused = 0
        self.commands = 0
        self.connections = 0
        self.is_plugged = True
        self._loop = asyncio.get_running_loop()
        self._is_connecting = False
        self._strays = 0
        self._last_packet_id = 0
        self._emptied = asyncio.Event()
        self.version = version_of(self.id)
        self._mqtt = self._client(credential, is_kept_session=is_kept_session)
        self._mqtt.connect_timeout = CONNECT_TIMEOUT_S
        properties = None
        if self.version == packets.MQTT_5 and is_kept_session:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has it so
            properties.SessionExpiryInterval = 3600
        self._mqtt.connect_async(host, port, KEEP_ALIVE_S, properties=properties)

    def _client(self, credential: Credential, *, is_kept_session: bool) -> mqtt.Client:
        is_v5 = self.version == packets.MQTT_5
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.id,
            clean_session=None if is_v5 else not is_kept_session,
            protocol=MQTTProtocolVersion.MQTTv5 if is_v5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        if credential.secret is not None:
            client.username_pw_set(self.id, credential.secret)
        client.max_inflight_messages_set(0)  # the outbox bounds what is in flight
        client.will_set(messages.status_topic(self.id), "offline", QOS, retain=True)
        client.on_connect = self._connected
        client.on_publish = self._published
        client.on_message = self._commanded
        client.on_disconnect = self._disconnected
        client.on_socket_close = self._closing
        client.on_socket_register_write = self._wants_to_write
        return client

    @property
    def is_idle(self) -> bool:
        """Neither connected nor about to be."""
        return self._mqtt.socket() is None and not self._is_connecting

    async def connect(self) -> None:
        """Opens the connection and sends CONNECT; the answer comes later. Raises OSError if nobody is there."""
        self._is_connecting = True
        # paho connects with a blocking call, so it has to be made on another thread
        attempt = asyncio.ensure_future(asyncio.to_thread(self._mqtt.reconnect))
        try:
            await asyncio.shield(attempt)
        except asyncio.CancelledError:
            await asyncio.wait([attempt])  # the client belongs to that thread until the call returns
            raise
        finally:
            self._is_connecting = False
        sock = self._socket()
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._loop.add_reader(sock, self._read)
            self._write()

    def tick(self) -> None:
        """Keep-alive and time-outs; to be called about once a second."""
        self._mqtt.loop_misc()

    def measure(self, values: dict[str, float]) -> tuple[str, bytes]:
        """Sends a telemetry message, or keeps it until it can be sent. Returns its topic and payload."""
        topic, payload = messages.telemetry(self.id, self.clock(), self.boot, self._next_seq(), values)
        self.publish(topic, payload)
        return topic, payload

    def tap(self, seen: Tap) -> tuple[str, bytes]:
        """Sends a tap, or keeps it until it can be sent. Returns its topic and payload."""
        topic, payload = messages.tap(self.id, self.clock(), self.boot, self._next_seq(), seen)
        self.publish(topic, payload)
        return topic, payload

    def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> None:
        self.outbox.keep(Outgoing(topic, payload, is_retained))
        self._flush()

    def restart(self) -> None:
        """What a power cut does: a new boot, numbers from 0. What was kept stays kept (it is in flash)."""
        self.boot = secrets.token_hex(6)
        self.seq = 0

    def unplug(self) -> None:
        """The network cable is out: the connection dies without a word, no new one until `plug_in`."""
        self.is_plugged = False
        self._shut()

    def plug_in(self) -> None:
        self.is_plugged = True

    def break_off(self, packet: bytes, sent: int) -> bool:
        """Sends the first `sent` bytes of `packet` and closes the socket. False if there is no connection."""
        sock = self._socket()
        if sock is None or not self.is_online:
            return False
        if not self._mqtt.want_write():
            with contextlib.suppress(OSError):
                sock.send(packet[:sent])
        self._shut()
        return True

    def send_stray(self, topic: str, payload: bytes, *, is_duplicate: bool) -> bool:
        """Sends a message past paho's bookkeeping, under a packet id of its own. False if it cannot now."""
        sock = self._socket()
        if sock is None or not self.is_online or self._mqtt.want_write():
            return False
        self._strays += 1
        stray_id = (self._last_packet_id + _STRAY_DISTANCE + self._strays % 5000) % 65_535 + 1
        packet = packets.publish(
            self.version,
            topic,
            payload,
            qos=QOS,
            packet_id=stray_id,
            is_duplicate=is_duplicate,
        )
        try:
            taken = sock.send(packet)
        except OSError:
            return False
        if taken < len(packet):
            self._shut()
        return taken == len(packet)

    async def say_goodbye(self, timeout_s: float) -> None:
        """Sends what is left as far as `timeout_s` allows, then "offline" and DISCONNECT."""
        if self.is_online:
            self.publish(messages.status_topic(self.id), b"offline", is_retained=True)
            self._emptied.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._emptied.wait()
            self._mqtt.disconnect()
            self._write()
        sock = self._socket()
        if sock is not None:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
            sock.close()

    def _next_seq(self) -> int:
        seq = self.seq
        self.seq += 1
        return seq

    def _socket(self) -> socket.socket | None:
        # over plain TCP paho's socket is the standard library's
        return cast("socket.socket | None", self._mqtt.socket())

    def _shut(self) -> None:
        sock = self._socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _flush(self) -> None:
        while self.is_online:
            message = self.outbox.next()
            if message is None:
                return
            info = self._mqtt.publish(message.topic, message.payload, QOS, message.is_retained)
            self.outbox.sent(info.mid)
            self._last_packet_id = info.mid

    def _read(self) -> None:
        self._mqtt.loop_read()

    def _write(self) -> None:
        self._mqtt.loop_write()
        sock = self._socket()
        if sock is None:
            return
        if self._mqtt.want_write():
            self._loop.add_writer(sock, self._write)
        else:
            self._loop.remove_writer(sock)

    def _wants_to_write(self, client: mqtt.Client, userdata: object, sock: object) -> None:
        if not self._is_connecting:
            self._loop.call_soon(self._write)

    def _closing(self, client: mqtt.Client, userdata: object, sock: object) -> None:
        if not self._is_connecting:
            self._loop.remove_reader(cast("socket.socket", sock))
            self._loop.remove_writer(cast("socket.socket", sock))

    def _connected(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self.refusal = str(reason)
            return
        self.refusal = ""
        self.is_online = True
        self.connections += 1
        client.subscribe(messages.command_filter(self.id), QOS)
        client.publish(messages.status_topic(self.id), b"online", QOS, retain=True)
        # paho repeats what was unacknowledged right after this callback; what waited comes after that
        self._loop.call_soon(self._flush)

    def _disconnected(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self.is_online = False
        self._emptied.set()

    def _published(
        self,
        client: mqtt.Client,
        userdata: object,
        packet_id: int,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if not self.outbox.acknowledge(packet_id):
            return
        if reason.is_failure:
            self.refused += 1
        if self.outbox:
            self._loop.call_soon(self._flush)
        else:
            self._emptied.set()

    def _commanded(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        self.commands += 1
        topic, payload = messages.answer(message.topic, bytes(message.payload), self.clock(), _COMMANDS)
        if message.topic.endswith("/restart"):
            self.restart()
        self.publish(topic, payload)

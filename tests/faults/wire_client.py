"""An MQTT 5 client below any library's manners: it sends what the test says, and waits for what must come."""

import json
import socket
import time
from types import TracebackType
from typing import Self, TypeVar

import mqtt5
from mqtt5 import ConnAckPacket, ConnAckReasonCode, ConnectPacket, PubAckPacket, PublishPacket, QoS

from tests.faults.stream import WITHIN_S

P = TypeVar("P")


class Closed(Exception):
    """The gateway closed the connection."""


class WireClient:
    """A socket to the door of 127.0.0.1, from another address of the loopback network if need be.

    `others`: packets that came while one of another kind was awaited, in order.
    """

    def __init__(self, port: int, *, source: str = "127.0.0.1", receive_buffer: int | None = None) -> None:
        self.sock = socket.socket()
        self.sock.settimeout(WITHIN_S)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.bind((source, 0))
        self.sock.connect(("127.0.0.1", port))
        self.others: list[object] = []
        self._held = b""
        self._packet_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def sign_in(
        self,
        device_id: str,
        secret: str,
        client_id: str | None = None,
        *,
        keep_alive: int = 0,
        expiry_s: int = 0,
        is_clean: bool = True,
        will: mqtt5.Will | None = None,
    ) -> ConnAckPacket:
        """Connects as this device and returns the CONNACK, which says welcome."""
        self.send(
            ConnectPacket(
                client_id or device_id,
                username=device_id,
                password=secret.encode(),
                clean_start=is_clean,
                keep_alive=keep_alive,
                session_expiry_interval=expiry_s,
                will=will,
            ).write()
        )
        connack = self.wait_for(ConnAckPacket)
        assert connack.reason_code is ConnAckReasonCode.SUCCESS, connack
        return connack

    def publish(self, topic: str, body: object) -> PubAckPacket:
        """Publishes JSON with QoS 1 and returns the PUBACK."""
        self._packet_id = self._packet_id % 65_535 + 1
        payload = json.dumps(body).encode()
        self.send(PublishPacket(topic, payload, qos=QoS.AT_LEAST_ONCE, packet_id=self._packet_id).write())
        puback = self.wait_for(PubAckPacket)
        assert puback.packet_id == self._packet_id
        return puback

    def subscribe(self, topic_filter: str, qos: int = 1) -> None:
        """Subscribes, and waits for the SUBACK."""
        self.send(mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(topic_filter, max_qos=QoS(qos))]).write())
        suback = self.wait_for(mqtt5.SubAckPacket)
        assert suback.reason_codes[0].value == qos, suback

    def wait_for(self, kind: type[P], within_s: float = WITHIN_S) -> P:
        """Returns the next packet of this kind. Raises Closed, AssertionError."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                packet, size = mqtt5.read(memoryview(self._held))
            except IndexError:
                self._receive(deadline)
                continue
            self._held = self._held[size:]
            if isinstance(packet, kind):
                return packet
            self.others.append(packet)
        raise AssertionError(f"no {kind.__name__} within {within_s} s, but {self.others[-5:]}")

    def _receive(self, deadline: float) -> None:
        self.sock.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self.sock.recv(1 << 16)
        except TimeoutError:
            return
        except ConnectionResetError:
            data = b""
        finally:
            self.sock.settimeout(WITHIN_S)
        if not data:
            raise Closed
        self._held += data

    def is_closed_within(self, within_s: float) -> bool:
        """Reads, and throws away, until the gateway closes the connection."""
        deadline = time.monotonic() + within_s
        try:
            while time.monotonic() < deadline:
                self._receive(deadline)
                self._held = b""
        except Closed:
            return True
        return False

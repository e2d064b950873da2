"""One message for many subscribers: encoded once a version, then made a packet for each receiver. Pure."""

from collections.abc import Iterable
from typing import Final

from mqtt5 import PublishPacket

from devices.mqtt.codec import Version
from devices.mqtt.wire import Kind, Reader, write_variable

_SUBSCRIPTION_ID: Final = b"\x0b"


class PublishTemplate:
    """Renders a message as PUBLISH packets that differ in what belongs to the receiver.

    Of `packet`, the topic, which is not empty, the payload and the properties of the message are used. QoS,
    packet identifier, DUP, RETAIN, topic alias and subscription identifiers are not: they were the sender's.
    """

    __slots__ = ("_packet", "_payload", "_properties", "_rendered", "_topic")

    def __init__(self, packet: PublishPacket) -> None:
        topic = packet.topic.encode()
        self._packet = packet
        self._topic = len(topic).to_bytes(2, "big") + topic
        self._payload = packet.payload
        self._properties: bytes | None = None
        self._rendered: dict[tuple[Version, bool], tuple[bytes, bytes]] = {}

    def render(
        self,
        version: Version,
        *,
        packet_id: int | None = None,
        qos: int = 0,
        retain: bool = False,
        duplicate: bool = False,
        subscription_ids: Iterable[int] = (),
    ) -> bytes:
        """The packet for one receiver. `packet_id` is None with QoS 0; 3.1.1 has no subscription ids."""
        first = Kind.PUBLISH << 4 | duplicate << 3 | qos << 1 | retain
        if subscription_ids and version is Version.V5:
            head, tail = self._parts(version, qos > 0, b"".join(map(_subscription_id, subscription_ids)))
        else:
            key = (version, qos > 0)
            parts = self._rendered.get(key)
            if parts is None:
                parts = self._rendered[key] = self._parts(version, qos > 0, b"")
            head, tail = parts
        if packet_id is None:
            return b"%c%b%b" % (first, head, tail)
        return b"%c%b%b%b" % (first, head, packet_id.to_bytes(2, "big"), tail)

    def _parts(self, version: Version, has_packet_id: bool, subscription_ids: bytes) -> tuple[bytes, bytes]:
        """What comes between the first byte and the packet identifier, and what after it."""
        tail = self._payload
        if version is Version.V5:
            if self._properties is None:
                self._properties = _write_properties(self._packet)
            properties = self._properties + subscription_ids
            tail = write_variable(len(properties)) + properties + tail
        size = len(self._topic) + 2 * has_packet_id + len(tail)
        return write_variable(size) + self._topic, tail


def _subscription_id(identifier: int) -> bytes:
    return _SUBSCRIPTION_ID + write_variable(identifier)


def _write_properties(packet: PublishPacket) -> bytes:
    """The properties of the message, without their length."""
    bare = PublishPacket(
        "t",
        b"",
        payload_format_indicator=packet.payload_format_indicator,
        message_expiry_interval=packet.message_expiry_interval,
        content_type=packet.content_type,
        response_topic=packet.response_topic,
        correlation_data=packet.correlation_data,
        user_properties=packet.user_properties,
    ).write()
    reader = Reader(bare, 1, len(bare))
    reader.variable()  # remaining length
    reader.binary()  # topic
    reader.variable()  # property length
    return reader.rest()

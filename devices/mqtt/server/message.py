"""Application messages and subscriptions as the broker keeps them, whichever version they came in."""

import msgspec
from mqtt5 import PublishPacket, RetainHandling, TopicFilter, Will

from devices.mqtt.codec.wire import QOS, TOLD_UNSPECIFIED
from foundation.clock import SECOND_US

LAST_PACKET_ID = 0xFFFF
"""The first is 1 (MQTT 5.0 §2.2.1)."""

MESSAGE_OVERHEAD_BYTES = 400
USER_PROPERTY_OVERHEAD_BYTES = 160
"""What holding one costs beside its text, so that a cap in bytes caps memory and not only text."""


class Properties(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """PUBLISH properties that are passed on unaltered (MQTT 5.0 §3.3.2.3). `is_told_unspecified`: the publisher said
    itself that the payload's format is 0. The tables hold what this is packed into: fields are added at the end."""

    payload_format_indicator: int = 0
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    is_told_unspecified: bool = False

    @property
    def size_bytes(self) -> int:
        return (
            len(self.content_type or "")
            + len(self.response_topic or "")
            + len(self.correlation_data or b"")
            + sum(len(name) + len(value) + USER_PROPERTY_OVERHEAD_BYTES for name, value in self.user_properties)
        )


NO_PROPERTIES = Properties()
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Properties)


def encode_properties(properties: Properties) -> bytes:
    """Returns what the tables hold of properties."""
    return b"" if properties is NO_PROPERTIES else _encoder.encode(properties)


def decode_properties(data: bytes) -> Properties:
    """The inverse of `encode_properties`. Raises msgspec.DecodeError."""
    return _decoder.decode(data) if data else NO_PROPERTIES


class Message(msgspec.Struct, frozen=True):
    """One application message. `expires_us`: by the broker's steady clock, None for never. `size_bytes`: in memory."""

    topic: str
    payload: bytes
    qos: int
    is_retain: bool
    properties: Properties = NO_PROPERTIES
    expires_us: int | None = None
    size_bytes: int = 0

    def __post_init__(self) -> None:
        size = len(self.topic) + len(self.payload) + MESSAGE_OVERHEAD_BYTES
        if self.properties is not NO_PROPERTIES:
            size += self.properties.size_bytes
        msgspec.structs.force_setattr(self, "size_bytes", size)


def is_declared_right(payload_format: int, payload: bytes) -> bool:
    """False if the payload is declared as UTF-8 and is not (MQTT 5.0 §3.3.2.3.2)."""
    if payload_format:
        try:
            payload.decode()
        except UnicodeDecodeError:
            return False
    return True


def properties_of(packet: PublishPacket | Will) -> Properties:
    """Returns the properties that are passed on; the shared empty ones where there are none."""
    if not (
        packet.payload_format_indicator
        or packet.content_type is not None
        or packet.response_topic is not None
        or packet.correlation_data is not None
        or packet.user_properties
    ):
        return NO_PROPERTIES
    is_told_unspecified = packet.payload_format_indicator == TOLD_UNSPECIFIED
    return Properties(
        0 if is_told_unspecified else packet.payload_format_indicator,
        packet.content_type,
        packet.response_topic,
        packet.correlation_data,
        tuple(packet.user_properties),
        is_told_unspecified,
    )


def message_of(packet: PublishPacket, topic: str, now_us: int) -> Message:
    """Returns the message that a PUBLISH carries; `topic` with its alias resolved."""
    expiry_s = packet.message_expiry_interval
    return Message(
        topic,
        packet.payload,
        packet.qos.value,
        packet.retain,
        properties_of(packet),
        None if expiry_s is None else now_us + expiry_s * SECOND_US,
    )


class Subscription(msgspec.Struct, frozen=True):
    """One subscription of a session. `filter` is as the client gave it, with `$share/...` if it is shared."""

    filter: str
    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = int(RetainHandling.SEND_ALWAYS)
    subscription_id: int | None = None

    @property
    def options(self) -> int:
        return int(self.no_local) | int(self.retain_as_published) << 1 | self.retain_handling << 2

    @property
    def size_bytes(self) -> int:
        return len(self.filter) + MESSAGE_OVERHEAD_BYTES

    @classmethod
    def of(cls, entry: TopicFilter, subscription_id: int | None) -> "Subscription":
        return cls(
            entry.pattern,
            int(entry.max_qos),
            entry.no_local,
            entry.retain_as_published,
            int(entry.retain_handling),
            subscription_id,
        )

    @classmethod
    def from_row(cls, filter_: str, qos: int, options: int, subscription_id: int | None) -> "Subscription":
        return cls(filter_, qos, bool(options & 1), bool(options & 2), options >> 2, subscription_id)


class Outgoing(msgspec.Struct):
    """A message on its way to one session. `number`: its place in the session's order, 0 for QoS 0, which has none.

    The packet id follows from the number, so it is on disk before the message is sent, and the same message goes
    again under the same id after a crash. `share`: the shared subscription it came through, so that another member
    can get it if this session ends. `was_sent`: perhaps, on an earlier connection; it goes as a duplicate.
    """

    number: int
    message: Message
    qos: int
    is_retain: bool
    subscription_ids: tuple[int, ...] = ()
    share: str | None = None
    was_sent: bool = False
    is_released: bool = False

    @property
    def packet_id(self) -> int:
        return (self.number - 1) % LAST_PACKET_ID + 1

    def packet(self, topic: str, alias: int | None, now_us: int) -> PublishPacket:
        """Returns the PUBLISH to send, with what is left of its expiry (MQTT 5.0 §3.3.2.3.3)."""
        message, properties = self.message, self.message.properties
        expires_us = message.expires_us
        return PublishPacket(
            topic,
            message.payload,
            qos=QOS[self.qos],
            retain=self.is_retain,
            packet_id=self.packet_id if self.qos else None,
            duplicate=self.was_sent,
            payload_format_indicator=(
                TOLD_UNSPECIFIED if properties.is_told_unspecified else properties.payload_format_indicator
            ),
            message_expiry_interval=(
                None if expires_us is None else max(1, (expires_us - now_us + SECOND_US - 1) // SECOND_US)
            ),
            content_type=properties.content_type,
            response_topic=properties.response_topic,
            correlation_data=properties.correlation_data,
            subscription_ids=list(self.subscription_ids),
            topic_alias=alias,
            user_properties=list(properties.user_properties),
        )

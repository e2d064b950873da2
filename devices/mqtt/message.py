"""Application messages and subscriptions as the broker keeps them, whichever version they came in."""

import msgspec
from mqtt5 import PublishPacket, QoS, RetainHandling, TopicFilter, Will

SECOND_US = 1_000_000


class Properties(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """PUBLISH properties that are passed on unaltered (MQTT 5.0 §3.3.2.3)."""

    payload_format_indicator: int = 0
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


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
    """One application message. `expires_us`: µs since 1970 UTC, None for never."""

    topic: str
    payload: bytes
    qos: int
    is_retain: bool
    properties: Properties = NO_PROPERTIES
    expires_us: int | None = None

    @property
    def size_bytes(self) -> int:
        return len(self.topic) + len(self.payload) + 64


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
    return Properties(
        packet.payload_format_indicator,
        packet.content_type,
        packet.response_topic,
        packet.correlation_data,
        tuple(packet.user_properties),
    )


def message_of(packet: PublishPacket | Will, topic: str, now_us: int) -> Message:
    """Returns the message that a PUBLISH or a will carries; `topic` with its alias resolved."""
    expiry_s = packet.message_expiry_interval
    return Message(
        topic,
        packet.payload or b"",
        int(packet.qos),
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
    """A message on its way to one session. `number`: its place in the session's order.

    `share`: the shared subscription it came through, so that another member can get it if this session ends.
    """

    number: int
    message: Message
    qos: int
    is_retain: bool
    subscription_ids: tuple[int, ...] = ()
    share: str | None = None
    packet_id: int | None = None
    is_released: bool = False

    def packet(self, topic: str, alias: int | None, now_us: int, *, is_duplicate: bool) -> PublishPacket:
        """Returns the PUBLISH to send, with what is left of its expiry (MQTT 5.0 §3.3.2.3.3)."""
        message, properties = self.message, self.message.properties
        expires_us = message.expires_us
        return PublishPacket(
            topic,
            message.payload,
            qos=QoS(self.qos),
            retain=self.is_retain,
            packet_id=self.packet_id,
            duplicate=is_duplicate,
            payload_format_indicator=properties.payload_format_indicator,
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

"""What both versions are made of: kinds of packet, the fixed header, fields (MQTT 5.0 §1.5, §2.1). Pure."""

import enum
from typing import Final, NoReturn, TypeAlias

from mqtt5 import (
    AuthPacket,
    ConnAckPacket,
    ConnectPacket,
    DisconnectPacket,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PubCompPacket,
    PublishPacket,
    PubRecPacket,
    PubRelPacket,
    QoS,
    SubAckPacket,
    SubscribePacket,
    UnsubAckPacket,
    UnsubscribePacket,
)

from devices.mqtt.codec.errors import MalformedPacket, PacketTooLarge, ProtocolError, QuotaExceeded
from devices.mqtt.topics import filter_fault, name_fault, text_fault

Acknowledgement: TypeAlias = PubAckPacket | PubRecPacket | PubRelPacket | PubCompPacket

ClientPacket: TypeAlias = (
    ConnectPacket
    | PublishPacket
    | Acknowledgement
    | SubscribePacket
    | UnsubscribePacket
    | PingReqPacket
    | DisconnectPacket
    | AuthPacket
)
"""What a client may send."""

ServerPacket: TypeAlias = (
    ConnAckPacket
    | PublishPacket
    | Acknowledgement
    | SubAckPacket
    | UnsubAckPacket
    | PingRespPacket
    | DisconnectPacket
    | AuthPacket
)
"""What a server may send."""

QOS: Final = (QoS.AT_MOST_ONCE, QoS.AT_LEAST_ONCE, QoS.EXACTLY_ONCE)
"""The quality of service by its number. The library's enums cannot be compared with <, nor be keys."""

TOLD_UNSPECIFIED: Final = 2
"""The payload format indicator of a packet whose bytes say 0. The library gives 0 for one that says nothing too, but
"A Server MUST send the Payload Format Indicator unaltered to all subscribers" [MQTT-3.3.2-4]."""

NEVER_EXPIRES_S: Final = 0xFFFF_FFFF
"""The Session Expiry Interval of a session that does not expire (MQTT 5.0 §3.1.2.11.2)."""


class Kind(enum.IntEnum):
    """The kind of a packet, the upper half of its first byte (MQTT 5.0 §2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


PUBLISH_BYTES: Final = frozenset((0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x3A, 0x3B, 0x3C, 0x3D))
"""What a PUBLISH begins with: DUP, QoS and RETAIN in all combinations but QoS 3, and DUP with QoS 0."""

_FIRST_BYTES: Final = PUBLISH_BYTES | {0x10, 0x40, 0x50, 0x62, 0x70, 0x82, 0xA2, 0xC0, 0xE0, 0xF0}
"""What packets of a client begin with: kind and flags (MQTT 5.0 §2.1.2, §2.1.3)."""

_FROM_SERVERS: Final = {0x20: "CONNACK", 0x90: "SUBACK", 0xB0: "UNSUBACK", 0xD0: "PINGRESP"}


def check_first_byte(first: int) -> None:
    """Raises MalformedPacket for a kind or flags that are reserved, ProtocolError for what only servers send."""
    if first in _FIRST_BYTES:
        return
    if first in _FROM_SERVERS:
        raise ProtocolError(f"{_FROM_SERVERS[first]} comes from servers only")
    if first < 0x10:
        raise MalformedPacket("packet type 0 is reserved")
    if first >> 4 == Kind.PUBLISH:
        raise MalformedPacket("PUBLISH has QoS 3, or DUP with QoS 0")  # [MQTT-3.3.1-4, -2]
    raise MalformedPacket(f"{Kind(first >> 4).name} has reserved flags set")  # [MQTT-2.1.3-1]


def read_header(data: bytes, at: int, limit: int) -> tuple[int, int] | None:
    """Where the body of the packet that begins at `at` begins and ends; None until its header is all there.

    Needs one byte. Raises as `check_first_byte`, PacketTooLarge for a packet above `limit` bytes, whether or
    not its body is there, and MalformedPacket for a remaining length of five bytes. A length that is not in
    its shortest form passes: only version 5 forbids it, and there the library refuses it.
    """
    check_first_byte(data[at])
    length = shift = 0
    for body in range(at + 1, at + 5):
        if body == len(data):
            return None
        byte = data[body]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            end = body + 1 + length
            if end - at > limit:
                raise PacketTooLarge(f"packet of {end - at} bytes, at most {limit} are accepted")
            return body + 1, end
        shift += 7
    raise MalformedPacket("remaining length is longer than four bytes")


SHORT_PACKET_BYTES: Final = 1 + 2 + 0x3FFF
"""The longest packet whose remaining length has two bytes. Up to it a packet's size need not be checked where
the limit is not lower."""

_KNOWN_TOPICS: Final = 1_024
_KNOWN_PROPERTIES: Final = 64
_KNOWN_BYTES: Final = 127


class KnownFields:
    """Fields of PUBLISH that a connection has sent and that were good, by their bytes, length included.

    They need not be checked again. The memory is small and keeps what came first: a connection with more topics
    than fit pays with time.
    """

    __slots__ = ("properties", "topics")

    def __init__(self) -> None:
        self.topics: dict[bytes, str] = {}
        self.properties: set[bytes] = set()

    def add_topic(self, data: bytes, at: int, topic: str) -> None:
        """Notes the topic name at `at`. It may be empty: the library asks for an alias then."""
        end = at + 2 + (data[at] << 8 | data[at + 1])
        if end - at - 2 <= _KNOWN_BYTES and len(self.topics) < _KNOWN_TOPICS:
            self.topics[data[at:end]] = topic

    def add_properties(self, data: bytes, at: int) -> None:
        """Notes the list of properties at `at` if its length has one byte."""
        if data[at] <= _KNOWN_BYTES and len(self.properties) < _KNOWN_PROPERTIES:
            self.properties.add(data[at : at + 1 + data[at]])


MAX_FILTERS: Final = 10_000
"""In one packet. The smallest has four bytes, so a large packet could hold the event loop for a third of a second."""


class Reader:
    """Reads the fields of one packet in `data[at:end]`; raises MalformedPacket where they cannot be read."""

    __slots__ = ("at", "data", "end", "filters", "unspecified_at")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end
        self.filters = 0
        self.unspecified_at: int | None = None  # where a payload format indicator says 0

    def take(self, size: int) -> int:
        """Moves on by `size` bytes and returns where they begin."""
        begin = self.at
        self.at = begin + size
        if self.at > self.end:
            raise MalformedPacket("packet ends inside a field")
        return begin

    def byte(self) -> int:
        return self.data[self.take(1)]

    def short(self) -> int:
        begin = self.take(2)
        return self.data[begin] << 8 | self.data[begin + 1]

    def long(self) -> int:
        begin = self.take(4)
        return int.from_bytes(self.data[begin : begin + 4], "big")

    def variable(self) -> int:
        """A Variable Byte Integer in its shortest form [MQTT-1.5.5-1]."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    break
                return value
        raise MalformedPacket("variable byte integer is not in its shortest form, or too long")

    def binary(self) -> bytes:
        begin = self.take(self.short())
        return self.data[begin : self.at]

    def text(self) -> str:
        """A UTF-8 Encoded String."""
        text = self._unicode()
        fault = text_fault(text)
        if fault is not None:
            raise MalformedPacket(fault)
        return text

    def name(self) -> str:
        """A topic name, which a message is published to."""
        topic = self._unicode()
        fault = name_fault(topic)
        if fault is not None:
            raise MalformedPacket(fault)
        return topic

    def filter(self) -> str:
        """A topic filter, which a client subscribes to."""
        self.filters += 1
        if self.filters > MAX_FILTERS:
            raise QuotaExceeded(f"more than {MAX_FILTERS} topic filters in a packet")
        topic_filter = self._unicode()
        fault = filter_fault(topic_filter)
        if fault is not None:
            raise MalformedPacket(fault)
        return topic_filter

    def packet_id(self) -> int:
        """A Packet Identifier, which is never 0 (MQTT 5.0 §2.2.1)."""
        packet_id = self.short()
        if packet_id == 0:
            raise ProtocolError("packet identifier is 0")
        return packet_id

    def rest(self) -> bytes:
        begin = self.at
        self.at = self.end
        return self.data[begin : self.end]

    def finish(self) -> None:
        if self.at != self.end:
            raise MalformedPacket("packet goes on after its last field")

    def _unicode(self) -> str:
        try:
            return self.binary().decode()
        except UnicodeDecodeError:
            raise MalformedPacket("text is not UTF-8") from None  # [MQTT-1.5.4-1]


def refuse_second_connect(_reader: Reader, _first: int) -> NoReturn:
    raise ProtocolError("a second CONNECT")  # [MQTT-3.1.0-2]


def check_connect_flags(flags: int) -> None:
    """Raises MalformedPacket unless the Connect Flags can go together (MQTT 5.0 §3.1.2.3 to §3.1.2.7)."""
    if flags & 0x01:
        raise MalformedPacket("CONNECT has its reserved flag set")  # [MQTT-3.1.2-3]
    if flags & 0x18 == 0x18:
        raise MalformedPacket("will has QoS 3")  # [MQTT-3.1.2-12]
    if flags & 0x38 and not flags & 0x04:
        raise MalformedPacket("will has QoS or RETAIN, but no will flag")  # [MQTT-3.1.2-11, -13]


def write_variable(value: int) -> bytes:
    """The shortest Variable Byte Integer of a value below 2**28."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)

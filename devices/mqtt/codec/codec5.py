"""MQTT 5.0 packets of a client, checked clause by clause and then read by the library `mqtt5`. Pure.

The library is fast and builds the packet, but it panics on text that is not UTF-8 (with a backtrace on
stderr), lets a property run over the end of its list, and does not know which side sent the packet. So every
packet is walked through here first. The one exception is the packet that the door lives on, a PUBLISH whose topic
and properties this connection has used before: nothing is left to check in it.
"""

from collections.abc import Callable
from typing import Final

import mqtt5
from mqtt5 import DisconnectReasonCode, PublishPacket

from devices.mqtt.codec.errors import MalformedPacket, ProtocolError, QuotaExceeded
from devices.mqtt.codec.wire import (
    PUBLISH_BYTES,
    SHORT_PACKET_BYTES,
    TOLD_UNSPECIFIED,
    ClientPacket,
    Kind,
    KnownFields,
    Reader,
    check_connect_flags,
    read_header,
    refuse_second_connect,
)

MAX_USER_PROPERTIES: Final = 1_000
"""In one list. The smallest has five bytes, so that a large packet could hold the event loop for half a second."""

_USER_PROPERTY = 0x26
_SUBSCRIPTION_ID = 0x0B
_AUTHENTICATION_METHOD = 0x15
_AUTHENTICATION_DATA = 0x16
_TOPIC_ALIAS = 0x23

_ALLOWED: Final[dict[int, frozenset[int]]] = {
    Kind.CONNECT: frozenset({0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27}),
    Kind.PUBLISH: frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26}),
    Kind.PUBACK: frozenset({0x1F, 0x26}),
    Kind.PUBREC: frozenset({0x1F, 0x26}),
    Kind.PUBREL: frozenset({0x1F, 0x26}),
    Kind.PUBCOMP: frozenset({0x1F, 0x26}),
    Kind.SUBSCRIBE: frozenset({0x0B, 0x26}),
    Kind.UNSUBSCRIBE: frozenset({0x26}),
    Kind.DISCONNECT: frozenset({0x11, 0x1C, 0x1F, 0x26}),
    Kind.AUTH: frozenset({0x15, 0x16, 0x1F, 0x26}),
}
"""Properties by packet (§2.2.2.2, table 2-4)."""

_ALLOWED_IN_A_WILL: Final = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26})


def _flag(reader: Reader) -> int:
    value = reader.byte()
    if value > 1:
        raise ProtocolError("property that is 0 or 1 has another value")
    return value


def _payload_format(reader: Reader) -> int:
    value = _flag(reader)
    if value == 0:
        reader.unspecified_at = reader.at - 1
    return value


def _positive(read: Callable[[Reader], int]) -> Callable[[Reader], int]:
    def read_positive(reader: Reader) -> int:
        value = read(reader)
        if value == 0:
            raise ProtocolError("property that is never 0 is 0")
        return value

    return read_positive


def _topic_alias(reader: Reader) -> int:
    value = reader.short()
    if value == 0:
        raise ProtocolError("topic alias is 0", DisconnectReasonCode.TOPIC_ALIAS_INVALID)  # [MQTT-3.3.2-8]
    return value


def _pair(reader: Reader) -> tuple[str, str]:
    return reader.text(), reader.text()


_READ: Final[dict[int, Callable[[Reader], object]]] = {
    0x01: _payload_format,  # Payload Format Indicator
    0x02: Reader.long,  # Message Expiry Interval
    0x03: Reader.text,  # Content Type
    0x08: Reader.name,  # Response Topic [MQTT-3.3.2-14]
    0x09: Reader.binary,  # Correlation Data
    0x0B: _positive(Reader.variable),  # Subscription Identifier
    0x11: Reader.long,  # Session Expiry Interval
    0x15: Reader.text,  # Authentication Method
    0x16: Reader.binary,  # Authentication Data
    0x17: _flag,  # Request Problem Information
    0x18: Reader.long,  # Will Delay Interval
    0x19: _flag,  # Request Response Information
    0x1C: Reader.text,  # Server Reference
    0x1F: Reader.text,  # Reason String
    0x21: _positive(Reader.short),  # Receive Maximum
    0x22: Reader.short,  # Topic Alias Maximum
    0x23: _topic_alias,
    0x26: _pair,  # User Property
    0x27: _positive(Reader.long),  # Maximum Packet Size
}

_FROM_SERVERS_ONLY: Final = frozenset(
    {0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2}
)
"""DISCONNECT reason codes that only a server sends (§3.14.2.1, table 3-10)."""


def read_all(data: bytes, at: int, limit: int, known: KnownFields, packets: list[ClientPacket]) -> int:
    """Appends the packets that are whole in `data[at:]` and returns where the first one that is not begins.

    Raises a PacketError at the first packet that is wrong; those before it have been appended.
    """
    size = len(data)
    view = memoryview(data)
    topics = known.topics if limit >= SHORT_PACKET_BYTES else {}
    properties = known.properties
    append = packets.append
    library_read = mqtt5.read
    while at < size:
        try:
            first = data[at]
            if first in PUBLISH_BYTES:
                # A remaining length of one or two bytes. With more of them, what is taken for the topic here is not a
                # known one: those begin with 0x00, and the last byte of a longer length does not.
                body = at + 2 if data[at + 1] < 0x80 else at + 3
                name_end = body + 2 + data[body + 1]  # known topics are shorter than 256 bytes
                list_at = name_end + 2 if first & 0x06 else name_end  # behind the packet identifier
                if (
                    data[body:name_end] in topics
                    and (data[list_at] == 0 or data[list_at : list_at + 1 + data[list_at]] in properties)
                    and (list_at == name_end or data[name_end] or data[name_end + 1])
                ):
                    publish, length = library_read(view[at:])
                    append(publish)  # type: ignore[arg-type]  # its first byte says PUBLISH
                    at += length
                    continue
        except (IndexError, ValueError):
            pass  # the packet is not whole, or wrong: the slow way tells
        header = read_header(data, at, limit)
        if header is None or header[1] > size:
            return at
        body, end = header
        packet = read(data, at, body, end)
        if isinstance(packet, PublishPacket):
            known.add_topic(data, body, packet.topic)
            name_end = body + 2 + (data[body] << 8 | data[body + 1])
            if packet.payload_format_indicator != TOLD_UNSPECIFIED:  # what is known the library reads as it is
                known.add_properties(data, name_end if packet.packet_id is None else name_end + 2)
        append(packet)
        at = end
    return at


def read_connect(data: bytes, at: int, body: int, end: int) -> ClientPacket:
    """The CONNECT in `data[at:end]`, as `read` does all others."""
    return _read(data, at, Reader(data, body, end), _check_connect)


def read(data: bytes, at: int, body: int, end: int) -> ClientPacket:
    """The packet in `data[at:end]`, whose fixed header is good and ends at `body`.

    Raises MalformedPacket or ProtocolError, and nothing else.
    """
    return _read(data, at, Reader(data, body, end), _CHECK[data[at] >> 4])


def _read(data: bytes, at: int, reader: Reader, check: Callable[[Reader, int], None]) -> ClientPacket:
    check(reader, data[at])
    reader.finish()
    view = memoryview(data)[at : reader.end]
    if reader.unspecified_at is not None:
        marked = bytearray(view)
        marked[reader.unspecified_at - at] = TOLD_UNSPECIFIED
        view = memoryview(marked)
    try:
        packet, _ = mqtt5.read(view)
    except (ValueError, IndexError) as error:
        raise MalformedPacket(str(error)) from error
    return packet  # type: ignore[return-value]  # the checks are those of client packets only


def write_unspecified(packet: PublishPacket) -> bytes:
    """The bytes of a PUBLISH whose payload format indicator is TOLD_UNSPECIFIED, with a 0 in its place."""
    data = packet.write()
    header = read_header(data, 0, len(data))
    if header is None:
        raise AssertionError("the library wrote half a packet")
    reader = Reader(data, *header)
    reader.binary()  # topic name
    if packet.packet_id is not None:
        reader.packet_id()
    reader.variable()  # length of the properties; the library writes the indicator as the first of them
    value_at = reader.at + 1
    return b"%b\0%b" % (data[:value_at], data[value_at + 1 :])


def _properties(reader: Reader, allowed: frozenset[int]) -> frozenset[int]:
    """Checks a list of properties, its length first; returns which there are."""
    length = reader.variable()
    end = reader.end
    reader.end = reader.at + length
    if reader.end > end:
        raise MalformedPacket("properties are longer than their packet")
    seen = set()
    user_properties = 0
    while reader.at < reader.end:
        identifier = reader.byte()
        if identifier not in allowed:
            raise MalformedPacket(f"property 0x{identifier:02x} is not one of this packet")
        if identifier == _USER_PROPERTY:
            user_properties += 1
            if user_properties > MAX_USER_PROPERTIES:
                raise QuotaExceeded(f"more than {MAX_USER_PROPERTIES} user properties in a list")
        elif identifier in seen:
            raise ProtocolError(f"property 0x{identifier:02x} is there twice")
        seen.add(identifier)
        _READ[identifier](reader)
    reader.end = end
    return frozenset(seen)


def _check_connect(reader: Reader, _first: int) -> None:
    reader.binary()  # protocol name
    reader.byte()  # protocol version
    flags = reader.byte()
    check_connect_flags(flags)
    reader.short()  # keep alive
    seen = _properties(reader, _ALLOWED[Kind.CONNECT])
    if _AUTHENTICATION_DATA in seen and _AUTHENTICATION_METHOD not in seen:
        raise ProtocolError("authentication data without a method")  # §3.1.2.11.10
    reader.text()  # client identifier
    if flags & 0x04:
        _properties(reader, _ALLOWED_IN_A_WILL)
        reader.name()
        reader.binary()
    if flags & 0x80:
        reader.text()  # user name
    if flags & 0x40:
        reader.binary()  # password


def _check_publish(reader: Reader, first: int) -> None:
    is_aliased = reader.data[reader.at : reader.at + 2] == b"\0\0"
    if is_aliased:
        reader.take(2)
    else:
        reader.name()
    if first & 0x06:
        reader.packet_id()
    seen = _properties(reader, _ALLOWED[Kind.PUBLISH])
    if _SUBSCRIPTION_ID in seen:
        raise ProtocolError("PUBLISH of a client holds a subscription identifier")  # [MQTT-3.3.4-6]
    if is_aliased and _TOPIC_ALIAS not in seen:
        raise ProtocolError("topic name is empty and there is no topic alias")  # §3.3.2.1
    reader.at = reader.end


def _check_acknowledgement(reader: Reader, first: int) -> None:
    reader.packet_id()
    if reader.at < reader.end:
        reader.byte()  # reason code
    if reader.at < reader.end:
        _properties(reader, _ALLOWED[first >> 4])


def _check_subscribe(reader: Reader, _first: int) -> None:
    reader.packet_id()
    _properties(reader, _ALLOWED[Kind.SUBSCRIBE])
    if reader.at == reader.end:
        raise ProtocolError("SUBSCRIBE without a topic filter")  # [MQTT-3.8.3-2]
    while reader.at < reader.end:
        topic_filter = reader.filter()
        options = reader.byte()
        if options & 0xC0:
            raise MalformedPacket("subscription has reserved options set")  # [MQTT-3.8.3-5]
        if options & 0x03 == 0x03:
            raise ProtocolError("subscription has QoS 3")  # §3.8.3.1
        if options & 0x30 == 0x30:
            raise ProtocolError("subscription has retain handling 3")  # §3.8.3.1
        if options & 0x04 and topic_filter.startswith("$share/"):
            raise ProtocolError("shared subscription has the option no local")  # [MQTT-3.8.3-4]


def _check_unsubscribe(reader: Reader, _first: int) -> None:
    reader.packet_id()
    _properties(reader, _ALLOWED[Kind.UNSUBSCRIBE])
    if reader.at == reader.end:
        raise ProtocolError("UNSUBSCRIBE without a topic filter")  # [MQTT-3.10.3-2]
    while reader.at < reader.end:
        reader.filter()


def _check_ping(_reader: Reader, _first: int) -> None:
    """A PINGREQ has no fields."""


def _check_disconnect(reader: Reader, _first: int) -> None:
    if reader.at < reader.end and reader.byte() in _FROM_SERVERS_ONLY:
        raise ProtocolError("DISCONNECT of a client has a reason code of servers")  # [MQTT-3.14.2-1]
    if reader.at < reader.end:
        _properties(reader, _ALLOWED[Kind.DISCONNECT])


def _check_auth(reader: Reader, _first: int) -> None:
    if reader.at == reader.end or reader.byte() == 0x00:
        raise ProtocolError("AUTH of a client says success")  # §3.15.2.1, table 3-11
    if _AUTHENTICATION_METHOD not in _properties(reader, _ALLOWED[Kind.AUTH]):
        raise ProtocolError("AUTH without an authentication method")  # §3.15.2.2.2


_CHECK: Final[dict[int, Callable[[Reader, int], None]]] = {
    Kind.CONNECT: refuse_second_connect,
    Kind.PUBLISH: _check_publish,
    Kind.PUBACK: _check_acknowledgement,
    Kind.PUBREC: _check_acknowledgement,
    Kind.PUBREL: _check_acknowledgement,
    Kind.PUBCOMP: _check_acknowledgement,
    Kind.SUBSCRIBE: _check_subscribe,
    Kind.UNSUBSCRIBE: _check_unsubscribe,
    Kind.PINGREQ: _check_ping,
    Kind.DISCONNECT: _check_disconnect,
    Kind.AUTH: _check_auth,
}

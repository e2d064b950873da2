"""MQTT 3.1.1, server side: a client's packets into the values of version 5, and a server's from them. Pure.

Clauses are those of MQTT 3.1.1. What version 5 says and 3.1.1 cannot say is left out: properties, reason
codes of acknowledgements, and whole packets, DISCONNECT and AUTH, of which nothing is written.
"""

from collections.abc import Callable
from typing import Final, NoReturn

from mqtt5 import (
    ConnAckPacket,
    ConnAckReasonCode,
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
    TopicFilter,
    UnsubAckPacket,
    UnsubscribePacket,
    Will,
)

from devices.mqtt.codec.errors import MalformedPacket
from devices.mqtt.codec.wire import (
    NEVER_EXPIRES_S,
    QOS,
    SHORT_PACKET_BYTES,
    ClientPacket,
    Kind,
    KnownFields,
    Reader,
    ServerPacket,
    check_connect_flags,
    read_header,
    refuse_second_connect,
    write_variable,
)

_SERVER_UNAVAILABLE: Final = 3
_RETURN_CODES: Final = {
    ConnAckReasonCode.SUCCESS.value: 0,
    ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION.value: 1,
    ConnAckReasonCode.CLIENT_ID_NOT_VALID.value: 2,
    ConnAckReasonCode.UNSPECIFIED_ERROR.value: _SERVER_UNAVAILABLE,
    ConnAckReasonCode.IMPLEMENTATION_SPECIFIC_ERROR.value: _SERVER_UNAVAILABLE,
    ConnAckReasonCode.SERVER_UNAVAILABLE.value: _SERVER_UNAVAILABLE,
    ConnAckReasonCode.SERVER_BUSY.value: _SERVER_UNAVAILABLE,
    ConnAckReasonCode.QUOTA_EXCEEDED.value: _SERVER_UNAVAILABLE,
    ConnAckReasonCode.USE_ANOTHER_SERVER.value: _SERVER_UNAVAILABLE,
    ConnAckReasonCode.SERVER_MOVED.value: _SERVER_UNAVAILABLE,
    ConnAckReasonCode.CONNECTION_RATE_EXCEEDED.value: _SERVER_UNAVAILABLE,
    ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD.value: 4,
    ConnAckReasonCode.NOT_AUTHORIZED.value: 5,
    ConnAckReasonCode.BANNED.value: 5,
}
"""CONNACK return codes by reason code (§3.2.2.3); for the others no CONNACK is sent [MQTT-3.2.2-6]."""

_FAILURE: Final = 0x80
"""The one SUBACK return code of a refused subscription (§3.9.3)."""


def read_all(data: bytes, at: int, limit: int, known: KnownFields, packets: list[ClientPacket]) -> int:
    """Appends the packets that are whole in `data[at:]` and returns where the first one that is not begins.

    Raises a PacketError at the first packet that is wrong; those before it have been appended.
    """
    size = len(data)
    topics = known.topics if limit >= SHORT_PACKET_BYTES else {}
    find = topics.get
    append = packets.append
    at_least_once = QoS.AT_LEAST_ONCE
    while at < size:
        try:
            first = data[at]
            if first & 0xFD == 0x30:  # PUBLISH, QoS 0 or 1, nothing else set
                body = at + 2
                length = data[at + 1]
                if length > 0x7F:
                    high = data[body]
                    length = length - 0x80 + (high << 7) if high < 0x80 else size
                    body += 1
                name_end = body + 2 + data[body + 1]  # known topics are shorter than 256 bytes
                topic = find(data[body:name_end])
                if topic is not None:
                    end = body + length
                    if first == 0x30:
                        if name_end <= end <= size:
                            append(PublishPacket(topic, data[name_end:end]))
                            at = end
                            continue
                    else:
                        packet_id = data[name_end] << 8 | data[name_end + 1]
                        name_end += 2
                        if packet_id and name_end <= end <= size:
                            append(PublishPacket(topic, data[name_end:end], qos=at_least_once, packet_id=packet_id))
                            at = end
                            continue
        except IndexError:
            pass  # the packet is not whole
        header = read_header(data, at, limit)
        if header is None or header[1] > size:
            return at
        body, end = header
        packet = read(data, at, body, end)
        if isinstance(packet, PublishPacket):
            known.add_topic(data, body, packet.topic)
        append(packet)
        at = end
    return at


def read(data: bytes, at: int, body: int, end: int) -> ClientPacket:
    """The packet in `data[at:end]`, whose fixed header is good and ends at `body`.

    Raises MalformedPacket or ProtocolError, and nothing else.
    """
    reader = Reader(data, body, end)
    packet = _READ[data[at] >> 4](reader, data[at])
    reader.finish()
    return packet


def read_connect(data: bytes, body: int, end: int) -> ConnectPacket:
    """The CONNECT in `data[at:end]`, as `read` does all others."""
    reader = Reader(data, body, end)
    packet = _read_connect(reader)
    reader.finish()
    return packet


def _read_connect(reader: Reader) -> ConnectPacket:
    reader.binary()  # protocol name
    reader.byte()  # protocol level
    flags = reader.byte()
    check_connect_flags(flags)
    if flags & 0x40 and not flags & 0x80:
        raise MalformedPacket("password without a user name")  # [MQTT-3.1.2-22]
    is_clean = bool(flags & 0x02)
    keep_alive = reader.short()
    client_id = reader.text()
    will = None
    if flags & 0x04:
        topic = reader.name()
        will = Will(topic, payload=reader.binary(), qos=QOS[flags >> 3 & 0x03], retain=bool(flags & 0x20))
    return ConnectPacket(
        client_id,
        clean_start=is_clean,
        session_expiry_interval=0 if is_clean else NEVER_EXPIRES_S,  # Clean Session (§3.1.2.4)
        keep_alive=keep_alive,
        will=will,
        username=reader.text() if flags & 0x80 else None,
        password=reader.binary() if flags & 0x40 else None,
    )


def _read_publish(reader: Reader, first: int) -> PublishPacket:
    return PublishPacket(
        reader.name(),
        qos=QOS[first >> 1 & 0x03],
        packet_id=reader.packet_id() if first & 0x06 else None,
        payload=reader.rest(),
        retain=bool(first & 0x01),
        duplicate=bool(first & 0x08),
    )


def _read_subscribe(reader: Reader, _first: int) -> SubscribePacket:
    packet_id = reader.packet_id()
    topic_filters = []
    while reader.at < reader.end:
        topic_filter = reader.filter()
        qos = reader.byte()
        if qos > 2:
            raise MalformedPacket("subscription has a QoS above 2, or reserved bits set")  # [MQTT-3.8.3-4]
        topic_filters.append(TopicFilter(topic_filter, max_qos=QOS[qos], retain_as_published=False))
    if not topic_filters:
        raise MalformedPacket("SUBSCRIBE without a topic filter")  # [MQTT-3.8.3-3]
    return SubscribePacket(packet_id, topic_filters)


def _read_unsubscribe(reader: Reader, _first: int) -> UnsubscribePacket:
    packet_id = reader.packet_id()
    patterns = []
    while reader.at < reader.end:
        patterns.append(reader.filter())
    if not patterns:
        raise MalformedPacket("UNSUBSCRIBE without a topic filter")  # [MQTT-3.10.3-2]
    return UnsubscribePacket(packet_id, patterns)


def _refuse_auth(_reader: Reader, _first: int) -> NoReturn:
    raise MalformedPacket("packet type 15 is reserved")  # §2.2.1


_READ: Final[dict[int, Callable[[Reader, int], ClientPacket]]] = {
    Kind.CONNECT: refuse_second_connect,
    Kind.PUBLISH: _read_publish,
    Kind.PUBACK: lambda reader, _: PubAckPacket(reader.packet_id()),
    Kind.PUBREC: lambda reader, _: PubRecPacket(reader.packet_id()),
    Kind.PUBREL: lambda reader, _: PubRelPacket(reader.packet_id()),
    Kind.PUBCOMP: lambda reader, _: PubCompPacket(reader.packet_id()),
    Kind.SUBSCRIBE: _read_subscribe,
    Kind.UNSUBSCRIBE: _read_unsubscribe,
    Kind.PINGREQ: lambda _reader, _: PingReqPacket(),
    Kind.DISCONNECT: lambda _reader, _: DisconnectPacket(),
    Kind.AUTH: _refuse_auth,
}


def write(packet: ServerPacket) -> bytes:
    """The packet's bytes; none for what 3.1.1 has no packet for: there the server closes the connection."""
    match packet:
        case PublishPacket():
            return _write_publish(packet)
        case PubAckPacket():
            return b"\x40\x02" + packet.packet_id.to_bytes(2, "big")
        case PubRecPacket():
            return b"\x50\x02" + packet.packet_id.to_bytes(2, "big")
        case PubRelPacket():
            return b"\x62\x02" + packet.packet_id.to_bytes(2, "big")
        case PubCompPacket():
            return b"\x70\x02" + packet.packet_id.to_bytes(2, "big")
        case ConnAckPacket():
            return_code = _RETURN_CODES.get(packet.reason_code.value)
            if return_code is None:
                return b""
            return bytes((0x20, 2, packet.session_present and return_code == 0, return_code))
        case SubAckPacket():
            codes = bytes(min(code.value, _FAILURE) for code in packet.reason_codes)
            return b"\x90" + write_variable(2 + len(codes)) + packet.packet_id.to_bytes(2, "big") + codes
        case UnsubAckPacket():
            return b"\xb0\x02" + packet.packet_id.to_bytes(2, "big")
        case PingRespPacket():
            return b"\xd0\x00"
        case _:
            return b""


def _write_publish(packet: PublishPacket) -> bytes:
    topic = packet.topic.encode()
    first = Kind.PUBLISH << 4 | packet.duplicate << 3 | packet.qos.value << 1 | packet.retain
    packet_id = b"" if packet.packet_id is None else packet.packet_id.to_bytes(2, "big")
    size = 2 + len(topic) + len(packet_id) + len(packet.payload)
    return b"".join(
        (
            bytes((first,)),
            write_variable(size),
            len(topic).to_bytes(2, "big"),
            topic,
            packet_id,
            packet.payload,
        )
    )

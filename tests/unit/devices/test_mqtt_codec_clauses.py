"""Each clause of MQTT 5.0 and 3.1.1 that a client's packet can break, as bytes, and what the decoder says of it."""

from collections.abc import Mapping
from typing import TypeAlias

import mqtt5
import pytest

from devices.mqtt.codec.codec import Decoder, Version
from devices.mqtt.codec.errors import MalformedPacket, PacketError, ProtocolError

MALFORMED = (MalformedPacket, mqtt5.DisconnectReasonCode.MALFORMED_PACKET)
PROTOCOL = (ProtocolError, mqtt5.DisconnectReasonCode.PROTOCOL_ERROR)
ALIAS = (ProtocolError, mqtt5.DisconnectReasonCode.TOPIC_ALIAS_INVALID)

CONNECT = {
    Version.V311: b"\x10\x0e\0\4MQTT\4\2\0\0\0\2id",
    Version.V5: b"\x10\x0f\0\4MQTT\5\2\0\0\0\0\2id",
}


def packet(first: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes((first, len(body))) + body


def connect5(flags: int, properties: bytes = b"", payload: bytes = b"\0\2id") -> bytes:
    return packet(0x10, b"\0\4MQTT\5" + bytes((flags, 0, 60, len(properties))) + properties + payload)


def connect311(flags: int, payload: bytes = b"\0\2id") -> bytes:
    return packet(0x10, b"\0\4MQTT\4" + bytes((flags, 0, 60)) + payload)


def publish5(properties: bytes, topic: bytes = b"t") -> bytes:
    return packet(0x30, bytes((0, len(topic))) + topic + bytes((len(properties),)) + properties + b"payload")


def subscribe5(options: int, topic_filter: bytes = b"t", properties: bytes = b"") -> bytes:
    body = b"\0\1" + bytes((len(properties),)) + properties + bytes((0, len(topic_filter))) + topic_filter
    return packet(0x82, body + bytes((options,)))


def fed(version: Version, data: bytes) -> tuple[list[object], PacketError | None]:
    """What comes of `data` behind a good CONNECT."""
    decoder = Decoder(65_536)
    assert len(decoder.feed(CONNECT[version])) == 1
    return list(decoder.feed(data)), decoder.failure


WILL = b"\0\2id" + b"\0" + b"\0\1t" + b"\0\1p"
"""Client identifier, empty will properties, will topic, will payload."""

BAD_CONNECTS_5 = {
    "reserved flag [MQTT-3.1.2-3]": (connect5(0x03), MALFORMED),
    "will QoS without a will [MQTT-3.1.2-11]": (connect5(0x0A), MALFORMED),
    "will retain without a will [MQTT-3.1.2-13]": (connect5(0x22), MALFORMED),
    "will QoS 3 [MQTT-3.1.2-12]": (connect5(0x1E, payload=WILL), MALFORMED),
    "a will that is not there [MQTT-3.1.2-9]": (connect5(0x06), MALFORMED),
    "a user name that is not there [MQTT-3.1.2-17]": (connect5(0x82), MALFORMED),
    "a password that is not there [MQTT-3.1.2-19]": (connect5(0x42), MALFORMED),
    "a user name that is not announced [MQTT-3.1.2-16]": (connect5(0x02, payload=b"\0\2id\0\1u"), MALFORMED),
    "no client identifier [MQTT-3.1.3-3]": (connect5(0x02, payload=b""), MALFORMED),
    "client identifier not UTF-8 [MQTT-3.1.3-4]": (connect5(0x02, payload=b"\0\2i\xff"), MALFORMED),
    "client identifier with U+0000 [MQTT-1.5.4-2]": (connect5(0x02, payload=b"\0\2i\0"), MALFORMED),
    "client identifier with a surrogate [MQTT-1.5.4-1]": (
        connect5(0x02, payload=b"\0\3\xed\xa0\x80"),
        MALFORMED,
    ),
    "overlong UTF-8 [MQTT-1.5.4-1]": (connect5(0x02, payload=b"\0\2\xc0\xaf"), MALFORMED),
    "user name not UTF-8 [MQTT-3.1.3-12]": (connect5(0x82, payload=b"\0\2id\0\1\xff"), MALFORMED),
    "will topic not UTF-8 [MQTT-3.1.3-11]": (connect5(6, payload=b"\0\2id\0\0\1\xff\0\1p"), MALFORMED),
    "will topic with a wildcard [MQTT-4.7.1-1]": (connect5(6, payload=b"\0\2id\0\0\1#\0\1p"), MALFORMED),
    "empty will topic [MQTT-4.7.3-1]": (connect5(6, payload=b"\0\2id\0\0\0\0\1p"), MALFORMED),
    "bytes behind the payload": (connect5(0x02, payload=b"\0\2id!"), MALFORMED),
    "session expiry twice §3.1.2.11.2": (connect5(2, b"\x11\0\0\0\1\x11\0\0\0\1"), PROTOCOL),
    "receive maximum 0 §3.1.2.11.3": (connect5(2, b"\x21\0\0"), PROTOCOL),
    "receive maximum twice §3.1.2.11.3": (connect5(2, b"\x21\0\1\x21\0\1"), PROTOCOL),
    "maximum packet size 0 §3.1.2.11.4": (connect5(2, b"\x27\0\0\0\0"), PROTOCOL),
    "topic alias maximum twice §3.1.2.11.5": (connect5(2, b"\x22\0\1\x22\0\1"), PROTOCOL),
    "request response information 2 §3.1.2.11.6": (connect5(2, b"\x19\2"), PROTOCOL),
    "request problem information 2 §3.1.2.11.7": (connect5(2, b"\x17\2"), PROTOCOL),
    "authentication method twice §3.1.2.11.9": (connect5(2, b"\x15\0\1a\x15\0\1a"), PROTOCOL),
    "authentication data alone §3.1.2.11.10": (connect5(2, b"\x16\0\1a"), PROTOCOL),
    "user property not UTF-8": (connect5(2, b"\x26\0\1a\0\1\xff"), MALFORMED),
    "a property of PUBLISH §2.2.2.2": (connect5(2, b"\x01\1"), MALFORMED),
    "a property that does not exist §2.2.2.2": (connect5(2, b"\x7f\1"), MALFORMED),
    "a property cut off by the end of its list": (connect5(2, b"\x11\0\0"), MALFORMED),
    "a property list longer than the packet": (packet(0x10, b"\0\4MQTT\5\2\0\0\x7f\0\2id"), MALFORMED),
    "a property length that is not the shortest [MQTT-1.5.5-1]": (
        packet(0x10, b"\0\4MQTT\5\2\0\0\x80\0\0\2id"),
        MALFORMED,
    ),
    "a property length of five bytes §1.5.5": (
        packet(0x10, b"\0\4MQTT\5\2\0\0\x80\x80\x80\x80\1\0\2id"),
        MALFORMED,
    ),
    "will payload format 2 §3.1.3.2.3": (connect5(6, payload=b"\0\2id\2\1\2\0\1t\0\1p"), PROTOCOL),
    "will delay twice §3.1.3.2.2": (
        connect5(6, payload=b"\0\2id\x0a\x18\0\0\0\1\x18\0\0\0\1\0\1t\0\1p"),
        PROTOCOL,
    ),
    "a property of CONNECT in the will": (connect5(6, payload=b"\0\2id\3\x21\0\1\0\1t\0\1p"), MALFORMED),
    "a remaining length that is not the shortest": (
        b"\x10\x8f\0" + connect5(2)[2:],
        MALFORMED,
    ),
    "no properties at all": (packet(0x10, b"\0\4MQTT\5\2\0\0"), MALFORMED),
}

BAD_CONNECTS_311 = {
    "reserved flag [MQTT-3.1.2-3]": (connect311(0x03), MALFORMED),
    "will QoS without a will [MQTT-3.1.2-13]": (connect311(0x0A), MALFORMED),
    "will retain without a will [MQTT-3.1.2-15]": (connect311(0x22), MALFORMED),
    "will QoS 3 [MQTT-3.1.2-14]": (connect311(0x1E, b"\0\2id\0\1t\0\1p"), MALFORMED),
    "a will that is not there [MQTT-3.1.2-9]": (connect311(0x06), MALFORMED),
    "a user name that is not there [MQTT-3.1.2-19]": (connect311(0x82), MALFORMED),
    "a password without a user name [MQTT-3.1.2-22]": (connect311(0x42, b"\0\2id\0\1p"), MALFORMED),
    "client identifier not UTF-8 [MQTT-3.1.3-4]": (connect311(0x02, b"\0\2i\xff"), MALFORMED),
    "client identifier with U+0000 [MQTT-1.5.3-2]": (connect311(0x02, b"\0\2i\0"), MALFORMED),
    "no client identifier [MQTT-3.1.3-3]": (connect311(0x02, b""), MALFORMED),
    "bytes behind the payload": (connect311(0x02, b"\0\2id!"), MALFORMED),
}

BAD_PACKETS_5 = {
    "packet type 0 §2.1.2": (packet(0x00, b""), MALFORMED),
    "a second CONNECT [MQTT-3.1.0-2]": (CONNECT[Version.V5], PROTOCOL),
    "PUBLISH with QoS 3 [MQTT-3.3.1-4]": (packet(0x36, b"\0\1t\0\1\0"), MALFORMED),
    "PUBLISH with DUP and QoS 0 [MQTT-3.3.1-2]": (packet(0x38, b"\0\1t\0"), MALFORMED),
    "PUBLISH with packet identifier 0 [MQTT-2.2.1-3]": (packet(0x32, b"\0\1t\0\0\0"), PROTOCOL),
    "PUBLISH to a wildcard [MQTT-3.3.2-2]": (publish5(b"", b"a/+"), MALFORMED),
    "PUBLISH to text that is not UTF-8 [MQTT-3.3.2-1]": (publish5(b"", b"\xff"), MALFORMED),
    "PUBLISH to U+0000 [MQTT-1.5.4-2]": (publish5(b"", b"a\0"), MALFORMED),
    "PUBLISH to a control character §5.4.9": (publish5(b"", b"a\n"), MALFORMED),
    "PUBLISH to nothing §3.3.2.1": (publish5(b"", b""), PROTOCOL),
    "PUBLISH without properties": (packet(0x30, b"\0\1t"), MALFORMED),
    "PUBLISH that ends in its topic": (packet(0x30, b"\0\5t"), MALFORMED),
    "PUBLISH that is empty": (packet(0x30, b""), MALFORMED),
    "topic alias 0 [MQTT-3.3.2-8]": (publish5(b"\x23\0\0"), ALIAS),
    "topic alias twice §3.3.2.3.4": (publish5(b"\x23\0\1\x23\0\1"), PROTOCOL),
    "payload format 2": (publish5(b"\1\2"), PROTOCOL),
    "payload format twice": (publish5(b"\1\1\1\1"), PROTOCOL),
    "message expiry twice": (publish5(b"\2\0\0\0\1\2\0\0\0\1"), PROTOCOL),
    "content type twice §3.3.2.3.9": (publish5(b"\3\0\1a\3\0\1a"), PROTOCOL),
    "content type not UTF-8 [MQTT-3.3.2-19]": (publish5(b"\3\0\1\xff"), MALFORMED),
    "response topic with a wildcard [MQTT-3.3.2-14]": (publish5(b"\x08\0\1+"), MALFORMED),
    "response topic not UTF-8 [MQTT-3.3.2-13]": (publish5(b"\x08\0\1\xff"), MALFORMED),
    "response topic twice §3.3.2.3.5": (publish5(b"\x08\0\1a\x08\0\1a"), PROTOCOL),
    "correlation data twice §3.3.2.3.6": (publish5(b"\x09\0\1a\x09\0\1a"), PROTOCOL),
    "subscription identifier of a client [MQTT-3.3.4-6]": (publish5(b"\x0b\1"), PROTOCOL),
    "subscription identifier 0 §3.3.2.3.8": (publish5(b"\x0b\0"), PROTOCOL),
    "user property not UTF-8": (publish5(b"\x26\0\1\xff\0\1a"), MALFORMED),
    "a property of CONNECT in PUBLISH §2.2.2.2": (publish5(b"\x21\0\1"), MALFORMED),
    "a property that runs over the end of its list": (packet(0x30, b"\0\1t\1\x23\0\1payload"), MALFORMED),
    "PUBACK with packet identifier 0": (packet(0x40, b"\0\0"), PROTOCOL),
    "PUBACK without a packet identifier": (packet(0x40, b"\0"), MALFORMED),
    "PUBACK with an unknown reason code [MQTT-3.4.2-1]": (packet(0x40, b"\0\1\5"), MALFORMED),
    "PUBACK with flags [MQTT-2.1.3-1]": (packet(0x41, b"\0\1"), MALFORMED),
    "PUBACK with a reason string twice": (packet(0x40, b"\0\1\0\x08\x1f\0\1a\x1f\0\1a"), PROTOCOL),
    "PUBACK with a reason string not UTF-8": (packet(0x40, b"\0\1\0\4\x1f\0\1\xff"), MALFORMED),
    "PUBACK that goes on": (packet(0x40, b"\0\1\0\0\0"), MALFORMED),
    "PUBREC with packet identifier 0": (packet(0x50, b"\0\0"), PROTOCOL),
    "PUBREL with packet identifier 0": (packet(0x62, b"\0\0"), PROTOCOL),
    "PUBREL without its flags [MQTT-3.6.1-1]": (packet(0x60, b"\0\1"), MALFORMED),
    "PUBREL with a reason code of PUBACK [MQTT-3.6.2-1]": (packet(0x62, b"\0\1\x10"), MALFORMED),
    "PUBCOMP with packet identifier 0": (packet(0x70, b"\0\0"), PROTOCOL),
    "SUBSCRIBE without its flags [MQTT-3.8.1-1]": (packet(0x80, b"\0\1\0\0\1t\0"), MALFORMED),
    "SUBSCRIBE with packet identifier 0 [MQTT-2.2.1-3]": (packet(0x82, b"\0\0\0\0\1t\0"), PROTOCOL),
    "SUBSCRIBE to nothing [MQTT-3.8.3-2]": (packet(0x82, b"\0\1\0"), PROTOCOL),
    "SUBSCRIBE to an empty filter [MQTT-4.7.3-1]": (subscribe5(0, b""), MALFORMED),
    "SUBSCRIBE to text that is not UTF-8 [MQTT-3.8.3-1]": (subscribe5(0, b"\xff"), MALFORMED),
    "SUBSCRIBE to a bad filter [MQTT-4.7.1-1]": (subscribe5(0, b"a#"), MALFORMED),
    "SUBSCRIBE to a bad share [MQTT-4.8.2-2]": (subscribe5(0, b"$share/+/t"), MALFORMED),
    "SUBSCRIBE without options": (packet(0x82, b"\0\1\0\0\1t"), MALFORMED),
    "reserved subscription options [MQTT-3.8.3-5]": (subscribe5(0x40), MALFORMED),
    "subscription with QoS 3 §3.8.3.1": (subscribe5(3), PROTOCOL),
    "retain handling 3 §3.8.3.1": (subscribe5(0x30), PROTOCOL),
    "no local on a shared subscription [MQTT-3.8.3-4]": (subscribe5(4, b"$share/a/t"), PROTOCOL),
    "SUBSCRIBE with identifier 0 §3.8.2.1.2": (subscribe5(0, properties=b"\x0b\0"), PROTOCOL),
    "SUBSCRIBE with two identifiers §3.8.2.1.2": (subscribe5(0, properties=b"\x0b\1\x0b\2"), PROTOCOL),
    "SUBSCRIBE with an identifier of five bytes": (
        subscribe5(0, properties=b"\x0b\xff\xff\xff\xff\1"),
        MALFORMED,
    ),
    "UNSUBSCRIBE without its flags [MQTT-3.10.1-1]": (packet(0xA0, b"\0\1\0\0\1t"), MALFORMED),
    "UNSUBSCRIBE with packet identifier 0": (packet(0xA2, b"\0\0\0\0\1t"), PROTOCOL),
    "UNSUBSCRIBE from nothing [MQTT-3.10.3-2]": (packet(0xA2, b"\0\1\0"), PROTOCOL),
    "UNSUBSCRIBE not UTF-8 [MQTT-3.10.3-1]": (packet(0xA2, b"\0\1\0\0\1\xff"), MALFORMED),
    "UNSUBSCRIBE with a subscription identifier": (packet(0xA2, b"\0\1\2\x0b\1\0\1t"), MALFORMED),
    "PINGREQ with flags [MQTT-2.1.3-1]": (packet(0xC1, b""), MALFORMED),
    "PINGREQ with a body": (packet(0xC0, b"\0"), MALFORMED),
    "DISCONNECT with flags [MQTT-3.14.1-1]": (packet(0xE1, b""), MALFORMED),
    "DISCONNECT with a reason code of servers [MQTT-3.14.2-1]": (packet(0xE0, b"\x8e"), PROTOCOL),
    "DISCONNECT with an unknown reason code [MQTT-3.14.2-1]": (packet(0xE0, b"\x05"), MALFORMED),
    "DISCONNECT with session expiry twice": (
        packet(0xE0, b"\0\x0a\x11\0\0\0\1\x11\0\0\0\1"),
        PROTOCOL,
    ),
    "DISCONNECT with a reason string not UTF-8": (packet(0xE0, b"\0\4\x1f\0\1\xff"), MALFORMED),
    "AUTH with flags [MQTT-3.15.1-1]": (packet(0xF1, b"\x18\0"), MALFORMED),
    "AUTH that says success §3.15.2.1": (packet(0xF0, b""), PROTOCOL),
    "AUTH without a method §3.15.2.2.2": (packet(0xF0, b"\x18\0"), PROTOCOL),
    "AUTH with an unknown reason code [MQTT-3.15.2-1]": (packet(0xF0, b"\x01\4\x15\0\1a"), MALFORMED),
    "CONNACK from a client": (packet(0x20, b"\0\0\0"), PROTOCOL),
    "SUBACK from a client": (packet(0x90, b"\0\1\0\0"), PROTOCOL),
    "UNSUBACK from a client": (packet(0xB0, b"\0\1\0\0"), PROTOCOL),
    "PINGRESP from a client": (packet(0xD0, b""), PROTOCOL),
    "a remaining length of five bytes §2.1.4": (b"\x30\x80\x80\x80\x80\x01", MALFORMED),
    "a remaining length that is not the shortest": (b"\xc0\x80\x00", MALFORMED),
}

BAD_PACKETS_311 = {
    "packet type 0 §2.2.1": (packet(0x00, b""), MALFORMED),
    "packet type 15 §2.2.1": (packet(0xF0, b""), MALFORMED),
    "a second CONNECT [MQTT-3.1.0-2]": (CONNECT[Version.V311], PROTOCOL),
    "PUBLISH with QoS 3 [MQTT-3.3.1-4]": (packet(0x36, b"\0\1t\0\1"), MALFORMED),
    "PUBLISH with DUP and QoS 0 [MQTT-3.3.1-2]": (packet(0x38, b"\0\1t"), MALFORMED),
    "PUBLISH with packet identifier 0 [MQTT-2.3.1-1]": (packet(0x32, b"\0\1t\0\0"), PROTOCOL),
    "PUBLISH to a wildcard [MQTT-3.3.2-2]": (packet(0x30, b"\0\1#"), MALFORMED),
    "PUBLISH to text that is not UTF-8 [MQTT-3.3.2-1]": (packet(0x30, b"\0\1\xff"), MALFORMED),
    "PUBLISH to U+0000 [MQTT-1.5.3-2]": (packet(0x30, b"\0\1\0"), MALFORMED),
    "PUBLISH to nothing [MQTT-4.7.3-1]": (packet(0x30, b"\0\0"), MALFORMED),
    "PUBLISH that ends in its topic": (packet(0x30, b"\0\2t"), MALFORMED),
    "PUBLISH that ends in its packet identifier": (packet(0x32, b"\0\1t\0"), MALFORMED),
    "PUBACK with packet identifier 0": (packet(0x40, b"\0\0"), PROTOCOL),
    "PUBACK with a reason code": (packet(0x40, b"\0\1\0"), MALFORMED),
    "PUBREL without its flags [MQTT-3.6.1-1]": (packet(0x60, b"\0\1"), MALFORMED),
    "SUBSCRIBE without its flags [MQTT-3.8.1-1]": (packet(0x80, b"\0\1\0\1t\0"), MALFORMED),
    "SUBSCRIBE with packet identifier 0": (packet(0x82, b"\0\0\0\1t\0"), PROTOCOL),
    "SUBSCRIBE to nothing [MQTT-3.8.3-3]": (packet(0x82, b"\0\1"), MALFORMED),
    "SUBSCRIBE with QoS 3 [MQTT-3.8.3-4]": (packet(0x82, b"\0\1\0\1t\3"), MALFORMED),
    "SUBSCRIBE with reserved bits [MQTT-3.8.3-4]": (packet(0x82, b"\0\1\0\1t\4"), MALFORMED),
    "SUBSCRIBE to a bad filter [MQTT-4.7.1-2]": (packet(0x82, b"\0\1\0\1a\0\0\2a#\0"), MALFORMED),
    "UNSUBSCRIBE without its flags [MQTT-3.10.1-1]": (packet(0xA0, b"\0\1\0\1t"), MALFORMED),
    "UNSUBSCRIBE from nothing [MQTT-3.10.3-2]": (packet(0xA2, b"\0\1"), MALFORMED),
    "PINGREQ with a body": (packet(0xC0, b"\0"), MALFORMED),
    "DISCONNECT with flags [MQTT-3.14.1-1]": (packet(0xE1, b""), MALFORMED),
    "DISCONNECT with a reason code": (packet(0xE0, b"\0"), MALFORMED),
    "CONNACK from a client": (packet(0x20, b"\0\0"), PROTOCOL),
    "PINGRESP from a client": (packet(0xD0, b""), PROTOCOL),
    "a remaining length of five bytes §2.2.3": (b"\x30\x80\x80\x80\x80\x01", MALFORMED),
}


Table: TypeAlias = Mapping[str, tuple[bytes, tuple[type[PacketError], mqtt5.DisconnectReasonCode]]]


def cases(in_5: Table, in_311: Table) -> list[object]:
    return [
        pytest.param(version, data, error, code, id=f"{version.name}: {name}")
        for version, table in ((Version.V5, in_5), (Version.V311, in_311))
        for name, (data, (error, code)) in table.items()
    ]


@pytest.mark.parametrize(
    ("version", "data", "error", "code"),
    cases(BAD_CONNECTS_5, BAD_CONNECTS_311),
)
def test_a_connect_that_breaks_a_clause_is_refused(
    version: Version,
    data: bytes,
    error: type[PacketError],
    code: mqtt5.DisconnectReasonCode,
    capfd: pytest.CaptureFixture[str],
) -> None:
    decoder = Decoder(65_536)
    assert decoder.feed(data) == []
    assert type(decoder.failure) is error
    assert decoder.failure.reason_code == code
    assert decoder.failure.connack_code == code.value
    assert decoder.version is version
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("version", "data", "error", "code"),
    cases(BAD_PACKETS_5, BAD_PACKETS_311),
)
def test_a_packet_that_breaks_a_clause_is_refused(
    version: Version,
    data: bytes,
    error: type[PacketError],
    code: mqtt5.DisconnectReasonCode,
    capfd: pytest.CaptureFixture[str],
) -> None:
    packets, failure = fed(version, data + b"\xc0\x00")
    assert packets == []
    assert type(failure) is error
    assert failure.reason_code == code
    assert capfd.readouterr() == ("", "")


GOOD_PUBLISH = {
    Version.V311: packet(0x32, b"\0\1t\0\1"),
    Version.V5: packet(0x32, b"\0\1t\0\1\0") + publish5(b"\3\0\1c"),
}


@pytest.mark.parametrize("version", Version)
def test_a_topic_that_was_used_before_does_not_hide_what_else_is_wrong(version: Version) -> None:
    good = GOOD_PUBLISH[version]
    table: Table = BAD_PACKETS_5 if version is Version.V5 else BAD_PACKETS_311
    for name, (data, (error, _)) in table.items():
        packets, failure = fed(version, good + good + data + b"\xc0\0" * 4)
        assert len(packets) == (2 if version is Version.V311 else 4), name
        assert type(failure) is error, name
    if version is Version.V5:
        packets, failure = fed(version, good + publish5(b"\x23\0\1", b"") + publish5(b"\3\0\1c", b""))
        assert len(packets) == 3
        assert isinstance(failure, ProtocolError)  # properties that were used before, none of them an alias


GOOD_PACKETS_5 = {
    "PUBLISH with a topic alias alone": publish5(b"\x23\0\1", b""),
    "PUBLISH with every property a client may send": publish5(
        b"\1\1\2\0\0\0\1\3\0\1c\x08\0\1r\x09\0\1d\x23\0\1\x26\0\1a\0\1b\x26\0\1a\0\1c"
    ),
    "PUBLISH of nothing": packet(0x30, b"\0\1t\0"),
    "PUBACK with a reason code and no properties": packet(0x40, b"\0\1\x10"),
    "PUBACK with an empty property list": packet(0x40, b"\0\1\0\0"),
    "PUBREL with a reason code": packet(0x62, b"\0\1\x92"),
    "SUBSCRIBE with every option": subscribe5(0x2E, b"$SYS/#", b"\x0b\xff\xff\xff\x7f"),
    "SUBSCRIBE to a shared subscription": subscribe5(2, b"$share/a/#"),
    "UNSUBSCRIBE from two": packet(0xA2, b"\0\1\0\0\1#\0\1+"),
    "DISCONNECT with properties": packet(0xE0, b"\4\x09\x11\0\0\0\1\x1f\0\1a"),
    "AUTH that continues": packet(0xF0, b"\x18\4\x15\0\1a"),
    "AUTH again": packet(0xF0, b"\x19\4\x15\0\1a"),
}


@pytest.mark.parametrize("name", GOOD_PACKETS_5)
def test_what_version_5_allows_is_read(name: str) -> None:
    data = GOOD_PACKETS_5[name]
    packets, failure = fed(Version.V5, data)
    assert failure is None
    assert packets == [mqtt5.read(memoryview(data))[0]]


def test_version_5_allows_a_password_without_a_user_name() -> None:
    decoder = Decoder(65_536)
    (read,) = decoder.feed(connect5(0x42, payload=b"\0\2id\0\1p"))
    assert read == mqtt5.ConnectPacket("id", clean_start=True, keep_alive=60, password=b"p")


def test_version_311_reads_a_connect_into_the_words_of_version_5() -> None:
    decoder = Decoder(65_536)
    (read,) = decoder.feed(connect311(0xEC, b"\0\2id\0\1t\0\1w\0\4user\0\6secret"))
    assert read == mqtt5.ConnectPacket(
        "id",
        keep_alive=60,
        session_expiry_interval=0xFFFF_FFFF,
        will=mqtt5.Will("t", payload=b"w", qos=mqtt5.QoS.AT_LEAST_ONCE, retain=True),
        username="user",
        password=b"secret",
    )
    (clean,) = Decoder(65_536).feed(connect311(0x02, b"\0\0"))
    assert clean == mqtt5.ConnectPacket("", clean_start=True, keep_alive=60)


def test_version_311_accepts_a_remaining_length_that_is_not_the_shortest() -> None:
    packets, failure = fed(Version.V311, b"\xc0\x80\x00" + b"\x32\x88\x80\x00\0\1t\0\7abc")
    assert failure is None
    assert packets == [
        mqtt5.PingReqPacket(),
        mqtt5.PublishPacket("t", b"abc", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=7),
    ]


def test_a_long_form_of_the_length_is_not_taken_for_a_topic_that_was_used_before() -> None:
    topic = b"x" * 0x0161
    used = packet(0x32, b"\0\1a\0\1")
    long = b"\x32\xff\x82\x00" + len(topic).to_bytes(2, "big") + topic + b"\0\2"
    long += b"p" * (0x17F - len(topic) - 4)
    packets, failure = fed(Version.V311, used + long + b"\xc0\0" * 10_000)
    assert failure is None
    assert isinstance(packets[1], mqtt5.PublishPacket)
    assert packets[1].topic == topic.decode()
    assert len(packets) == 10_002

"""The decoder's framing and limits, what the server writes in each version, and the last words to a bad peer."""

import gc
import sys
import tracemalloc

import mqtt5
import pytest
from mqtt5 import ConnAckReasonCode, DisconnectReasonCode, QoS, SubAckReasonCode, UnsubAckReasonCode

from devices.mqtt.codec.codec import (
    CONNECT_LIMIT_BYTES,
    Decoder,
    Version,
    encode,
    farewell,
    pubacks,
    pubcomps,
    pubrecs,
    pubrel,
    pubrels,
)
from devices.mqtt.codec.errors import (
    MalformedPacket,
    PacketError,
    PacketTooLarge,
    ProtocolError,
    QuotaExceeded,
    UnsupportedVersion,
)
from devices.mqtt.codec.wire import ServerPacket, write_variable

CONNECT = {
    Version.V311: b"\x10\x0e\0\4MQTT\4\2\0\0\0\2id",
    Version.V5: b"\x10\x0f\0\4MQTT\5\2\0\0\0\0\2id",
}
PINGREQ = b"\xc0\0"


def connected(version: Version, max_packet_size: int = 65_536) -> Decoder:
    decoder = Decoder(max_packet_size)
    assert len(decoder.feed(CONNECT[version])) == 1
    assert decoder.version is version
    return decoder


def publish(version: Version, topic: str, payload: bytes, packet_id: int) -> bytes:
    packet = mqtt5.PublishPacket(topic, payload, qos=QoS.AT_LEAST_ONCE, packet_id=packet_id)
    return encode(packet, version)


@pytest.mark.parametrize("version", Version)
def test_packets_of_one_chunk_come_out_in_order(version: Version) -> None:
    decoder = connected(version)
    data = b"".join(publish(version, f"t/{number % 3}", b"x" * number, number) for number in range(1, 400))
    packets = decoder.feed(data)
    assert packets == [
        mqtt5.PublishPacket(f"t/{number % 3}", b"x" * number, qos=QoS.AT_LEAST_ONCE, packet_id=number)
        for number in range(1, 400)
    ]
    assert decoder.failure is None


@pytest.mark.parametrize("version", Version)
def test_a_packet_comes_out_with_its_last_byte(version: Version) -> None:
    decoder = Decoder(65_536)
    data = CONNECT[version] + publish(version, "t", b"x" * 200, 1) + PINGREQ
    counts = [len(decoder.feed(bytes((byte,)))) for byte in data]
    ends = [index for index, count in enumerate(counts) if count]
    connect_end = len(CONNECT[version]) - 1
    assert ends == [connect_end, len(data) - 3, len(data) - 1]
    assert max(counts) == 1


@pytest.mark.parametrize("version", Version)
@pytest.mark.timeout(60)
def test_a_large_packet_in_small_pieces_is_not_copied_for_each_piece(version: Version) -> None:
    decoder = connected(version, max_packet_size=16_777_216)
    data = publish(version, "t", b"x" * 16_000_000, 1)
    packets = [packet for at in range(0, len(data), 100) for packet in decoder.feed(data[at : at + 100])]
    assert len(packets) == 1
    assert packets[0] == mqtt5.PublishPacket("t", b"x" * 16_000_000, qos=QoS.AT_LEAST_ONCE, packet_id=1)


@pytest.mark.parametrize("version", Version)
def test_a_packet_as_large_as_the_limit_is_read(version: Version) -> None:
    data = publish(version, "t", b"x" * 5_000, 1)
    decoder = connected(version, max_packet_size=len(data))
    assert len(decoder.feed(data + data)) == 2
    assert decoder.failure is None


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("size", [300, 5_000, 16_384, 70_000])
def test_a_packet_above_the_limit_is_refused_by_its_header(version: Version, size: int) -> None:
    data = publish(version, "t", b"x" * size, 1)
    for piece in (data[:4], data):
        decoder = connected(version, max_packet_size=len(data) - 1)
        assert len(decoder.feed(publish(version, "t", b"", 1))) == 1  # a topic used before
        assert decoder.feed(piece) == []
        assert isinstance(decoder.failure, PacketTooLarge)
        assert decoder.failure.reason_code == DisconnectReasonCode.PACKET_TOO_LARGE


def test_the_first_packet_has_a_limit_of_its_own() -> None:
    decoder = Decoder(10_000_000, connect_limit=1_000)
    assert decoder.feed(b"\x10\xe6\x07") == []
    assert isinstance(decoder.failure, PacketTooLarge)
    decoder = Decoder(10_000_000, connect_limit=1_000)
    decoder.feed(CONNECT[Version.V5])
    assert len(decoder.feed(publish(Version.V5, "t", b"x" * 2_000, 1))) == 1


def test_who_has_not_signed_in_may_send_64_kib_whatever_a_packet_may_have_after_that() -> None:
    assert CONNECT_LIMIT_BYTES == 65_536
    for size, is_refused in ((65_536, False), (65_537, True)):
        decoder = Decoder(268_435_456)
        assert decoder.feed(b"\x10" + write_variable(size - 4)) == []
        assert isinstance(decoder.failure, PacketTooLarge) is is_refused


def with_user_properties(first: int, before: bytes, count: int, after: bytes) -> bytes:
    properties = b"\x26\0\0\0\0" * count
    body = before + write_variable(len(properties)) + properties + after
    return bytes((first,)) + write_variable(len(body)) + body


def test_a_publish_with_user_properties_without_end_is_refused() -> None:
    decoder = connected(Version.V5, max_packet_size=1 << 20)
    assert len(decoder.feed(with_user_properties(0x30, b"\0\1t", 1_000, b"x"))) == 1
    assert decoder.feed(with_user_properties(0x30, b"\0\1t", 1_001, b"x")) == []
    assert isinstance(decoder.failure, QuotaExceeded)
    assert farewell(decoder.failure, Version.V5, is_accepted=True) == b"\xe0\x01\x97"


def test_a_connect_with_user_properties_without_end_is_refused() -> None:
    head = b"\0\4MQTT\5\2\0\0"
    assert len(Decoder(65_536).feed(with_user_properties(0x10, head, 1_000, b"\0\2id"))) == 1
    decoder = Decoder(65_536)
    assert decoder.feed(with_user_properties(0x10, head, 1_001, b"\0\2id")) == []
    assert isinstance(decoder.failure, QuotaExceeded)
    assert farewell(decoder.failure, Version.V5, is_accepted=False) == b"\x20\x03\0\x97\0"


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize(("first", "options"), [(0x82, b"\0"), (0xA2, b"")], ids=["SUBSCRIBE", "UNSUBSCRIBE"])
def test_a_packet_with_filters_without_end_is_refused(version: Version, first: int, options: bytes) -> None:
    decoder = connected(version, max_packet_size=1 << 20)
    head = b"\0\1\0" if version is Version.V5 else b"\0\1"
    for count, is_taken in ((10_000, True), (10_001, False)):
        body = head + (b"\0\1t" + options) * count
        assert bool(decoder.feed(bytes((first,)) + write_variable(len(body)) + body)) is is_taken
    assert isinstance(decoder.failure, QuotaExceeded)


def test_a_limit_that_leaves_no_room_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="256"):
        Decoder(255)
    with pytest.raises(ValueError, match="256"):
        Decoder(65_536, connect_limit=0)


@pytest.mark.parametrize(
    "data", [PINGREQ, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"SSH-2.0-x\r\n", b"\0", b"\xff"]
)
def test_a_peer_that_does_not_begin_with_connect_is_refused_at_its_first_byte(data: bytes) -> None:
    decoder = Decoder(65_536)
    assert decoder.feed(data[:1]) == []
    assert isinstance(decoder.failure, (MalformedPacket, ProtocolError))
    assert decoder.version is None
    assert farewell(decoder.failure, decoder.version, is_accepted=False) == b""


def test_packets_before_a_bad_one_are_not_lost() -> None:
    decoder = Decoder(65_536)
    packets = decoder.feed(CONNECT[Version.V5] + PINGREQ + PINGREQ + b"\0\0" + PINGREQ)
    assert [type(packet) for packet in packets] == [
        mqtt5.ConnectPacket,
        mqtt5.PingReqPacket,
        mqtt5.PingReqPacket,
    ]
    assert isinstance(decoder.failure, MalformedPacket)


def test_nothing_is_read_after_a_failure() -> None:
    decoder = connected(Version.V5)
    decoder.feed(b"\0")
    failure = decoder.failure
    assert failure is not None
    assert decoder.feed(PINGREQ) == []
    assert decoder.failure is failure


@pytest.mark.parametrize(
    ("name", "level", "answer"),
    [
        (b"MQIsdp", 3, b"\x20\x02\0\1"),
        (b"MQTT", 3, b"\x20\x02\0\1"),
        (b"MQIsdp", 0x83, b"\x20\x02\0\1"),  # a bridge that speaks 3.1
        (b"MQTT", 0x83, b"\x20\x02\0\1"),
        (b"MQTT", 6, b"\x20\x03\0\x84\0"),
        (b"MQTT", 0, b"\x20\x02\0\1"),
    ],
)
def test_a_version_that_is_not_served_is_told_so(name: bytes, level: int, answer: bytes) -> None:
    body = len(name).to_bytes(2, "big") + name + bytes((level,)) + b"\2\0\0\0\2id"
    decoder = Decoder(65_536)
    assert decoder.feed(bytes((0x10, len(body))) + body) == []
    assert isinstance(decoder.failure, UnsupportedVersion)
    assert decoder.failure.level == level
    assert decoder.version is None
    assert farewell(decoder.failure, decoder.version, is_accepted=False) == answer


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x36\0",
        b"\x82\5\0\1\0\1\xff",
        b"\x30\5\0\1t\1\2",
        b"\xf0\0",
        b"\x30\xff\xff\xff\x7f",
    ],
    ids=["QoS 3", "no UTF-8", "property", "AUTH", "too large"],
)
@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "in two pieces"])
def test_what_was_read_is_free_again_after_a_packet_error(version: Version, wrong: bytes, is_cut: bool) -> None:
    decoder = connected(version)
    data = PINGREQ * 100 + wrong + bytes(256 << 10)
    if is_cut:
        decoder.feed(publish(version, "t", b"x", 1)[:-1])
        data = b"x" + data
    references = sys.getrefcount(data), sys.getrefcount(decoder)
    gc.disable()
    try:
        tracemalloc.start()
        decoder.feed(data)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert decoder.failure is not None
    assert (sys.getrefcount(data), sys.getrefcount(decoder)) == references
    assert held_bytes < 64 << 10


def test_a_bridge_that_speaks_311_is_known_for_one() -> None:
    decoder = Decoder(65_536)
    assert len(decoder.feed(CONNECT[Version.V311].replace(b"MQTT\4", b"MQTT\x84"))) == 1
    assert (decoder.version, decoder.is_bridge) == (Version.V311, True)
    assert not connected(Version.V311).is_bridge


def test_another_protocol_name_is_not_answered() -> None:
    decoder = Decoder(65_536)
    decoder.feed(b"\x10\x0f\0\4MQTS\5\2\0\0\0\0\2id")
    assert isinstance(decoder.failure, MalformedPacket)
    assert farewell(decoder.failure, decoder.version, is_accepted=False) == b""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MalformedPacket("x"), 0x81),
        (ProtocolError("x"), 0x82),
        (PacketTooLarge("x"), 0x95),
    ],
)
def test_a_version_5_peer_is_told_what_was_wrong(error: PacketError, code: int) -> None:
    assert farewell(error, Version.V5, is_accepted=True) == bytes((0xE0, 1, code))
    assert farewell(error, Version.V5, is_accepted=False) == bytes((0x20, 3, 0, code, 0))


def test_a_protocol_error_may_have_a_code_that_says_it_better() -> None:
    error = ProtocolError("x", DisconnectReasonCode.TOPIC_ALIAS_INVALID)
    assert farewell(error, Version.V5, is_accepted=True) == b"\xe0\x01\x94"
    assert farewell(error, Version.V5, is_accepted=False) == b"\x20\x03\0\x82\0"


@pytest.mark.parametrize("is_accepted", [True, False])
def test_a_version_311_peer_is_just_hung_up_on(is_accepted: bool) -> None:
    assert farewell(MalformedPacket("x"), Version.V311, is_accepted=is_accepted) == b""


@pytest.mark.parametrize(
    ("reason", "return_code"),
    [
        (ConnAckReasonCode.SUCCESS, 0),
        (ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION, 1),
        (ConnAckReasonCode.CLIENT_ID_NOT_VALID, 2),
        (ConnAckReasonCode.SERVER_UNAVAILABLE, 3),
        (ConnAckReasonCode.SERVER_BUSY, 3),
        (ConnAckReasonCode.QUOTA_EXCEEDED, 3),
        (ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD, 4),
        (ConnAckReasonCode.NOT_AUTHORIZED, 5),
        (ConnAckReasonCode.BANNED, 5),
    ],
)
def test_a_connack_of_311_has_the_return_code_that_means_the_same(reason: ConnAckReasonCode, return_code: int) -> None:
    packet = mqtt5.ConnAckPacket(reason_code=reason, session_present=True)
    session_present = return_code == 0  # [MQTT-3.2.2-4]
    assert encode(packet, Version.V311) == bytes((0x20, 2, session_present, return_code))


@pytest.mark.parametrize("reason", [ConnAckReasonCode.MALFORMED_PACKET, ConnAckReasonCode.PACKET_TOO_LARGE])
def test_where_311_has_no_return_code_there_is_no_connack(reason: ConnAckReasonCode) -> None:
    assert encode(mqtt5.ConnAckPacket(reason_code=reason), Version.V311) == b""


def test_every_packet_of_a_server_is_written_in_311_as_far_as_311_has_it() -> None:
    properties = [("a", "b")]
    expected: list[tuple[ServerPacket, bytes]] = [
        (
            mqtt5.PublishPacket(
                "a/b",
                b"payload",
                qos=QoS.EXACTLY_ONCE,
                packet_id=258,
                duplicate=True,
                retain=True,
                content_type="text",
                user_properties=properties,
            ),
            b"\x3d\x0e\0\3a/b\1\2payload",
        ),
        (mqtt5.PublishPacket("a", b""), b"\x30\x03\0\1a"),
        (
            mqtt5.PubAckPacket(258, reason_code=mqtt5.PubAckReasonCode.NOT_AUTHORIZED),
            b"\x40\x02\1\2",
        ),
        (mqtt5.PubRecPacket(258, reason_str="x"), b"\x50\x02\1\2"),
        (mqtt5.PubRelPacket(258, user_properties=properties), b"\x62\x02\1\2"),
        (mqtt5.PubCompPacket(258), b"\x70\x02\1\2"),
        (
            mqtt5.SubAckPacket(
                258,
                [
                    SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE,
                    SubAckReasonCode.GRANTED_QOS_EXACTLY_ONCE,
                    SubAckReasonCode.NOT_AUTHORIZED,
                ],
            ),
            b"\x90\x05\1\2\0\2\x80",
        ),
        (mqtt5.UnsubAckPacket(258, [UnsubAckReasonCode.NO_SUBSCRIPTION_EXISTED]), b"\xb0\x02\1\2"),
        (mqtt5.PingRespPacket(), b"\xd0\0"),
        (mqtt5.DisconnectPacket(reason_code=DisconnectReasonCode.SERVER_SHUTTING_DOWN), b""),
        (mqtt5.AuthPacket(), b""),
    ]
    for packet, data in expected:
        assert encode(packet, Version.V311) == data, packet


def test_a_suback_of_many_filters_has_a_remaining_length_of_two_bytes() -> None:
    packet = mqtt5.SubAckPacket(1, [SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE] * 300)
    assert encode(packet, Version.V311) == b"\x90\xae\x02\0\1" + b"\1" * 300


def test_acknowledgements_of_success_are_the_same_in_both_versions() -> None:
    for packet_id in (1, 255, 256, 65_535):
        for version in Version:
            assert pubacks([packet_id]) == encode(mqtt5.PubAckPacket(packet_id), version)
            assert pubrecs([packet_id]) == encode(mqtt5.PubRecPacket(packet_id), version)
            assert pubrel(packet_id) == pubrels([packet_id]) == encode(mqtt5.PubRelPacket(packet_id), version)
            assert pubcomps([packet_id]) == encode(mqtt5.PubCompPacket(packet_id), version)


def test_many_acknowledgements_are_one_after_the_other() -> None:
    packet_ids = [1, 2, 258, 65_535, 7]
    for many in (pubacks, pubrecs, pubrels, pubcomps):
        assert many(iter(packet_ids)) == b"".join(many([packet_id]) for packet_id in packet_ids)
        assert many([]) == b""


@pytest.mark.parametrize("version", Version)
def test_a_byte_order_mark_stays_in_its_text(version: Version) -> None:
    (packet,) = connected(version).feed(publish(version, "\ufefft", b"", 1))  # [MQTT-1.5.4-3]
    assert isinstance(packet, mqtt5.PublishPacket)
    assert packet.topic == "\ufefft"


def test_more_properties_than_are_remembered_are_all_read_right() -> None:
    decoder = connected(Version.V5)
    for _ in range(2):
        for number in range(1, 200):
            sent = mqtt5.PublishPacket("t", b"x", message_expiry_interval=number, content_type="c" * number)
            assert decoder.feed(sent.write()) == [sent]


@pytest.mark.parametrize("version", Version)
def test_more_topics_than_are_remembered_are_all_read_right(version: Version) -> None:
    decoder = connected(version)
    for _ in range(2):
        for number in range(1, 3_000):
            (packet,) = decoder.feed(publish(version, f"t/{number}", b"x", number))
            assert isinstance(packet, mqtt5.PublishPacket)
            assert packet.topic == f"t/{number}"

"""Decoding undoes encoding; any bytes in any pieces give packets or a stated error; pieces change nothing."""

from collections.abc import Sequence
from itertools import pairwise

import mqtt5
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mqtt5 import QoS

from devices.mqtt.codec.codec import Decoder, Version, encode
from devices.mqtt.codec.errors import PacketError
from devices.mqtt.codec.wire import SHORT_PACKET_BYTES, ClientPacket, ServerPacket

CASES = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=12)
names = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="+#"), min_size=1, max_size=12)
binaries = st.binary(max_size=12)
shorts = st.integers(1, 0xFFFF)
longs = st.integers(0, 0xFFFF_FFFF)
qualities = st.sampled_from([QoS.AT_MOST_ONCE, QoS.AT_LEAST_ONCE, QoS.EXACTLY_ONCE])
user_properties = st.lists(st.tuples(texts, texts), max_size=3)
levels = st.sampled_from(["a", "", "+", "ü", "$x"])
filters = st.builds(
    lambda share, parts, rest: share + "/".join([*parts, *rest]),
    st.sampled_from(["", "", "$share/g/"]),
    st.lists(levels, min_size=1, max_size=3).filter(lambda parts: parts != [""]),
    st.sampled_from([[], ["#"]]),
)


def maybe(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


message_properties = {
    "payload_format_indicator": st.integers(0, 1),
    "message_expiry_interval": maybe(longs),
    "content_type": maybe(texts),
    "response_topic": maybe(names),
    "correlation_data": maybe(binaries),
    "user_properties": user_properties,
}
reason = {"reason_str": maybe(texts), "user_properties": user_properties}
wills_5 = st.builds(
    mqtt5.Will,
    names,
    payload=binaries,
    qos=qualities,
    retain=st.booleans(),
    will_delay_interval=longs,
    **message_properties,
)
wills_311 = st.builds(mqtt5.Will, names, payload=binaries, qos=qualities, retain=st.booleans())


@st.composite
def connects_5(draw: st.DrawFn) -> mqtt5.ConnectPacket:
    method = draw(maybe(texts))
    return draw(
        st.builds(
            mqtt5.ConnectPacket,
            texts,
            username=maybe(texts),
            password=maybe(binaries),
            clean_start=st.booleans(),
            will=maybe(wills_5),
            keep_alive=st.integers(0, 0xFFFF),
            session_expiry_interval=longs,
            authentication_method=st.just(method),
            authentication_data=st.none() if method is None else maybe(binaries),
            request_problem_info=st.booleans(),
            request_response_info=st.booleans(),
            receive_max=shorts,
            topic_alias_max=st.integers(0, 0xFFFF),
            max_packet_size=maybe(st.integers(1, 0xFFFF_FFFF)),
            user_properties=user_properties,
        )
    )


@st.composite
def connects_311(draw: st.DrawFn) -> mqtt5.ConnectPacket:
    username = draw(maybe(texts))
    is_clean = draw(st.booleans())
    return draw(
        st.builds(
            mqtt5.ConnectPacket,
            texts,
            username=st.just(username),
            password=st.none() if username is None else maybe(binaries),
            clean_start=st.just(is_clean),
            session_expiry_interval=st.just(0 if is_clean else 0xFFFF_FFFF),
            will=maybe(wills_311),
            keep_alive=st.integers(0, 0xFFFF),
        )
    )


@st.composite
def publishes(draw: st.DrawFn, *, is_client: bool, is_5: bool) -> mqtt5.PublishPacket:
    qos = draw(qualities)
    alias = draw(maybe(shorts)) if is_5 else None
    extra = message_properties if is_5 else {}
    if is_5 and not is_client:
        extra = extra | {"subscription_ids": st.lists(st.integers(1, 0xFFF_FFFF), max_size=3)}
    return draw(
        st.builds(
            mqtt5.PublishPacket,
            names if alias is None else names | st.just(""),
            st.binary(max_size=200),
            qos=st.just(qos),
            packet_id=st.none() if qos == QoS.AT_MOST_ONCE else shorts,
            duplicate=st.just(False) if qos == QoS.AT_MOST_ONCE else st.booleans(),
            retain=st.booleans(),
            topic_alias=st.just(alias),
            **extra,
        )
    )


@st.composite
def subscriptions_5(draw: st.DrawFn) -> mqtt5.TopicFilter:
    topic_filter = draw(filters)
    return draw(
        st.builds(
            mqtt5.TopicFilter,
            st.just(topic_filter),
            max_qos=qualities,
            no_local=st.just(False) if topic_filter.startswith("$share/") else st.booleans(),
            retain_as_published=st.booleans(),
            retain_handling=st.sampled_from(
                [
                    mqtt5.RetainHandling.SEND_ALWAYS,
                    mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
                    mqtt5.RetainHandling.SEND_NEVER,
                ]
            ),
        )
    )


subscriptions_311 = st.builds(mqtt5.TopicFilter, filters, max_qos=qualities, retain_as_published=st.just(False))

puback_codes = st.sampled_from([mqtt5.PubAckReasonCode(code) for code in (0, 16, 128, 135, 144, 151, 153)])
pubrec_codes = st.sampled_from([mqtt5.PubRecReasonCode(code) for code in (0, 16, 128, 135, 144, 151, 153)])
pubrel_codes = st.sampled_from([mqtt5.PubRelReasonCode(code) for code in (0, 146)])
pubcomp_codes = st.sampled_from([mqtt5.PubCompReasonCode(code) for code in (0, 146)])

acknowledgements_5 = (
    st.builds(mqtt5.PubAckPacket, shorts, reason_code=puback_codes, **reason)
    | st.builds(mqtt5.PubRecPacket, shorts, reason_code=pubrec_codes, **reason)
    | st.builds(mqtt5.PubRelPacket, shorts, reason_code=pubrel_codes, **reason)
    | st.builds(mqtt5.PubCompPacket, shorts, reason_code=pubcomp_codes, **reason)
)
acknowledgements_311 = (
    st.builds(mqtt5.PubAckPacket, shorts)
    | st.builds(mqtt5.PubRecPacket, shorts)
    | st.builds(mqtt5.PubRelPacket, shorts)
    | st.builds(mqtt5.PubCompPacket, shorts)
)
client_packets_5: st.SearchStrategy[ClientPacket] = (
    publishes(is_client=True, is_5=True)
    | acknowledgements_5
    | st.builds(
        mqtt5.SubscribePacket,
        shorts,
        st.lists(subscriptions_5(), min_size=1, max_size=3),
        subscription_id=maybe(st.integers(1, 0xFFF_FFFF)),
        user_properties=user_properties,
    )
    | st.builds(
        mqtt5.UnsubscribePacket,
        shorts,
        st.lists(filters, min_size=1, max_size=3),
        user_properties=user_properties,
    )
    | st.builds(mqtt5.PingReqPacket)
    | st.builds(
        mqtt5.DisconnectPacket,
        reason_code=st.sampled_from([mqtt5.DisconnectReasonCode(code) for code in (0, 4, 128, 130, 148)]),
        session_expiry_interval=maybe(longs),
        **reason,
    )
    | st.builds(
        mqtt5.AuthPacket,
        reason_code=st.sampled_from([mqtt5.AuthReasonCode(code) for code in (24, 25)]),
        authentication_method=texts,
        authentication_data=maybe(binaries),
        **reason,
    )
)
client_packets_311: st.SearchStrategy[ClientPacket] = (
    publishes(is_client=True, is_5=False)
    | acknowledgements_311
    | st.builds(mqtt5.SubscribePacket, shorts, st.lists(subscriptions_311, min_size=1, max_size=3))
    | st.builds(mqtt5.UnsubscribePacket, shorts, st.lists(filters, min_size=1, max_size=3))
    | st.builds(mqtt5.PingReqPacket)
    | st.builds(mqtt5.DisconnectPacket)
)
suback_codes = [mqtt5.SubAckReasonCode(code) for code in (0, 1, 2, 128, 135, 143, 151, 158)]
unsuback_codes = [mqtt5.UnsubAckReasonCode(code) for code in (0, 17, 128, 135)]
server_packets_5: st.SearchStrategy[ServerPacket] = (
    publishes(is_client=False, is_5=True)
    | acknowledgements_5
    | st.builds(mqtt5.SubAckPacket, shorts, st.lists(st.sampled_from(suback_codes), max_size=5), **reason)
    | st.builds(mqtt5.UnsubAckPacket, shorts, st.lists(st.sampled_from(unsuback_codes), max_size=5), **reason)
    | st.builds(mqtt5.PingRespPacket)
    | st.builds(
        mqtt5.ConnAckPacket,
        session_present=st.booleans(),
        session_expiry_interval=maybe(longs),
        assigned_client_id=maybe(texts),
        server_keep_alive=maybe(shorts),
        receive_max=shorts,
        topic_alias_max=shorts,
        max_packet_size=maybe(shorts),
        response_info=maybe(texts),
        **reason,
    )
    | st.builds(
        mqtt5.DisconnectPacket,
        reason_code=st.sampled_from([mqtt5.DisconnectReasonCode(code) for code in (0, 129, 139, 142, 149)]),
        server_reference=maybe(texts),
        **reason,
    )
)


def client_311(packet: ClientPacket) -> bytes:
    """MQTT 3.1.1 as a client writes it, from the specification and with nothing of ours."""

    def text(value: str) -> bytes:
        return binary(value.encode())

    def binary(value: bytes) -> bytes:
        return len(value).to_bytes(2, "big") + value

    def frame(first: int, *fields: bytes) -> bytes:
        body = b"".join(fields)
        size, header = len(body), bytes((first,))
        while size > 127:
            header += bytes((size % 128 + 128,))
            size //= 128
        return header + bytes((size,)) + body

    match packet:
        case mqtt5.ConnectPacket():
            will, flags, fields = packet.will, packet.clean_start << 1, text(packet.client_id)
            if will is not None:
                flags |= 0x04 | will.qos.value << 3 | will.retain << 5
                fields += text(will.topic) + binary(will.payload or b"")
            if packet.username is not None:
                flags |= 0x80
                fields += text(packet.username)
            if packet.password is not None:
                flags |= 0x40
                fields += binary(packet.password)
            return frame(0x10, text("MQTT"), b"\4", bytes((flags,)), packet.keep_alive.to_bytes(2, "big"), fields)
        case mqtt5.PublishPacket():
            first = 0x30 | packet.duplicate << 3 | packet.qos.value << 1 | packet.retain
            identifier = b"" if packet.packet_id is None else packet.packet_id.to_bytes(2, "big")
            return frame(first, text(packet.topic), identifier, packet.payload)
        case mqtt5.SubscribePacket():
            wanted = [text(found.pattern) + bytes((found.max_qos.value,)) for found in packet.topic_filters]
            return frame(0x82, packet.packet_id.to_bytes(2, "big"), *wanted)
        case mqtt5.UnsubscribePacket():
            return frame(0xA2, packet.packet_id.to_bytes(2, "big"), *map(text, packet.patterns))
        case mqtt5.PubAckPacket():
            return frame(0x40, packet.packet_id.to_bytes(2, "big"))
        case mqtt5.PubRecPacket():
            return frame(0x50, packet.packet_id.to_bytes(2, "big"))
        case mqtt5.PubRelPacket():
            return frame(0x62, packet.packet_id.to_bytes(2, "big"))
        case mqtt5.PubCompPacket():
            return frame(0x70, packet.packet_id.to_bytes(2, "big"))
        case mqtt5.PingReqPacket():
            return frame(0xC0)
        case mqtt5.DisconnectPacket():
            return frame(0xE0)
        case _:
            raise AssertionError(packet)


def fed(
    data: bytes, cuts: Sequence[int] = (), limit: int = SHORT_PACKET_BYTES
) -> tuple[list[ClientPacket], PacketError | None, Version | None]:
    """What a new decoder makes of `data`, cut at the given places."""
    decoder = Decoder(limit)
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    packets = []
    for begin, end in pairwise(places):
        packets += decoder.feed(data[begin:end])
    return packets, decoder.failure, decoder.version


def check_any(data: bytes, cuts: Sequence[int]) -> None:
    """Whatever `data` is: packets, or a stated error. The same in pieces, and the same without the fast way, which
    is closed to connections with a lower limit. What was read can be said again."""
    packets, failure, version = fed(data)
    in_pieces = fed(data, cuts)
    for other in (in_pieces, fed(data, limit=SHORT_PACKET_BYTES - 1)):
        assert other[0] == packets
        assert other[2] is version
        assert type(other[1]) is type(failure)
        if failure is not None:
            assert other[1] is not None
            assert other[1].reason_code == failure.reason_code
    if failure is not None:
        assert in_pieces[1] is not None
        assert in_pieces[1].reason == failure.reason
    again = b"".join(packet.write() if version is Version.V5 else client_311(packet) for packet in packets)
    assert fed(again) == (packets, None, version if packets else None)


cuts = st.lists(st.integers(0, 1 << 16), max_size=6)


@settings(CASES, max_examples=200)
@given(connects_5(), st.lists(client_packets_5, max_size=4), cuts)
def test_decoding_undoes_encoding_in_version_5(
    connect: mqtt5.ConnectPacket, packets: list[ClientPacket], places: list[int]
) -> None:
    data = b"".join(packet.write() for packet in (connect, *packets))
    assert fed(data, places) == ([connect, *packets], None, Version.V5)


@settings(CASES, max_examples=200)
@given(connects_311(), st.lists(client_packets_311, max_size=4), cuts)
def test_decoding_undoes_encoding_in_version_311(
    connect: mqtt5.ConnectPacket, packets: list[ClientPacket], places: list[int]
) -> None:
    data = b"".join(map(client_311, (connect, *packets)))
    assert fed(data, places) == ([connect, *packets], None, Version.V311)


@settings(CASES, max_examples=200)
@given(server_packets_5)
def test_what_a_server_writes_in_version_5_reads_the_same(packet: ServerPacket) -> None:
    data = encode(packet, Version.V5)
    assert mqtt5.read(memoryview(data)) == (packet, len(data))


@settings(CASES, max_examples=200)
@given(publishes(is_client=False, is_5=False) | acknowledgements_311)
def test_what_both_sides_send_is_written_in_version_311_as_a_client_writes_it(
    packet: mqtt5.PublishPacket | mqtt5.PubAckPacket,
) -> None:
    assert encode(packet, Version.V311) == client_311(packet)


@settings(CASES, max_examples=1_000)
@given(st.binary(max_size=300), cuts)
def test_any_bytes_give_packets_or_a_stated_error(data: bytes, places: list[int]) -> None:
    check_any(data, places)


CONNECT_5 = mqtt5.ConnectPacket("c", clean_start=True).write()
CONNECT_311 = client_311(mqtt5.ConnectPacket("c", clean_start=True))


@pytest.mark.parametrize("connect", [CONNECT_311, CONNECT_5], ids=["3.1.1", "5"])
@settings(CASES, max_examples=1_000)
@given(st.binary(max_size=300), cuts)
def test_any_bytes_behind_a_connect_give_packets_or_a_stated_error(
    connect: bytes, data: bytes, places: list[int]
) -> None:
    check_any(connect + data, places)


FIRST_BYTES = st.sampled_from(
    [0x10, 0x30, 0x31, 0x32, 0x34, 0x3A, 0x40, 0x50, 0x62, 0x70, 0x82, 0xA2, 0xC0, 0xE0, 0xF0]
)


@pytest.mark.parametrize("connect", [CONNECT_311, CONNECT_5], ids=["3.1.1", "5"])
@settings(CASES, max_examples=1_000)
@given(st.lists(st.tuples(FIRST_BYTES, st.binary(max_size=40)), max_size=5), cuts)
def test_any_bodies_in_good_frames_give_packets_or_a_stated_error(
    connect: bytes, frames: list[tuple[int, bytes]], places: list[int]
) -> None:
    check_any(connect + b"".join(bytes((first, len(body))) + body for first, body in frames), places)


mutations = st.lists(
    st.tuples(
        st.sampled_from(["set", "flip", "insert", "delete", "repeat"]),
        st.integers(0, 1 << 16),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=4,
)


def mutated(data: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    changed = bytearray(data)
    for change, where, value in changes:
        at = where % len(changed)
        match change:
            case "set":
                changed[at] = value
            case "flip":
                changed[at] ^= 1 << value % 8
            case "insert":
                changed.insert(at, value)
            case "delete":
                del changed[at : at + value % 4]
            case _:
                changed[at:at] = changed[at : at + value]
        changed = changed or bytearray(1)
    return bytes(changed)


Q1, Q2 = QoS.AT_LEAST_ONCE, QoS.EXACTLY_ONCE
PLAIN: list[ClientPacket] = [
    mqtt5.ConnectPacket("id", clean_start=True, username="user", password=b"secret"),
    mqtt5.ConnectPacket("", clean_start=True, will=mqtt5.Will("t", payload=b"gone", qos=Q1, retain=True)),
    mqtt5.PublishPacket("a", b""),
    mqtt5.PublishPacket("a/ü", b"payload", retain=True),
    mqtt5.PublishPacket("a", b"payload", qos=Q1, packet_id=1),
    mqtt5.PublishPacket("sg/door/tap", b"x" * 150, qos=Q1, packet_id=0x3030, duplicate=True),
    mqtt5.PublishPacket("a", b"payload", qos=Q2, packet_id=2),
    mqtt5.PubAckPacket(1),
    mqtt5.PubRecPacket(1),
    mqtt5.PubRelPacket(1),
    mqtt5.PubCompPacket(1),
    mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("a/+/#", retain_as_published=False), mqtt5.TopicFilter("$share/g/a")]),
    mqtt5.UnsubscribePacket(1, ["a/#", "+"]),
    mqtt5.PingReqPacket(),
    mqtt5.DisconnectPacket(),
]
USER: list[tuple[str, str]] = [("a", "b"), ("ü", "")]
FULL: list[ClientPacket] = [
    mqtt5.ConnectPacket(
        "id",
        session_expiry_interval=60,
        authentication_method="m",
        authentication_data=b"d",
        request_problem_info=False,
        request_response_info=True,
        receive_max=10,
        topic_alias_max=5,
        max_packet_size=1_000,
        user_properties=USER,
        will=mqtt5.Will("t", payload=b"gone", will_delay_interval=5, response_topic="r", user_properties=USER),
    ),
    mqtt5.PublishPacket("", b"payload", topic_alias=1),
    mqtt5.PublishPacket(
        "a",
        b"payload",
        qos=Q1,
        packet_id=1,
        payload_format_indicator=1,
        message_expiry_interval=5,
        content_type="text",
        response_topic="r",
        correlation_data=b"c",
        topic_alias=2,
        user_properties=USER,
    ),
    mqtt5.PubAckPacket(1, reason_code=mqtt5.PubAckReasonCode.NOT_AUTHORIZED, reason_str="no"),
    mqtt5.PubRelPacket(1, reason_code=mqtt5.PubRelReasonCode.PACKET_ID_NOT_FOUND, user_properties=USER),
    mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("a", no_local=True)], subscription_id=300),
    mqtt5.UnsubscribePacket(1, ["a"], user_properties=USER),
    mqtt5.DisconnectPacket(session_expiry_interval=5, reason_str="bye"),
    mqtt5.AuthPacket(reason_code=mqtt5.AuthReasonCode.CONTINUE_AUTHENTICATION, authentication_method="m"),
]
STREAMS = {
    Version.V311: [client_311(packet) for packet in PLAIN],
    Version.V5: [packet.write() for packet in PLAIN + FULL],
}


@pytest.mark.parametrize("version", Version)
@settings(CASES, max_examples=1_000)
@given(st.integers(0, 1), st.lists(st.integers(2, 100), max_size=5), mutations, cuts)
def test_mutated_streams_give_packets_or_a_stated_error(
    version: Version,
    connect: int,
    rest: list[int],
    changes: list[tuple[str, int, int]],
    places: list[int],
) -> None:
    stream = STREAMS[version]
    data = stream[connect] + b"".join(stream[index % len(stream)] for index in rest)
    check_any(mutated(data, changes), places)

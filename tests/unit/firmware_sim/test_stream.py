"""The load generator's packets, its chunks of messages, and its count of acknowledgements."""

import json
from collections.abc import Iterator

import pytest

from firmware_sim import packets
from firmware_sim.errors import SimError
from firmware_sim.load import quantile
from firmware_sim.stream import FIRST_SEQ, AcknowledgementCount, MessageStream, Window, window_of


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """First byte and body of each packet in `data`."""
    at = 0
    while at < len(data):
        first, size, shift, end = data[at], 0, 0, at + 1
        while True:
            digit = data[end]
            size |= (digit & 127) << shift
            shift, end = shift + 7, end + 1
            if digit < 128:
                break
        yield first, data[end : end + size]
        at = end + size


def decoded(data: bytes, version: int) -> list[tuple[int, dict[str, object]]]:
    """Packet id and payload of each PUBLISH at QoS 1 in `data`."""
    messages = []
    for first, body in split(data):
        assert first == 0x32
        topic_end = 2 + int.from_bytes(body[:2], "big")
        packet_id = int.from_bytes(body[topic_end : topic_end + 2], "big")
        start = topic_end + 2 + (1 if version == packets.MQTT_5 else 0)
        messages.append((packet_id, json.loads(body[start:])))
    return messages


@pytest.mark.parametrize("version", [packets.MQTT_3_1_1, packets.MQTT_5])
@pytest.mark.parametrize("window", [1, 2, 7, 20, 24, 250, 1000])
@pytest.mark.parametrize("first", [0, 300])
def test_messages_are_numbered_without_gaps_and_no_packet_id_is_in_flight_twice(
    version: int, window: int, first: int
) -> None:
    shape = window_of(window)
    stream = MessageStream(version, 1, "load-0001", "b00t", shape, first)
    messages = []
    while len(messages) < 2500:
        messages += decoded(stream.render(1_763_874_000_123), version)
    begin = FIRST_SEQ + first // shape.chunk * shape.chunk
    assert [payload["seq"] for _, payload in messages] == list(range(begin, begin + len(messages)))
    assert {payload["at"] for _, payload in messages} == {1_763_874_000_123}
    assert {payload["boot"] for _, payload in messages} == {"b00t"}
    assert all(len(payload["values"]) == 3 for _, payload in messages)  # type: ignore[arg-type]  # it is an object
    ids = [packet_id for packet_id, _ in messages]
    assert ids == [n % window + 1 for n in range(len(ids))]


@pytest.mark.parametrize("size", range(1, 60))
def test_a_window_is_a_whole_number_of_chunks_and_stays_half_full(size: int) -> None:
    shape = window_of(size)
    assert shape.slots * shape.chunk == size
    assert shape.chunk == 1 or shape.slots >= 2


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2_097_152])
def test_a_remaining_length_is_as_the_standard_encodes_it(size: int) -> None:
    encoded = packets.remaining_length(size)
    assert sum((digit & 127) << 7 * n for n, digit in enumerate(encoded)) == size
    assert all(digit & 128 for digit in encoded[:-1])
    assert not encoded[-1] & 128


def acknowledgements(ids: Iterator[int] | range, tail: bytes = b"") -> bytes:
    return b"".join(bytes((0x40, 2 + len(tail))) + n.to_bytes(2, "big") + tail for n in ids)


@pytest.mark.parametrize("tail", [b"", b"\x10", b"\x00\x00"], ids=["3.1.1", "reason", "reason and properties"])
@pytest.mark.parametrize("piece", [1, 3, 4, 7, 100])
def test_acknowledgements_are_counted_however_they_are_cut(tail: bytes, piece: int) -> None:
    count = AcknowledgementCount(1, Window(20, 10))
    data = acknowledgements((n % 20 + 1 for n in range(90)), tail)
    done = sum(count.feed(data[at : at + piece]) for at in range(0, len(data), piece))
    assert done == 90
    assert count.refused == 0


def test_acknowledgements_out_of_order_are_counted_too() -> None:
    count = AcknowledgementCount(1, Window(20, 10))
    assert count.feed(acknowledgements(range(1, 6))) == 5
    assert count.feed(acknowledgements(iter([9, 8, 7]))) == 3
    assert count.feed(acknowledgements(range(10, 12))[:5]) == 1
    assert count.feed(acknowledgements(range(11, 12))[1:]) == 1


def test_a_refusal_is_counted_as_one() -> None:
    count = AcknowledgementCount(1, Window(20, 10))
    assert count.feed(acknowledgements(range(1, 4), b"\x87")) == 3
    assert count.refused == 3


def test_qos_2_is_done_with_pubcomp_and_pubrec_is_answered() -> None:
    count = AcknowledgementCount(2, Window(4, 2))
    assert count.feed(b"\x50\x02\x00\x01") == 0
    assert count.answer == packets.pubrel(1)
    assert count.feed(b"\x70\x02\x00\x01") == 1


def test_qos_0_is_done_when_the_ping_after_the_chunk_is_answered() -> None:
    count = AcknowledgementCount(0, Window(20, 10))
    stream = MessageStream(packets.MQTT_3_1_1, 0, "d", "b", Window(20, 10))
    assert stream.render(1_763_874_000_123).endswith(packets.PINGREQ)
    assert sum(count.feed(bytes((byte,))) for byte in packets.PINGRESP * 5) == 50


def test_a_packet_out_of_place_is_an_error_that_names_it() -> None:
    with pytest.raises(SimError, match="0xe0"):
        AcknowledgementCount(1, Window(1, 1)).feed(packets.DISCONNECT)


def test_a_connack_is_read_when_it_is_whole() -> None:
    assert packets.read_connack(b"\x20", packets.MQTT_3_1_1) is None
    welcome = packets.read_connack(b"\x20\x02\x00\x00", packets.MQTT_3_1_1)
    assert welcome == packets.ConnAck(reason_code=0, receive_maximum=65_535, size=4)
    refused = packets.read_connack(b"\x20\x02\x00\x05", packets.MQTT_3_1_1)
    assert refused is not None
    assert refused.reason_code == 5


def test_the_receive_maximum_is_found_among_other_properties() -> None:
    properties = b"\x22\x00\x0a" + b"\x12\x00\x03abc" + b"\x26\x00\x01k\x00\x01v" + b"\x21\x00\x14"
    body = bytes((0, 0, len(properties))) + properties
    data = b"\x20" + bytes((len(body),)) + body
    assert all(packets.read_connack(data[:end], packets.MQTT_5) is None for end in range(len(data)))
    welcome = packets.read_connack(data, packets.MQTT_5)
    assert welcome is not None
    assert welcome.receive_maximum == 20


def test_another_packet_than_connack_is_an_error() -> None:
    with pytest.raises(SimError, match="0x40"):
        packets.read_connack(b"\x40\x02\x00\x01", packets.MQTT_3_1_1)


def test_a_connect_carries_name_and_secret_only_where_there_is_a_secret() -> None:
    signed = packets.connect(packets.MQTT_3_1_1, "dev", "s3cret", keep_alive_s=60)
    assert signed == b"\x10\x1c\x00\x04MQTT\x04\xc2\x00\x3c\x00\x03dev\x00\x03dev\x00\x06s3cret"
    assert packets.connect(packets.MQTT_5, "dev", None, keep_alive_s=0) == (
        b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x03dev"
    )


def test_a_quantile_is_a_value_that_was_measured() -> None:
    values = [1.0, 2.0, 3.0, 4.0]
    assert [quantile(values, share) for share in (0.0, 0.5, 0.75, 0.99, 1.0)] == [1.0, 2.0, 3.0, 4.0, 4.0]
    assert quantile([], 0.5) != quantile([], 0.5)

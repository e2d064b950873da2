"""What a subscriber gets: QoS, order, flow control, aliases, sizes, expiry, a socket that is not read."""

import pytest
from mqtt5 import (
    DisconnectPacket,
    DisconnectReasonCode,
    PubAckPacket,
    PubAckReasonCode,
    PubCompPacket,
    PublishPacket,
    PubRecPacket,
    PubRecReasonCode,
    PubRelPacket,
    PubRelReasonCode,
    QoS,
    SubscribePacket,
    TopicFilter,
)

from devices.mqtt.codec.codec import Version, encode
from devices.mqtt.server.message import Message, Outgoing
from devices.mqtt.server.outflow import OUTPUT_BYTES, plain_publish
from tests.mqtt_world import Client, World, connected, publish

both_versions = pytest.mark.parametrize("version", Version)


def pair(world: World, version: Version = Version.V5, *filters: str) -> tuple[Client, Client]:
    """Returns a publisher and a subscriber."""
    subscriber = connected(world, "subscriber", version)
    subscriber.subscribe(*(filters or ("t",)))
    return connected(world, "publisher", version), subscriber


@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("sent", [0, 1, 2])
@both_versions
def test_a_message_comes_with_the_lower_qos(version: Version, sent: int, granted: int) -> None:
    world = World()
    subscriber = connected(world, "subscriber", version)
    subscriber.subscribe("t", qos=granted)
    connected(world, "publisher", version).send(publish("t", b"x", sent, 1))
    (message,) = subscriber.answer()
    assert message.qos.value == min(sent, granted)
    assert not message.duplicate
    assert not message.retain
    assert not any(session.inflight for session in world.broker.sessions.values())


@both_versions
def test_a_subscriber_sees_nothing_before_the_commit(version: Version) -> None:
    world = World()
    publisher, subscriber = pair(world, version)
    world.disk.is_prompt = False
    publisher.send(publish("t", b"0"), publish("t", b"1", 1, 1), publish("t", b"2", 2, 2))
    assert subscriber.got() == []
    world.commit()
    assert [packet.payload for packet in subscriber.all(PublishPacket)] == [b"0", b"1", b"2"]


@both_versions
def test_messages_keep_their_order(version: Version) -> None:
    world = World()
    publisher, subscriber = pair(world, version)
    for qos in (1, 2):
        publisher.send(*(publish("t", b"%d" % number, qos, number + 1) for number in range(500)))
        messages = [message.payload for message in subscriber.answer()]
        assert messages == [b"%d" % number for number in range(500)]
        publisher.answer()
        publisher.send(*(PubRelPacket(number + 1) for number in range(500)))


def test_no_more_than_the_clients_receive_maximum_is_in_flight() -> None:
    world = World()
    subscriber = connected(world, "subscriber", receive_max=3)
    subscriber.subscribe("t")
    publisher = connected(world, "publisher")
    publisher.send(*(publish("t", b"%d" % number, 1 + number % 2, number + 1) for number in range(10)))
    got = subscriber.all(PublishPacket)
    assert [packet.payload for packet in got] == [b"0", b"1", b"2"]
    publisher.send(publish("t", b"at most once"))
    assert [packet.payload for packet in subscriber.all(PublishPacket)] == [b"at most once"]
    subscriber.send(PubAckPacket(got[0].packet_id or 0))
    assert [packet.payload for packet in subscriber.all(PublishPacket)] == [b"3"]
    subscriber.send(PubRecPacket(got[1].packet_id or 0))
    subscriber.one(PubRelPacket)  # in flight until PUBCOMP
    subscriber.send(PubCompPacket(got[1].packet_id or 0))
    assert [packet.payload for packet in subscriber.all(PublishPacket)] == [b"4"]
    subscriber.send(PubAckPacket(got[2].packet_id or 0))
    assert [packet.payload for packet in subscriber.all(PublishPacket)] == [b"5"]


def test_the_servers_own_limit_holds_for_version_311() -> None:
    world = World(max_inflight=2)
    publisher, subscriber = pair(world, Version.V311)
    publisher.send(*(publish("t", b"%d" % number, 1, number + 1) for number in range(5)))
    assert len(subscriber.all(PublishPacket)) == 2


def test_an_error_in_puback_or_pubrec_ends_the_message() -> None:
    world = World()
    publisher, subscriber = pair(world)
    publisher.send(publish("t", b"1", 1, 1), publish("t", b"2", 2, 2))
    one, two = subscriber.all(PublishPacket)
    subscriber.send(
        PubAckPacket(one.packet_id or 0, reason_code=PubAckReasonCode.UNSPECIFIED_ERROR),
        PubRecPacket(two.packet_id or 0, reason_code=PubRecReasonCode.UNSPECIFIED_ERROR),
    )
    assert subscriber.got() == []
    assert all(not session.inflight and not session.queue for session in world.broker.sessions.values())


def test_acknowledgements_of_what_was_never_sent_change_nothing() -> None:
    world = World()
    publisher, subscriber = pair(world)
    subscriber.send(PubAckPacket(9), PubCompPacket(9))
    assert subscriber.got() == []
    subscriber.send(PubRecPacket(9))
    assert subscriber.one(PubRelPacket).reason_code is PubRelReasonCode.PACKET_ID_NOT_FOUND
    publisher.send(publish("t", b"1", 1, 1), publish("t", b"2", 2, 2))
    assert len(subscriber.all(PublishPacket)) == 2
    subscriber.send(PubAckPacket(9), PubCompPacket(9))
    assert not subscriber.is_closed
    assert sum(len(session.inflight) for session in world.broker.sessions.values()) == 2


def test_a_pubrec_that_refuses_what_was_never_sent_is_not_answered() -> None:
    _, subscriber = pair(World())
    subscriber.send(PubRecPacket(9, reason_code=PubRecReasonCode.UNSPECIFIED_ERROR))
    assert subscriber.got() == []
    assert not subscriber.is_closed


@pytest.mark.parametrize(
    ("qos", "wrong"),
    [(1, PubRecPacket), (1, PubCompPacket), (2, PubAckPacket), (2, PubCompPacket)],
    ids=["PUBREC, QoS 1", "PUBCOMP, QoS 1", "PUBACK, QoS 2", "PUBCOMP before PUBREC"],
)
@both_versions
def test_an_acknowledgement_of_the_wrong_kind_ends_the_connection_and_acknowledges_nothing(
    version: Version, qos: int, wrong: type[PubAckPacket | PubRecPacket | PubCompPacket]
) -> None:
    world = World()
    publisher, subscriber = pair(world, version)
    publisher.send(publish("t", b"1", qos, 1))
    (message,) = subscriber.all(PublishPacket)
    subscriber.send(wrong(message.packet_id or 0))
    assert subscriber.is_closed
    farewell = [DisconnectPacket(reason_code=DisconnectReasonCode.PROTOCOL_ERROR)] if version is Version.V5 else []
    assert subscriber.got() == farewell
    assert sum(len(session.inflight) for session in world.broker.sessions.values()) == 1
    assert world.broker.counters.packet_errors_total == 1


@both_versions
def test_acknowledgements_of_an_earlier_connection_may_come_on_the_next_one(version: Version) -> None:
    world = World()
    subscriber = connected(world, "subscriber", version, clean=False, expiry_s=100)
    subscriber.subscribe("t")
    publisher = connected(world, "publisher")
    publisher.send(publish("t", b"1", 1, 1), publish("t", b"2", 2, 2))
    one, two = subscriber.all(PublishPacket)
    subscriber.send(PubRecPacket(two.packet_id or 0))
    subscriber.drop()
    subscriber = connected(world, "subscriber", version, clean=False, expiry_s=100)
    late = PubAckPacket(one.packet_id or 0)
    subscriber.send(PubRecPacket(two.packet_id or 0), late, late)
    subscriber.send(PubCompPacket(two.packet_id or 0), PubCompPacket(two.packet_id or 0), late)
    assert not subscriber.is_closed
    assert all(not session.inflight and not session.queue for session in world.broker.sessions.values())


def test_pubrec_again_is_answered_again() -> None:
    world = World()
    publisher, subscriber = pair(world)
    publisher.send(publish("t", b"2", 2, 2))
    (message,) = subscriber.all(PublishPacket)
    for _ in range(2):
        subscriber.send(PubRecPacket(message.packet_id or 0))
        assert subscriber.one(PubRelPacket).reason_code is PubRelReasonCode.SUCCESS


def test_a_topic_is_sent_once_and_by_its_alias_from_then_on() -> None:
    world = World()
    subscriber = connected(world, "subscriber", topic_alias_max=2)
    subscriber.subscribe("#")
    publisher = connected(world, "publisher")
    for topic in ("a", "b", "c", "a", "b", "c"):
        publisher.send(publish(topic))
    assert [(packet.topic, packet.topic_alias) for packet in subscriber.all(PublishPacket)] == [
        ("a", 1),
        ("b", 2),
        ("c", None),
        ("", 1),
        ("", 2),
        ("c", None),
    ]


def test_an_alias_that_was_never_sent_is_not_used() -> None:
    world = World()
    subscriber = connected(world, "subscriber", topic_alias_max=2, max_packet_size=50)
    subscriber.subscribe("#")
    publisher = connected(world, "publisher")
    publisher.send(publish("a", b"x" * 100))
    publisher.send(publish("a", b"small"))
    (packet,) = subscriber.all(PublishPacket)
    assert (packet.topic, packet.topic_alias) == ("a", 1)


def test_what_is_too_large_for_the_client_is_left_out_and_the_rest_comes() -> None:
    world = World()
    subscriber = connected(world, "subscriber", max_packet_size=64, clean=False, expiry_s=100)
    subscriber.subscribe("t")
    publisher = connected(world, "publisher")
    publisher.send(*(publish("t", b"x" * 60, 1 + number % 2, number + 1) for number in range(900)))
    publisher.send(publish("t", b"x" * 60), publish("t", b"small", 2, 1001))
    assert [message.payload for message in subscriber.answer()] == [b"small"]
    assert world.count("mqtt_queued") == 0


def test_the_limit_of_packet_size_counts_the_whole_packet() -> None:
    world = World()
    subscriber = connected(world, "subscriber", max_packet_size=20)
    subscriber.subscribe("t")
    publisher = connected(world, "publisher")
    publisher.send(publish("t", b"x" * 14))  # 1 + 1 + 2 + 1 + 1 + 14
    publisher.send(publish("t", b"x" * 15))
    assert [len(packet.payload) for packet in subscriber.all(PublishPacket)] == [14]


def test_a_message_tells_what_is_left_of_its_life() -> None:
    world = World()
    subscriber = connected(world, "subscriber", clean=False, expiry_s=1000)
    subscriber.subscribe("t")
    subscriber.drop()
    publisher = connected(world, "publisher")
    publisher.send(
        publish("t", b"10 s", 1, 1, message_expiry_interval=10),
        publish("t", b"60 s", 1, 2, message_expiry_interval=60),
        publish("t", b"for ever", 1, 3),
    )
    world.later(20)
    subscriber = connected(world, "subscriber", clean=False, expiry_s=1000)
    messages = subscriber.answer()
    assert [(message.payload, message.message_expiry_interval) for message in messages] == [
        (b"60 s", 40),
        (b"for ever", None),
    ]
    assert world.broker.counters.expired_total == 1
    assert world.count("mqtt_queued") == 0


def test_properties_are_passed_on_as_they_came() -> None:
    world = World()
    publisher, subscriber = pair(world)
    properties: dict[str, object] = {
        "payload_format_indicator": 1,
        "content_type": "text/plain",
        "response_topic": "answers",
        "correlation_data": b"\x00\x01",
        "user_properties": [("b", "2"), ("a", "1"), ("b", "1")],
    }
    for qos in (0, 1, 2):
        publisher.send(publish("t", b"x", qos, 7, **properties))
        (message,) = subscriber.answer()
        assert {name: getattr(message, name) for name in properties} == properties


def test_a_version_311_subscriber_gets_the_message_without_properties() -> None:
    world = World()
    subscriber = connected(world, "subscriber", Version.V311)
    subscriber.subscribe("t")
    connected(world, "publisher").send(publish("t", b"x", 1, 1, content_type="a/b", message_expiry_interval=9))
    (message,) = subscriber.answer()
    assert (message.topic, message.payload, message.content_type) == ("t", b"x", None)


def test_a_client_that_does_not_read_gets_no_qos_0_and_keeps_the_rest_waiting() -> None:
    world = World()
    publisher, subscriber = pair(world)
    subscriber.connection.hold_back()
    publisher.send(publish("t", b"0"), publish("t", b"1", 1, 1), publish("t", b"2", 2, 2))
    assert subscriber.got() == []
    assert world.broker.counters.qos0_dropped_total == 1
    subscriber.connection.resume()
    assert [message.payload for message in subscriber.answer()] == [b"1", b"2"]


def test_what_goes_out_in_one_turn_is_bounded_and_then_goes_on() -> None:
    world = World(max_inflight=1000, queue_bytes=64 << 20)
    publisher, subscriber = pair(world)
    payload = bytes(100_000)
    publisher.send(*(publish("t", payload, 1, number + 1) for number in range(60)))
    data = subscriber.connection.data_to_send()
    assert OUTPUT_BYTES <= len(data) < OUTPUT_BYTES + 2 * len(payload)
    subscriber.connection.pump()
    assert len(subscriber.connection.data_to_send()) >= OUTPUT_BYTES
    for number in range(60):
        subscriber.connection.pump()
        subscriber.send(PubAckPacket(number + 1))
        subscriber.connection.data_to_send()
    assert not any(session.queue for session in world.broker.sessions.values())


def test_large_messages_in_flight_are_bounded_in_bytes() -> None:
    world = World(max_inflight=1000, queue_bytes=1 << 20)
    publisher, subscriber = pair(world)
    publisher.send(*(publish("t", bytes(100_000), 1, number + 1) for number in range(8)))
    session = next(found for found in world.broker.sessions.values() if found.client_id == "subscriber")
    assert len(session.inflight) == 3
    assert len(subscriber.answer()) == 8


def test_a_publisher_waits_for_a_subscriber_that_falls_behind_until_it_has_room() -> None:
    world = World(max_inflight=1, queue_bytes=100_000)
    publisher, subscriber = pair(world)
    publisher.send(*(publish("t", bytes(1000), 1, number + 1) for number in range(60)))
    assert publisher.pauses == 1
    assert len(subscriber.answer()) == 60
    assert publisher.pauses == 0
    assert world.broker.counters.queue_dropped_total == 0


def test_nobody_waits_for_a_subscriber_that_never_acknowledges() -> None:
    world = World(max_inflight=1, queue_bytes=100_000)
    publisher, subscriber = pair(world)
    publisher.send(*(publish("t", bytes(1000), 1, number + 1) for number in range(60)))
    assert publisher.pauses == 1
    world.later(2)
    assert publisher.pauses == 1
    world.later(4)
    assert publisher.pauses == 0
    publisher.send(*(publish("t", bytes(1000), 1, number + 1) for number in range(60)))
    assert publisher.pauses == 0
    session = next(found for found in world.broker.sessions.values() if found.client_id == "subscriber")
    assert session.held_bytes <= 100_000
    assert world.broker.counters.queue_dropped_total > 0
    subscriber.answer()
    publisher.send(*(publish("t", bytes(1000), 1, number + 1) for number in range(60)))
    assert publisher.pauses == 1  # it reads again, so it is waited for again


def test_a_publisher_goes_on_when_the_subscriber_has_gone() -> None:
    world = World(max_inflight=1, queue_bytes=100_000)
    publisher, subscriber = pair(world)
    publisher.send(*(publish("t", bytes(1000), 1, number + 1) for number in range(60)))
    assert publisher.pauses == 1
    subscriber.drop()
    assert publisher.pauses == 0


def test_a_client_does_not_wait_for_itself() -> None:
    world = World(max_inflight=1, queue_bytes=100_000)
    client = connected(world)
    client.subscribe("t")
    client.send(*(publish("t", bytes(1000), 1, number + 1) for number in range(200)))
    assert client.pauses == 0
    (session,) = world.broker.sessions.values()
    assert session.held_bytes <= 100_000


def test_a_packet_id_that_hangs_for_65535_messages_is_not_used_twice() -> None:
    world = World(max_inflight=2)
    publisher, subscriber = pair(world)
    publisher.send(publish("t", b"hangs", 1, 1))
    (hanging,) = subscriber.all(PublishPacket)
    session = next(found for found in world.broker.sessions.values() if found.client_id == "subscriber")
    session.next_number += 0xFFFF - 1
    publisher.send(publish("t", b"same id", 1, 2), publish("t", b"after it", 1, 3))
    assert subscriber.got() == []
    subscriber.send(PubAckPacket(hanging.packet_id or 0))
    assert [packet.packet_id for packet in subscriber.all(PublishPacket)] == [1, 2]


def test_the_gateway_publishes_in_its_own_name() -> None:
    world = World()
    client = connected(world)
    client.subscribe("sg/d1/cmd/#", qos=1)
    world.broker.publish("sg/d1/cmd/reboot", b"{}", 1)
    world.broker.publish("sg/d2/cmd/reboot", b"{}", 1)
    world.commit()
    (message,) = client.answer()
    assert (message.topic, message.qos) == ("sg/d1/cmd/reboot", QoS.AT_LEAST_ONCE)
    assert world.disk.frames == []


def test_subscribing_and_publishing_in_one_piece_comes_in_order() -> None:
    world = World()
    client = connected(world)
    client.send(
        publish("t", b"before", 1, 1),
        SubscribePacket(2, [TopicFilter("t", retain_as_published=False)]),
        publish("t", b"after", 1, 3),
    )
    assert [message.payload for message in client.answer()] == [b"after"]


@pytest.mark.parametrize("size", [0, 1, 120, 130, 16_380, 16_400])
@pytest.mark.parametrize("qos", [0, 1, 2])
@both_versions
def test_a_plain_publish_is_written_as_the_codec_writes_it(version: Version, qos: int, size: int) -> None:
    message = Message("sg/käse", b"x" * size, qos, True)
    for was_sent in (False, True)[: qos + 1]:
        outgoing = Outgoing(0xFFFF * 3 if qos else 0, message, qos, True, was_sent=was_sent)
        expected = encode(outgoing.packet(message.topic, None, 0), version)
        assert plain_publish(outgoing, version) == expected

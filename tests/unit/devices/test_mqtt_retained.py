"""Retained messages: who gets them and when, their life, their cap."""

import pytest
from mqtt5 import PublishPacket, RetainHandling, SubAckPacket, SubscribePacket, TopicFilter

from devices.mqtt.codec.codec import Version
from devices.mqtt.server.message import MESSAGE_OVERHEAD_BYTES, Message
from devices.mqtt.server.retained import RetainedMessages
from tests.mqtt_world import Client, World, connected, publish

both_versions = pytest.mark.parametrize("version", Version)


def retain(world: World, *messages: tuple[str, bytes], qos: int = 1, **more: object) -> Client:
    publisher = connected(world, "publisher")
    for number, (topic, payload) in enumerate(messages):
        publisher.send(publish(topic, payload, qos, number + 1, retain=True, **more))
    return publisher


def got(client: Client) -> dict[str, bytes]:
    messages = client.answer()
    assert all(message.retain for message in messages)
    return {message.topic: message.payload for message in messages}


@pytest.mark.parametrize("qos", [0, 1, 2])
@both_versions
def test_a_new_subscriber_gets_the_last_message_of_each_topic(version: Version, qos: int) -> None:
    world = World()
    retain(world, ("t/1", b"old"), ("t/1", b"new"), ("t/2", b"x"), ("other", b"y"), qos=qos)
    client = connected(world, version=version)
    client.send(SubscribePacket(1, [TopicFilter("t/#", retain_as_published=False)]))
    messages = client.answer()
    assert {message.topic: message.payload for message in messages} == {"t/1": b"new", "t/2": b"x"}
    assert all(message.retain and message.qos.value == qos for message in messages)


@both_versions
def test_suback_comes_before_the_retained_messages(version: Version) -> None:
    world = World()
    retain(world, ("t", b"x"))
    client = connected(world, version=version)
    client.send(SubscribePacket(1, [TopicFilter("t", retain_as_published=False)]))
    assert [type(packet) for packet in client.got()] == [SubAckPacket, PublishPacket]


def test_an_empty_message_removes_what_is_retained_and_is_passed_on() -> None:
    world = World()
    publisher = retain(world, ("t", b"x"))
    client = connected(world)
    client.subscribe("t", subscription_id=5)
    client.answer()
    publisher.send(publish("t", b"", 1, 2, retain=True))
    (message,) = client.answer()
    assert (message.payload, message.retain) == (b"", False)
    assert len(world.broker.retained) == 0
    assert world.count("mqtt_retained") == 0


def test_retain_as_published_keeps_the_flag_of_live_messages() -> None:
    world = World()
    client = connected(world)
    client.send(
        SubscribePacket(
            1, [TopicFilter("kept", retain_as_published=True), TopicFilter("not", retain_as_published=False)]
        )
    )
    client.got()
    publisher = connected(world, "publisher")
    publisher.send(publish("kept", retain=True), publish("kept"), publish("not", retain=True))
    assert [(message.topic, message.retain) for message in client.answer()] == [
        ("kept", True),
        ("kept", False),
        ("not", False),
    ]


@pytest.mark.parametrize(
    ("handling", "first", "again"),
    [
        (RetainHandling.SEND_ALWAYS, 1, 1),
        (RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS, 1, 0),
        (RetainHandling.SEND_NEVER, 0, 0),
    ],
)
def test_retain_handling_says_when_they_are_sent(handling: RetainHandling, first: int, again: int) -> None:
    world = World()
    retain(world, ("t", b"x"))
    client = connected(world)
    for count in (first, again):
        client.send(SubscribePacket(1, [TopicFilter("t", retain_handling=handling)]))
        assert len(got(client)) == count


def test_a_shared_subscription_gets_none() -> None:
    world = World()
    retain(world, ("t", b"x"))
    client = connected(world)
    client.send(SubscribePacket(1, [TopicFilter("$share/g/t")]))
    assert got(client) == {}


@pytest.mark.parametrize("is_kept", [False, True])
def test_what_is_retained_on_a_connection_is_there_for_its_next_subscription(is_kept: bool) -> None:
    world = World()
    client = connected(world, expiry_s=100 * is_kept)
    world.disk.is_prompt = False
    client.send(publish("t", b"x", retain=True), SubscribePacket(1, [TopicFilter("t")]))
    world.commit()
    world.disk.is_prompt = True
    assert got(client) == {"t": b"x"}


def test_nobody_sees_a_retained_message_before_its_commit() -> None:
    world = World()
    client = connected(world)
    publisher = connected(world, "publisher")
    world.disk.is_prompt = False
    publisher.send(publish("t", b"x", retain=True))
    assert world.broker.retained.get("t") is None
    world.crash()
    world.disk.is_prompt = True
    client = connected(world)
    client.send(SubscribePacket(1, [TopicFilter("t")]))
    assert got(client) == {}


def test_retained_messages_survive_a_crash_with_all_they_say() -> None:
    world = World()
    retain(world, ("t", b"x"), qos=2, content_type="a/b", user_properties=[("k", "v")], message_expiry_interval=100)
    world.crash(down_s=40)
    client = connected(world)
    client.send(SubscribePacket(1, [TopicFilter("t")], subscription_id=9))
    (message,) = client.answer()
    assert (message.payload, message.qos.value, message.retain) == (b"x", 2, True)
    assert (message.content_type, message.user_properties) == ("a/b", [("k", "v")])
    assert message.message_expiry_interval == 60
    assert message.subscription_ids == [9]


def test_an_expired_message_is_not_sent_and_goes() -> None:
    world = World()
    retain(world, ("t", b"x"), message_expiry_interval=10)
    world.now_us += 10_000_000
    client = connected(world)
    client.send(SubscribePacket(1, [TopicFilter("t")]))
    assert got(client) == {}
    world.later(0)
    assert len(world.broker.retained) == 0
    assert world.count("mqtt_retained") == 0


def test_a_message_that_replaced_one_with_an_expiry_stays() -> None:
    world = World()
    publisher = retain(world, ("t", b"old"), message_expiry_interval=10)
    publisher.send(publish("t", b"new", retain=True))
    world.later(20)
    retained = world.broker.retained.get("t")
    assert retained is not None
    assert retained.payload == b"new"


def test_a_topic_that_is_replaced_again_and_again_costs_no_memory() -> None:
    retained = RetainedMessages(1 << 20)
    for number in range(10_000):
        retained.put(Message("t", b"x", 0, True, expires_us=number))
    assert len(retained._expiring) < 200
    assert retained.expire(9_998) == []
    assert retained.expire(9_999) == ["t"]
    assert retained.held_bytes == 0


def test_at_the_cap_nothing_more_is_retained_and_nothing_stale_is_served() -> None:
    world = World(retained_bytes=3 * (MESSAGE_OVERHEAD_BYTES + 101))
    publisher = retain(world, ("1", bytes(100)), ("2", bytes(100)), ("3", bytes(100)))
    publisher.send(publish("4", b"", 1, 2, retain=True), publish("5", bytes(100), 1, 3, retain=True))
    assert world.broker.retained.refused == 1
    assert world.count("mqtt_retained") == 3
    publisher.send(publish("1", bytes(200), 1, 4, retain=True))  # has no room, and what was there is the last no more
    assert world.broker.retained.refused == 2
    assert world.broker.retained.get("1") is None
    assert world.count("mqtt_retained") == 2
    publisher.send(publish("1", bytes(100), 1, 5, retain=True))
    assert world.broker.retained.get("1") is not None
    assert len(world.disk.frames) == 7  # every one of them is stored as a frame


def test_a_client_that_reads_slowly_gets_all_of_many() -> None:
    world = World(max_inflight=5)
    retain(world, *((f"t/{number}", b"%d" % number) for number in range(500)))
    client = connected(world, expiry_s=100)
    client.send(SubscribePacket(1, [TopicFilter("#")]))
    session = next(found for found in world.broker.sessions.values() if found.client_id == "c")
    assert len(session.queue) + len(session.inflight) <= 6  # taken one by one, as the client takes them
    assert len(got(client)) == 500
    assert session.backlog == {}


def test_what_is_left_of_them_comes_on_the_next_connection() -> None:
    world = World(max_inflight=5)
    retain(world, *((f"t/{number}", b"%d" % number) for number in range(50)))
    client = connected(world, expiry_s=100)
    client.send(SubscribePacket(1, [TopicFilter("#")]))
    first = {packet.topic for packet in client.all(PublishPacket)}
    assert len(first) == 5
    client.drop()
    assert len(got(connected(world, clean=False, expiry_s=100))) == 50


def test_unsubscribing_stops_them() -> None:
    world = World(max_inflight=5)
    retain(world, *((f"t/{number}", b"%d" % number) for number in range(50)))
    client = connected(world)
    client.send(SubscribePacket(1, [TopicFilter("#")]))
    client.send(b"\xa2\x06\x00\x05\x00\x00\x01#")
    assert len(client.answer()) == 5


def test_a_large_message_does_not_hide_its_neighbours_from_a_small_client() -> None:
    world = World()
    retain(world, ("t/1", bytes(1000)), ("t/2", b"small"), qos=0)
    client = connected(world, max_packet_size=100)
    client.send(SubscribePacket(1, [TopicFilter("#")]))
    assert got(client) == {"t/2": b"small"}

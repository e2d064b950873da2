"""Who gets a message: wildcards, overlapping and shared subscriptions, no local."""

from itertools import chain

import pytest
from mqtt5 import (
    PubAckPacket,
    PubAckReasonCode,
    PublishPacket,
    PubRecPacket,
    PubRecReasonCode,
    QoS,
    SubscribePacket,
    TopicFilter,
)

from devices.mqtt.codec.codec import Version
from devices.mqtt.server.message import Subscription
from devices.mqtt.server.routes import MAX_CACHED_TOPIC, NOBODY, Routes
from devices.mqtt.server.session import Session
from tests.mqtt_world import Client, World, connected, publish

both_versions = pytest.mark.parametrize("version", Version)
SHARED = "$share/workers/t"


@pytest.mark.parametrize(
    ("topic_filter", "topic", "is_match"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/#", "a", True),
        ("+/+", "/a", True),
        ("#", "a/b/c", True),
        ("#", "$SYS/a", False),
        ("+/a", "$SYS/a", False),
        ("$SYS/#", "$SYS/a", True),
        ("a/b", "a/B", False),
        ("a/b", "a/b/", False),
    ],
)
def test_filters_match_as_the_specification_says(topic_filter: str, topic: str, is_match: bool) -> None:
    routes = Routes()
    routes.add(Session("k", "k", None, 0), Subscription(topic_filter, 1))
    assert (routes.receivers(topic) is not NOBODY) is is_match


def test_what_is_known_of_a_topic_is_forgotten_when_subscriptions_change() -> None:
    routes = Routes()
    session = Session("k", "k", None, 0)
    assert routes.receivers("a") is NOBODY
    routes.add(session, Subscription("a", 1))
    assert routes.receivers("a").sessions[0].qos == 1
    routes.add(session, Subscription("a", 2))
    assert [receiver.qos for receiver in routes.receivers("a").sessions] == [2]
    routes.remove(session, "a")
    routes.remove(session, "a")
    assert routes.receivers("a") is NOBODY


def test_long_topics_are_matched_but_not_remembered() -> None:
    routes = Routes()
    routes.add(Session("k", "k", None, 0), Subscription("#", 1))
    for number in range(10):
        assert routes.receivers("x" * MAX_CACHED_TOPIC + str(number)) is not NOBODY
    assert not routes._cache


@both_versions
def test_overlapping_subscriptions_give_one_copy_with_the_highest_qos(version: Version) -> None:
    world = World()
    client = connected(world, version=version)
    client.subscribe("t/#", qos=1, subscription_id=7)
    client.subscribe("t/+", qos=2)
    client.subscribe("t/a", qos=0, subscription_id=9)
    connected(world, "publisher", version).send(publish("t/a", b"x", 2, 1))
    (message,) = client.answer()
    assert message.qos is QoS.EXACTLY_ONCE
    if version is Version.V5:
        assert sorted(message.subscription_ids) == [7, 9]


def test_a_client_gets_its_own_messages_unless_it_said_no_local() -> None:
    world = World()
    client = connected(world)
    other = connected(world, "other")
    for subscriber in (client, other):
        subscriber.send(SubscribePacket(1, [TopicFilter("no/#", no_local=True), TopicFilter("yes")]))
        subscriber.got()
    client.send(publish("no/a"), publish("yes"))
    assert [message.topic for message in client.answer()] == ["yes"]
    assert [message.topic for message in other.answer()] == ["no/a", "yes"]


def test_no_local_leaves_what_another_subscription_wants() -> None:
    world = World()
    client = connected(world)
    client.send(SubscribePacket(1, [TopicFilter("a/#", no_local=True)], subscription_id=1))
    client.got()
    client.subscribe("a/b", qos=1, subscription_id=2)
    client.send(publish("a/b", b"x", 2, 1))
    (message,) = client.answer()
    assert (message.subscription_ids, message.qos) == ([2], QoS.AT_LEAST_ONCE)


def group(world: World, *names: str, topic_filter: str = SHARED, expiry_s: int = 0) -> list[Client]:
    members = [connected(world, name, expiry_s=expiry_s) for name in names]
    for member in members:
        assert member.subscribe(topic_filter) == [2]
    return members


def numbers(messages: list[PublishPacket]) -> list[int]:
    return [int(message.payload) for message in messages]


def feed(world: World, count: int, qos: int = 1) -> Client:
    publisher = connected(world, "publisher")
    publisher.send(*(publish("t", b"%d" % number, qos, number + 1) for number in range(count)))
    return publisher


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_shared_subscription_gives_each_message_to_one_member_in_turn(qos: int) -> None:
    world = World()
    members = group(world, "a", "b", "c")
    feed(world, 30, qos)
    got = [numbers(member.answer()) for member in members]
    assert sorted(chain.from_iterable(got)) == list(range(30))
    assert [len(part) for part in got] == [10, 10, 10]


def test_groups_are_apart_from_each_other_and_from_plain_subscriptions() -> None:
    world = World()
    (one,) = group(world, "one", topic_filter="$share/g1/t")
    (two,) = group(world, "two", topic_filter="$share/g2/t")
    plain = connected(world, "plain")
    plain.subscribe("t", SHARED)
    feed(world, 3)
    assert numbers(one.answer()) == [0, 1, 2]
    assert numbers(two.answer()) == [0, 1, 2]
    assert sorted(numbers(plain.answer())) == [0, 0, 1, 1, 2, 2]


def test_a_shared_subscription_of_version_311_works_too() -> None:
    world = World()
    members = [connected(world, name, Version.V311) for name in "ab"]
    for member in members:
        member.subscribe(SHARED)
    feed(world, 4)
    assert [len(member.answer()) for member in members] == [2, 2]


def test_a_member_without_a_connection_is_passed_over() -> None:
    world = World()
    away, here = group(world, "away", "here", expiry_s=100)
    away.drop()
    feed(world, 4)
    assert numbers(here.answer()) == [0, 1, 2, 3]


def test_messages_wait_for_a_member_when_all_are_away() -> None:
    world = World()
    for member in group(world, "a", "b", expiry_s=100):
        member.drop()
    feed(world, 4)
    world.crash()
    got = [numbers(connected(world, name, clean=False, expiry_s=100).answer()) for name in "ab"]
    assert sorted(chain.from_iterable(got)) == [0, 1, 2, 3]


@pytest.mark.parametrize("expiry_s", [0, 100])
def test_what_a_member_left_unacknowledged_goes_to_another(expiry_s: int) -> None:
    world = World(max_inflight=2)
    dying, living = group(world, "dying", "living", expiry_s=expiry_s)
    feed(world, 10)
    half = numbers(dying.all(PublishPacket))
    assert len(half) == 2
    dying.drop()
    assert sorted(numbers(living.answer())) == list(range(10))
    assert world.count("mqtt_queued") == 0
    if expiry_s:
        assert connected(world, "dying", clean=False, expiry_s=100).answer() == []


def test_what_was_sent_with_qos_2_goes_to_no_other_member() -> None:
    world = World(max_inflight=1)
    dying, living = group(world, "dying", "living", expiry_s=100)
    feed(world, 10, qos=2)
    (sent,) = dying.all(PublishPacket)
    dying.drop()
    assert sorted([*numbers(living.answer()), int(sent.payload)]) == list(range(10))
    (again,) = connected(world, "dying", clean=False, expiry_s=100).answer()
    assert (again.packet_id, again.duplicate, again.payload) == (sent.packet_id, True, sent.payload)


def test_what_waits_for_a_member_goes_to_another_when_its_session_ends() -> None:
    world = World()
    for member in group(world, "a", "b", expiry_s=100):
        member.drop()
    feed(world, 4)
    world.crash()
    living = connected(world, "b", clean=False, expiry_s=100)
    mine = numbers(living.answer())
    world.later(100)
    assert sorted(mine + numbers(living.answer())) == [0, 1, 2, 3]
    assert world.count("mqtt_queued") == 0


def test_a_member_that_ends_between_plan_and_commit_loses_nothing() -> None:
    world = World()
    dying, living = group(world, "dying", "living")
    world.disk.is_prompt = False
    feed(world, 4)
    dying.drop()
    world.commit()
    assert sorted(numbers(living.answer())) == [0, 1, 2, 3]


@pytest.mark.parametrize("qos", [1, 2])
def test_what_a_member_refuses_is_offered_to_nobody_else(qos: int) -> None:
    world = World()
    one, two = group(world, "one", "two")
    feed(world, 1, qos)
    (refusing,) = [member for member in (one, two) if member.connection.outflow._output]
    (message,) = refusing.all(PublishPacket)
    packet_id = message.packet_id or 0
    if qos == 1:
        refusing.send(PubAckPacket(packet_id, reason_code=PubAckReasonCode.UNSPECIFIED_ERROR))
    else:
        refusing.send(PubRecPacket(packet_id, reason_code=PubRecReasonCode.UNSPECIFIED_ERROR))
    refusing.drop()
    assert one.got() + two.got() == []


def test_a_member_that_unsubscribes_gets_no_more() -> None:
    world = World()
    one, two = group(world, "one", "two")
    one.send(_unsubscribe(SHARED))
    one.got()
    feed(world, 4)
    assert numbers(two.answer()) == [0, 1, 2, 3]
    assert one.got() == []
    two.drop()
    assert world.broker.routes.group(SHARED) is None


def _unsubscribe(topic_filter: str) -> bytes:
    name = topic_filter.encode()
    body = b"\0\7\0" + len(name).to_bytes(2, "big") + name
    return bytes((0xA2, len(body))) + body


def test_a_member_that_is_behind_is_spared() -> None:
    world = World(max_inflight=1)
    busy, idle = group(world, "busy", "idle")
    publisher = connected(world, "publisher")
    got = []
    for number in range(20):
        publisher.send(publish("t", b"%d" % number, 1, number + 1))
        got += numbers(idle.answer())
    assert len(got) >= 17
    assert len(got) + len(numbers(busy.answer())) == 20

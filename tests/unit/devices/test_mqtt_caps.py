"""What one peer can make the door hold: every memory has its cap."""

import pytest
from mqtt5 import (
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
    PubAckPacket,
    PubAckReasonCode,
    PublishPacket,
    PubRecPacket,
    SubAckPacket,
    SubscribePacket,
    TopicFilter,
    Will,
)

from devices.mqtt.codec.codec import Version
from devices.mqtt.server.access import Principal
from devices.mqtt.server.inflow import MAX_KNOWN_TOPICS
from devices.mqtt.server.message import MESSAGE_OVERHEAD_BYTES, Message, Properties
from devices.mqtt.server.session import Session
from devices.mqtt.topics import MAX_LEVELS
from tests.mqtt_world import Client, World, connected, publish


def session_of(world: World, client_id: str) -> Session:
    return next(session for session in world.broker.sessions.values() if session.client_id == client_id)


def test_the_queue_of_a_client_that_is_away_keeps_the_newest() -> None:
    world = World(queue_bytes=10 * (MESSAGE_OVERHEAD_BYTES + 101))
    client = connected(world, expiry_s=100)
    client.subscribe("t")
    client.drop()
    publisher = connected(world, "publisher")
    publisher.send(*(publish("t", b"%100d" % number, 1, number + 1) for number in range(25)))
    assert publisher.pauses == 0
    assert world.broker.counters.queue_dropped_total == 15
    assert world.count("mqtt_queued") == 10
    world.crash()
    messages = connected(world, clean=False, expiry_s=100).answer()
    assert [int(message.payload) for message in messages] == list(range(15, 25))


def test_all_queues_together_have_a_cap_and_the_fullest_pays() -> None:
    size = MESSAGE_OVERHEAD_BYTES + 1001
    world = World(queue_bytes=100 * size, queue_total_bytes=100 * size)
    for client_id, topic in (("small", "s"), ("big", "b"), ("other", "o")):
        client = connected(world, client_id, expiry_s=100)
        client.subscribe(topic)
        client.drop()
    publisher = connected(world, "publisher")
    publisher.send(*(publish("s", bytes(1000), 1, number + 1) for number in range(10)))
    publisher.send(*(publish("b", bytes(1000), 1, number + 1) for number in range(90)))
    assert world.broker.counters.queue_dropped_total == 0
    publisher.send(*(publish("o", bytes(1000), 1, number + 1) for number in range(10)))
    held = {client_id: session_of(world, client_id).held_bytes // size for client_id in ("small", "big", "other")}
    assert held == {"small": 10, "big": 45, "other": 10}
    assert world.count("mqtt_queued") == 65


def test_what_all_queues_hold_is_counted_right_over_every_turn() -> None:
    world = World()
    client = connected(world, expiry_s=100)
    client.subscribe("t")
    publisher = connected(world, "publisher")
    publisher.send(*(publish("t", bytes(10), 1 + number % 2, number + 1) for number in range(10)))
    assert world.broker.queues.held.size_bytes == session_of(world, "c").held_bytes > 0
    client.drop()
    world.crash()
    assert world.broker.queues.held.size_bytes == session_of(world, "c").held_bytes > 0
    client = connected(world, clean=False, expiry_s=100)
    client.answer()
    assert world.broker.queues.held.size_bytes == session_of(world, "c").held_bytes == 0
    assert session_of(world, "c").inflight_bytes == 0
    connected(world, "publisher").send(publish("t", b"x", 1, 1))
    connected(world, clean=True)
    assert world.broker.queues.held.size_bytes == 0


def test_user_properties_count_as_what_they_hold() -> None:
    plain = Message("t", b"", 0, False)
    loaded = Message("t", b"", 0, False, Properties(user_properties=(("", ""),) * 1000))
    assert loaded.size_bytes > plain.size_bytes + 100_000


def test_a_session_has_so_many_subscriptions_and_no_more() -> None:
    world = World(max_subscriptions=3)
    client = connected(world)
    assert client.subscribe("a", "b", "c", "d", "a") == [2, 2, 2, 0x97, 2]
    client.send(b"\xa2\x06\x00\x05\x00\x00\x01a")
    assert client.subscribe("d") == [2]


def test_subscriptions_are_capped_in_bytes_too() -> None:
    world = World(subscription_bytes=100_000)
    client = connected(world)
    codes = []
    for number in range(20):
        client.send(SubscribePacket(1, [TopicFilter(f"{number}/" + "x" * 20_000)]))
        codes.append(client.one(SubAckPacket).reason_codes[0].value)
    assert codes == [2] * 5 + [0x97] * 15
    client.drop()
    assert world.broker.sessions == {}


def test_topics_that_a_peer_invents_are_not_all_remembered() -> None:
    world = World()
    client = connected(world)
    for start in range(0, 5000, 100):
        client.send(*(publish(f"t/{number}") for number in range(start, start + 100)))
    client.send(*(publish("x" * 1000 + str(number)) for number in range(100)))
    assert len(client.connection._inflow._allowed) <= MAX_KNOWN_TOPICS
    assert all(len(topic) <= 256 for topic in client.connection._inflow._allowed)
    assert len(world.disk.frames) == 5100


def test_a_device_that_takes_a_new_client_id_each_time_fills_only_its_own_share() -> None:
    world = World(max_sessions_of_a_device=3)
    device = Principal("d1", ("#",), ("#",))
    connected(world, "other", expiry_s=100).drop()
    for number in range(10):
        world.now_us += 1
        connected(world, f"c{number}", expiry_s=100, principal=device).drop()
    assert sorted(session.client_id for session in world.broker.sessions.values()) == ["c7", "c8", "c9", "other"]
    assert world.count("mqtt_session") == 4
    assert connected(world, "c8", clean=False, expiry_s=100, principal=device).connack.session_present


def test_all_sessions_together_have_a_cap_and_the_longest_away_goes() -> None:
    world = World(max_sessions=3)
    online = connected(world, "online", expiry_s=100)
    for number in range(10):
        world.now_us += 1
        connected(world, f"c{number}", expiry_s=100).drop()
    assert sorted(session.client_id for session in world.broker.sessions.values()) == ["c8", "c9", "online"]
    assert not online.is_closed


def test_many_filters_over_many_retained_messages_wait_as_filters() -> None:
    world = World(max_inflight=1)
    publisher = connected(world, "publisher")
    publisher.send(*(publish(f"t/{number}", b"x", 1, 1, retain=True) for number in range(200)))
    client = connected(world)
    filters = [TopicFilter("#"), TopicFilter("t/#"), TopicFilter("t/+"), TopicFilter("+/+")]
    for _ in range(50):
        client.send(SubscribePacket(1, filters))
    session = session_of(world, "c")
    assert len(session.backlog) == 4
    assert len(session.queue) + len(session.inflight) <= 60
    assert len([packet for packet in client.got() if isinstance(packet, PublishPacket)]) == 1


DEEPEST = "/".join("x" * MAX_LEVELS)
TOO_DEEP = f"{DEEPEST}/x"
both_versions = pytest.mark.parametrize("version", Version)


@both_versions
def test_a_topic_of_too_many_levels_is_counted_acknowledged_and_dropped(version: Version) -> None:
    world = World()
    client = connected(world, version=version)
    client.send(publish(TOO_DEEP, b"x", 1, 1), publish(TOO_DEEP, b"x", 2, 2), publish(TOO_DEEP, b"x", 0))
    codes = [packet.reason_code.value for packet in client.got() if isinstance(packet, PubAckPacket | PubRecPacket)]
    assert codes == ([0x90, 0x90] if version is Version.V5 else [0, 0])
    assert world.disk.frames == []
    assert world.broker.counters.refused_topics_total == 3
    client.send(publish(DEEPEST, b"x", 1, 3))
    assert client.one(PubAckPacket).reason_code is PubAckReasonCode.SUCCESS
    assert [frame.topic for frame in world.disk.frames] == [DEEPEST]


@both_versions
def test_a_filter_of_too_many_levels_is_refused(version: Version) -> None:
    world = World()
    client = connected(world, version=version)
    refused = 0x8F if version is Version.V5 else 0x80
    codes = client.subscribe(TOO_DEEP, f"{DEEPEST}/#", f"$share/one/{TOO_DEEP}", DEEPEST, f"$share/one/{DEEPEST}", "#")
    assert codes == [refused, refused, refused, 2, 2, 2]
    assert len(session_of(world, "c").subscriptions) == 3


@both_versions
def test_a_will_of_too_many_levels_is_refused(version: Version) -> None:
    client = Client(World(), version)
    client.send(ConnectPacket("c", will=Will(TOO_DEEP, payload=b"x")))
    # "If none of the return codes listed are deemed applicable": 3.1.1 closes without CONNACK [MQTT-3.2.2-6]
    codes = [connack.reason_code for connack in client.all(ConnAckPacket)]
    assert codes == ([ConnAckReasonCode.TOPIC_NAME_INVALID] if version is Version.V5 else [])
    assert client.is_closed


def test_a_subscription_of_too_many_levels_that_was_kept_goes_when_its_client_comes_back() -> None:
    world = World()
    client = connected(world, expiry_s=100)
    client.subscribe("t", DEEPEST)
    client.drop()
    with world.engine.begin() as connection:
        connection.exec_driver_sql("update mqtt_subscription set filter = ? where filter = ?", (TOO_DEEP, DEEPEST))
    world.crash()
    connected(world, clean=False, expiry_s=100)
    assert list(session_of(world, "c").subscriptions) == ["t"]
    assert world.count("mqtt_subscription") == 1

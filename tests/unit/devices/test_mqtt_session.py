"""Sessions: what outlives a connection and a `kill -9`, and for how long."""

import pytest
from mqtt5 import (
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PubAckPacket,
    PubCompPacket,
    PubCompReasonCode,
    PublishPacket,
    PubRecPacket,
    PubRelPacket,
    QoS,
    SubscribePacket,
    TopicFilter,
)

from devices.mqtt.codec.codec import Version
from devices.mqtt.server.access import Principal
from tests.mqtt_world import Client, World, connected, publish

both_versions = pytest.mark.parametrize("version", Version)
or_crash = pytest.mark.parametrize("is_crash", [False, True], ids=["reconnect", "crash"])


def kept(world: World, client_id: str = "c", version: Version = Version.V5, **more: int) -> Client:
    """Returns a client with a session of an hour, which goes on if there is one."""
    return connected(world, client_id, version, clean=False, expiry_s=3600, **more)  # type: ignore[arg-type]


def interrupt(world: World, client: Client, *, is_crash: bool) -> None:
    if is_crash:
        world.crash()
    else:
        client.drop()


@or_crash
@both_versions
def test_a_kept_session_is_present_again_with_its_subscriptions(version: Version, is_crash: bool) -> None:
    world = World()
    client = kept(world, version=version)
    assert not client.connack.session_present
    client.subscribe("t")
    interrupt(world, client, is_crash=is_crash)
    client = kept(world, version=version)
    assert client.connack.session_present
    client.send(publish("t", b"x", 1, 1))
    assert [message.payload for message in client.answer()] == [b"x"]


@or_crash
@both_versions
def test_a_clean_start_ends_what_was(version: Version, is_crash: bool) -> None:
    world = World()
    client = kept(world, version=version)
    client.subscribe("t")
    client.send(publish("t", b"x", 1, 1))
    interrupt(world, client, is_crash=is_crash)
    client = connected(world, version=version)
    assert not client.connack.session_present
    client.send(publish("t", b"x", 1, 1))
    assert client.answer() == []
    for table in ("mqtt_session", "mqtt_subscription", "mqtt_queued", "mqtt_received"):
        assert world.count(table) == 0, table


@both_versions
def test_a_clean_session_leaves_nothing_behind(version: Version) -> None:
    world = World()
    client = connected(world, version=version)
    client.subscribe("t")
    client.send(publish("t", b"x", 1, 1))
    client.drop()
    assert world.broker.sessions == {}
    assert not connected(world, version=version, clean=False).connack.session_present


@or_crash
@both_versions
def test_messages_wait_for_a_client_that_is_away(version: Version, is_crash: bool) -> None:
    world = World()
    client = kept(world, version=version)
    client.subscribe("t")
    client.hang_up()
    publisher = connected(world, "publisher", version)
    publisher.send(*(publish("t", b"%d" % number, number % 3, number + 1) for number in range(9)))
    if is_crash:
        world.crash()
    client = kept(world, version=version)
    messages = client.answer()
    assert [message.payload for message in messages] == [b"1", b"2", b"4", b"5", b"7", b"8"]
    assert not any(message.duplicate for message in messages)
    assert world.count("mqtt_queued") == 0


@both_versions
def test_messages_for_a_connected_client_survive_a_crash_unacknowledged(version: Version) -> None:
    world = World()
    client = kept(world, version=version)
    client.subscribe("t")
    connected(world, "publisher", version).send(publish("t", b"1", 1, 1), publish("t", b"2", 2, 2))
    first = client.all(PublishPacket)
    world.crash()
    again = kept(world, version=version).all(PublishPacket)
    assert [(message.payload, message.packet_id) for message in again] == [
        (message.payload, message.packet_id) for message in first
    ]
    assert all(message.duplicate for message in again)


@or_crash
@both_versions
def test_what_was_not_acknowledged_goes_again_in_order_under_its_packet_id(version: Version, is_crash: bool) -> None:
    world = World(max_inflight=4)
    client = kept(world, version=version)
    client.subscribe("t")
    connected(world, "publisher", version).send(
        *(publish("t", b"%d" % number, 1 + number % 2, number + 1) for number in range(8))
    )
    first = client.all(PublishPacket)
    client.send(PubAckPacket(first[2].packet_id or 0))
    first += client.all(PublishPacket)
    assert [message.payload for message in first] == [b"0", b"1", b"2", b"3", b"4"]
    del first[2]
    interrupt(world, client, is_crash=is_crash)
    client = kept(world, version=version)
    again = client.all(PublishPacket)
    assert [(message.packet_id, message.payload) for message in again] == [
        (message.packet_id, message.payload) for message in first
    ]
    assert all(message.duplicate for message in again)
    for message in again:
        answer = PubAckPacket if message.qos is QoS.AT_LEAST_ONCE else PubRecPacket
        client.send(answer(message.packet_id or 0))
    rest = [packet for packet in client.got() if isinstance(packet, PublishPacket)]
    assert [message.payload for message in rest][:2] == [b"5", b"6"]
    assert not any(message.duplicate for message in rest)


def test_what_was_sent_before_the_connection_ended_is_known_after_a_crash() -> None:
    world = World(max_inflight=2)
    client = kept(world)
    client.subscribe("t")
    connected(world, "publisher").send(*(publish("t", b"%d" % number, 1, number + 1) for number in range(3)))
    assert len(client.all(PublishPacket)) == 2
    client.drop()
    world.crash()
    messages = kept(world).answer()
    assert [message.duplicate for message in messages] == [True, True, False]


def test_sending_again_keeps_to_the_new_receive_maximum() -> None:
    world = World()
    client = kept(world)
    client.subscribe("t")
    connected(world, "publisher").send(*(publish("t", b"%d" % number, 1, number + 1) for number in range(8)))
    assert len(client.all(PublishPacket)) == 8
    client.drop()
    client = kept(world, receive_max=2)
    again = client.all(PublishPacket)
    assert [message.payload for message in again] == [b"0", b"1"]
    client.send(PubAckPacket(again[0].packet_id or 0))
    assert [message.payload for message in client.all(PublishPacket)] == [b"2"]


@or_crash
@both_versions
def test_a_received_qos_2_message_is_released_again_and_not_sent_again(version: Version, is_crash: bool) -> None:
    world = World()
    client = kept(world, version=version)
    client.subscribe("t")
    connected(world, "publisher", version).send(publish("t", b"x", 2, 1))
    (message,) = client.all(PublishPacket)
    client.send(PubRecPacket(message.packet_id or 0))
    client.one(PubRelPacket)
    interrupt(world, client, is_crash=is_crash)
    client = kept(world, version=version)
    assert client.one(PubRelPacket).packet_id == message.packet_id
    client.send(PubCompPacket(message.packet_id or 0))
    assert world.count("mqtt_queued") == 0
    client.drop()
    assert kept(world, version=version).got() == []


def test_pubrel_leaves_after_the_commit_of_what_it_says() -> None:
    world = World()
    client = kept(world)
    client.subscribe("t")
    connected(world, "publisher").send(publish("t", b"x", 2, 1))
    (message,) = client.all(PublishPacket)
    world.disk.is_prompt = False
    for _ in range(2):
        client.send(PubRecPacket(message.packet_id or 0))
    assert client.got() == []
    world.commit()
    assert [type(packet) for packet in client.got()] == [PubRelPacket, PubRelPacket]


@or_crash
@both_versions
def test_a_qos_2_message_sent_again_after_an_interruption_is_stored_once(version: Version, is_crash: bool) -> None:
    world = World()
    client = kept(world, version=version)
    client.send(publish("t", b"x", 2, 5))
    client.got()
    interrupt(world, client, is_crash=is_crash)
    client = kept(world, version=version)
    client.send(publish("t", b"x", 2, 5, duplicate=True))
    client.one(PubRecPacket)
    assert [frame.payload for frame in world.disk.frames] == [b"x"]
    client.send(PubRelPacket(5))
    client.one(PubCompPacket)
    interrupt(world, client, is_crash=is_crash)
    client = kept(world, version=version)
    client.send(PubRelPacket(5))  # PUBCOMP was lost
    pubcomp = client.one(PubCompPacket)
    if version is Version.V5:
        assert pubcomp.reason_code is PubCompReasonCode.PACKET_ID_NOT_FOUND
    client.send(publish("t", b"new", 2, 5))
    assert [frame.payload for frame in world.disk.frames] == [b"x", b"new"]


@both_versions
def test_what_was_not_committed_is_not_there_after_a_crash_and_comes_again(version: Version) -> None:
    world = World()
    client = kept(world, version=version)
    world.disk.is_prompt = False
    client.send(publish("t", b"x", 2, 5))
    world.crash()
    world.disk.is_prompt = True
    client = kept(world, version=version)
    client.send(publish("t", b"x", 2, 5, duplicate=True))
    client.one(PubRecPacket)
    assert [frame.payload for frame in world.disk.frames] == [b"x"]


def test_a_session_ends_when_its_time_is_over() -> None:
    world = World()
    client = connected(world, clean=False, expiry_s=10)
    client.subscribe("t")
    client.drop()
    world.later(9)
    assert connected(world, clean=False, expiry_s=10).connack.session_present
    world.later(100)  # it is connected: no time runs
    client = connected(world, clean=False, expiry_s=10)
    assert client.connack.session_present
    client.drop()
    world.later(10)
    assert world.broker.sessions == {}
    assert world.count("mqtt_session") == 0
    assert not connected(world, clean=False, expiry_s=10).connack.session_present


def test_a_session_whose_time_is_over_is_not_found_even_before_the_sweep() -> None:
    world = World()
    client = connected(world, clean=False, expiry_s=1)
    client.drop()
    world.now_us += 1_000_000
    assert not connected(world, clean=False, expiry_s=1).connack.session_present


def test_the_time_goes_on_while_the_gateway_is_down() -> None:
    world = World()
    connected(world, "short", clean=False, expiry_s=10).drop()
    connected(world, "long", clean=False, expiry_s=1000).drop()
    connected(world, "connected", clean=False, expiry_s=10)
    world.crash(down_s=100)
    world.later(0)
    assert sorted(session.client_id for session in world.broker.sessions.values()) == ["connected", "long"]
    world.later(10)
    assert [session.client_id for session in world.broker.sessions.values()] == ["long"]


def test_a_clock_that_was_ahead_does_not_keep_sessions_for_ever() -> None:
    world = World()
    world.now_us += 10**15
    connected(world, clean=False, expiry_s=10).drop()
    world.now_us -= 10**15
    world.crash()
    world.later(10)
    assert world.broker.sessions == {}


def test_disconnect_may_change_how_long_the_session_is_kept() -> None:
    world = World()
    connected(world, clean=False, expiry_s=10).hang_up(DisconnectPacket(session_expiry_interval=100))
    world.later(50)
    client = connected(world, clean=False, expiry_s=10)
    assert client.connack.session_present
    client.hang_up(DisconnectPacket(session_expiry_interval=0))
    assert world.count("mqtt_session") == 0
    assert not connected(world, clean=False, expiry_s=10).connack.session_present


def test_disconnect_does_not_ask_for_more_than_allowed() -> None:
    world = World(session_expiry_max_s=50)
    connected(world, clean=False, expiry_s=10).hang_up(DisconnectPacket(session_expiry_interval=100))
    world.later(50)
    assert world.broker.sessions == {}


def test_a_session_of_version_311_is_kept_as_long_as_any() -> None:
    world = World(session_expiry_max_s=1000)
    connected(world, version=Version.V311, clean=False).hang_up()
    world.later(999)
    assert connected(world, version=Version.V311, clean=False).connack.session_present
    world.later(0)


def test_a_session_goes_on_under_the_other_version() -> None:
    world = World()
    client = kept(world, version=Version.V311)
    client.subscribe("t")
    client.hang_up()
    connected(world, "publisher").send(publish("t", b"x", 1, 1, content_type="a/b"))
    (message,) = kept(world).answer()
    assert message.content_type == "a/b"


def test_a_session_that_goes_on_keeps_no_subscription_whose_grant_was_taken() -> None:
    world = World()
    client = connected(world, clean=False, expiry_s=100, principal=Principal("d1", (), ("a/#", "b/#")))
    client.subscribe("a/1", "b/1")
    client.drop()
    client = connected(world, clean=False, expiry_s=100, principal=Principal("d1", (), ("b/#",)))
    assert client.connack.session_present
    connected(world, "publisher").send(publish("a/1", qos=1, packet_id=1), publish("b/1", qos=1, packet_id=2))
    assert [message.topic for message in client.answer()] == ["b/1"]
    assert world.count("mqtt_subscription") == 1


def test_a_take_over_hands_everything_to_the_new_connection() -> None:
    world = World()
    old = kept(world)
    old.subscribe("t")
    publisher = connected(world, "publisher")
    publisher.send(publish("t", b"1", 1, 1))
    old.all(PublishPacket)
    new = kept(world)
    assert new.connack.session_present
    publisher.send(publish("t", b"2", 1, 2))
    old.drop()
    assert [(message.payload, message.duplicate) for message in new.answer()] == [(b"1", True), (b"2", False)]


def test_replacing_a_subscription_is_kept_as_it_is_now() -> None:
    world = World()
    client = kept(world)
    for qos in (2, 0):
        client.send(
            SubscribePacket(1, [TopicFilter("t", max_qos=QoS(qos), no_local=qos == 0)], subscription_id=qos + 1)
        )
        client.got()
    world.crash()
    client = kept(world)
    client.send(publish("t", b"own", 1, 1))
    connected(world, "publisher").send(publish("t", b"x", 2, 1))
    (message,) = client.answer()
    assert (message.payload, message.qos, message.subscription_ids) == (b"x", QoS.AT_MOST_ONCE, [1])


def test_everything_of_a_message_survives_a_crash() -> None:
    world = World()
    client = kept(world)
    client.subscribe("#", subscription_id=3)
    client.subscribe("t", subscription_id=4)
    client.drop()
    properties: dict[str, object] = {
        "payload_format_indicator": 1,
        "content_type": "text/plain",
        "response_topic": "answers",
        "correlation_data": b"\x00\x01",
        "user_properties": [("b", "2"), ("a", "1")],
    }
    connected(world, "publisher").send(publish("t", b"x", 2, 1, message_expiry_interval=100, **properties))
    world.crash(down_s=30)
    (message,) = kept(world).answer()
    assert {name: getattr(message, name) for name in properties} == properties
    assert sorted(message.subscription_ids) == [3, 4]
    assert message.message_expiry_interval == 70


def test_a_client_whose_state_cannot_be_stored_is_promised_nothing_and_begins_anew() -> None:
    world = World()
    client = kept(world)
    client.subscribe("t")
    world.disk.is_prompt = False
    client.send(publish("t", b"x", 2, 1))
    (intake,) = world.disk.waiting
    world.disk.waiting.clear()
    intake.lost()
    world.commit()
    (goodbye,) = client.got()
    assert isinstance(goodbye, DisconnectPacket)
    assert goodbye.reason_code is DisconnectReasonCode.UNSPECIFIED_ERROR
    assert client.is_closed
    world.disk.is_prompt = True
    again = kept(world)
    assert not again.connack.session_present
    again.send(publish("t", b"x", 2, 1))
    assert [type(packet) for packet in again.got()] == [PubRecPacket]
    assert [frame.payload for frame in world.disk.frames] == [b"x"]


def test_a_client_whose_session_cannot_be_stored_gets_no_connack() -> None:
    world = World()
    world.disk.is_prompt = False
    client = Client(world)
    client.send(ConnectPacket("c", session_expiry_interval=3600))
    (intake,) = world.disk.waiting
    intake.lost()
    assert client.got() == []
    assert client.is_closed

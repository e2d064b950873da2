"""Wills: when they are published and when not."""

import pytest
from mqtt5 import DisconnectPacket, DisconnectReasonCode, QoS, SubscribePacket, TopicFilter, Will

from devices.mqtt.codec.codec import Version
from devices.mqtt.server.access import Principal
from tests.mqtt_world import Client, World, connected, publish

both_versions = pytest.mark.parametrize("version", Version)


def will(delay_s: int = 0, qos: int = 1, **more: object) -> Will:
    return Will("will", payload=b"gone", qos=QoS(qos), will_delay_interval=delay_s, **more)  # type: ignore[arg-type]


def watcher(world: World) -> Client:
    client = connected(world, "watcher")
    client.subscribe("will")
    return client


def payloads(client: Client) -> list[bytes]:
    return [message.payload for message in client.answer()]


@pytest.mark.parametrize("qos", [0, 1, 2])
@both_versions
def test_a_lost_connection_publishes_the_will(version: Version, qos: int) -> None:
    world = World()
    watching = watcher(world)
    connected(world, version=version, will=will(qos=qos), principal=Principal("d1", ("#",), ())).drop()
    (message,) = watching.answer()
    assert (message.topic, message.payload, message.qos.value) == ("will", b"gone", qos)
    assert [(frame.topic, frame.device_id) for frame in world.disk.frames] == [("will", "d1")]
    assert world.count("mqtt_will") == 0


@both_versions
def test_disconnect_takes_the_will_away(version: Version) -> None:
    world = World()
    watching = watcher(world)
    connected(world, version=version, will=will()).hang_up()
    assert payloads(watching) == []
    assert world.count("mqtt_will") == 0


@pytest.mark.parametrize(
    "reason",
    [DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE, DisconnectReasonCode.UNSPECIFIED_ERROR],
)
def test_disconnect_with_another_reason_publishes_the_will(reason: DisconnectReasonCode) -> None:
    world = World()
    watching = watcher(world)
    connected(world, will=will()).hang_up(DisconnectPacket(reason_code=reason))
    assert payloads(watching) == [b"gone"]


@both_versions
def test_a_protocol_error_publishes_the_will(version: Version) -> None:
    world = World()
    watching = watcher(world)
    client = connected(world, version=version, will=will())
    client.send(b"\xff\xff")
    client.drop()
    assert payloads(watching) == [b"gone"]


def test_a_will_is_published_once_however_often_the_loss_is_told() -> None:
    world = World()
    watching = watcher(world)
    client = connected(world, will=will())
    client.drop()
    client.drop()
    assert payloads(watching) == [b"gone"]


@both_versions
def test_a_retained_will_is_retained(version: Version) -> None:
    world = World()
    connected(world, version=version, will=will(retain=True)).drop()
    watching = connected(world, "watcher")
    watching.send(SubscribePacket(1, [TopicFilter("will")]))
    (message,) = watching.answer()
    assert message.retain
    assert message.payload == b"gone"


def test_a_will_waits_for_its_delay() -> None:
    world = World()
    watching = watcher(world)
    connected(world, will=will(delay_s=10), expiry_s=100).drop()
    world.later(9)
    assert payloads(watching) == []
    world.later(1)
    assert payloads(watching) == [b"gone"]
    world.later(1000)
    assert payloads(watching) == []


def test_a_client_that_comes_back_in_time_has_no_will_published() -> None:
    world = World()
    watching = watcher(world)
    connected(world, will=will(delay_s=10), expiry_s=100).drop()
    world.later(5)
    connected(world, clean=False, expiry_s=100)
    world.later(100)
    assert payloads(watching) == []
    assert world.count("mqtt_will") == 0


def test_a_delayed_will_is_published_when_the_session_ends_first() -> None:
    world = World()
    watching = watcher(world)
    connected(world, will=will(delay_s=1000), expiry_s=10).drop()
    world.later(10)
    assert payloads(watching) == [b"gone"]
    connected(world, will=will(delay_s=1000), expiry_s=0).drop()
    assert payloads(watching) == [b"gone"]


def test_a_clean_start_ends_the_session_and_so_publishes_the_will() -> None:
    world = World()
    watching = watcher(world)
    connected(world, will=will(delay_s=1000), expiry_s=1000).drop()
    connected(world, clean=True)
    assert payloads(watching) == [b"gone"]


@pytest.mark.parametrize(
    ("delay_s", "clean", "is_published"), [(0, False, True), (0, True, True), (10, False, False), (10, True, True)]
)
def test_a_take_over_publishes_the_will_unless_the_session_goes_on_within_its_delay(
    delay_s: int, clean: bool, is_published: bool
) -> None:
    world = World()
    watching = watcher(world)
    old = connected(world, will=will(delay_s=delay_s), expiry_s=100)
    connected(world, clean=clean, expiry_s=100)
    old.drop()
    world.later(50)
    assert payloads(watching) == [b"gone"] * is_published


def test_the_life_of_a_will_begins_when_it_is_published() -> None:
    world = World()
    watching = watcher(world)
    properties: dict[str, object] = {
        "content_type": "text/plain",
        "response_topic": "answers",
        "correlation_data": b"1",
        "payload_format_indicator": 1,
        "user_properties": [("a", "1")],
    }
    connected(world, will=will(delay_s=10, message_expiry_interval=60, **properties), expiry_s=100).drop()
    world.crash(down_s=1)
    watching = watcher(world)
    world.later(30)
    (message,) = watching.answer()
    assert message.message_expiry_interval == 60
    assert {name: getattr(message, name) for name in properties} == properties


def test_a_crash_publishes_the_wills_of_those_who_do_not_come_back() -> None:
    world = World()
    connected(world, "lost", will=will())
    connected(world, "back", will=will())
    connected(world, "clean", will=will())
    world.crash()
    watching = watcher(world)
    connected(world, "back", clean=False)
    connected(world, "clean", clean=True)
    world.later(2)
    assert payloads(watching) == [b"gone"]
    assert world.count("mqtt_will") == 0


def test_a_delay_goes_on_over_a_crash() -> None:
    world = World()
    connected(world, will=will(delay_s=100), expiry_s=1000).drop()
    world.crash(down_s=10)
    watching = watcher(world)
    world.later(80)
    assert payloads(watching) == []
    world.later(10)
    assert payloads(watching) == [b"gone"]


def test_a_will_that_was_published_is_not_published_again_after_a_crash() -> None:
    world = World()
    connected(world, will=will()).drop()
    world.crash()
    watching = watcher(world)
    world.later(100)
    assert payloads(watching) == []


def test_a_will_whose_publication_was_not_committed_is_published_after_the_crash() -> None:
    world = World()
    client = connected(world, will=will())
    world.disk.is_prompt = False
    client.drop()
    world.crash()
    world.disk.is_prompt = True
    watching = watcher(world)
    world.later(100)
    assert payloads(watching) == [b"gone"]


def test_a_gateway_that_ends_leaves_the_wills_to_its_next_start() -> None:
    world = World()
    connected(world, will=will())
    world.broker.is_stopping = True
    for session in list(world.broker.sessions.values()):
        assert session.connection is not None
        session.connection.close(DisconnectReasonCode.SERVER_SHUTTING_DOWN)
        session.connection.lost()
    world.commit()
    assert world.disk.frames == []
    world.crash()
    watching = watcher(world)
    world.later(100)
    assert payloads(watching) == [b"gone"]


def test_a_will_reaches_a_session_whose_client_is_away() -> None:
    world = World()
    away = connected(world, "away", expiry_s=1000)
    away.subscribe("will")
    away.drop()
    connected(world, will=will()).drop()
    world.crash()
    assert payloads(connected(world, "away", clean=False, expiry_s=1000)) == [b"gone"]


def test_a_new_will_replaces_the_one_before() -> None:
    world = World()
    watching = watcher(world)
    connected(world, will=will(delay_s=10), expiry_s=100).drop()
    connected(world, clean=False, expiry_s=100, will=Will("will", payload=b"second", qos=QoS.AT_LEAST_ONCE)).drop()
    world.later(100)
    assert payloads(watching) == [b"second"]
    connected(world, "p").send(publish("will", b"end"))
    assert payloads(watching) == [b"end"]

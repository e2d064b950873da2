"""CONNECT, acknowledgements behind the commit, refusals and the end of a connection."""

import mqtt5
import pytest
from mqtt5 import (
    AuthPacket,
    AuthReasonCode,
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PubAckReasonCode,
    PubCompPacket,
    PubCompReasonCode,
    PublishPacket,
    PubRecPacket,
    PubRecReasonCode,
    PubRelPacket,
    QoS,
    SubAckPacket,
    SubscribePacket,
    TopicFilter,
    UnsubAckPacket,
    UnsubscribePacket,
    Will,
)

from devices.frame import Presence, Refusal
from devices.mqtt.codec.codec import Version
from devices.mqtt.server.access import Principal
from tests.mqtt_world import Client, World, connected, publish

both_versions = pytest.mark.parametrize("version", Version)
OWN = Principal("d1", ("sg/d1/#",), ("sg/d1/cmd/#",))


@both_versions
def test_a_client_is_let_in_and_answered(version: Version) -> None:
    client = connected(World(), version=version)
    assert client.connack.reason_code is ConnAckReasonCode.SUCCESS
    assert not client.connack.session_present
    client.send(PingReqPacket())
    client.one(PingRespPacket)


def test_a_client_that_has_no_room_for_connack_gets_nothing_and_leaves_no_session() -> None:
    world = World()
    client = Client(world)
    client.send(ConnectPacket("", clean_start=True, session_expiry_interval=60, max_packet_size=20))
    assert client.got() == []
    assert client.is_closed
    assert not world.broker.sessions
    assert world.count("mqtt_session") == 0


@pytest.mark.parametrize(("packet_max", "count"), [(5, 1), (4, 0)])
def test_a_refusal_is_not_sent_to_a_client_that_has_no_room_for_it(packet_max: int, count: int) -> None:
    client = Client(World(), principal=None)
    client.send(ConnectPacket("c", username="who", max_packet_size=packet_max))
    assert len(client.all(ConnAckPacket)) == count
    assert client.is_closed


@both_versions
def test_an_unknown_client_is_refused_and_audited(version: Version) -> None:
    world = World()
    client = Client(world, version, principal=None)
    client.send(ConnectPacket("c", username="who", password=b"x"))
    assert client.one(ConnAckPacket).reason_code is ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD
    assert client.is_closed
    assert world.disk.events == [Refusal("client:192.0.2.7", "sign_in_failed", "who", world.now_us)]
    assert world.broker.counters.sign_ins_failed_total == 1


@both_versions
def test_a_client_without_credentials_is_told_that_it_may_not(version: Version) -> None:
    client = Client(World(), version, principal=None)
    client.send(ConnectPacket("c"))
    assert client.one(ConnAckPacket).reason_code is ConnAckReasonCode.NOT_AUTHORIZED


def test_version_5_assigns_a_client_id_to_a_client_without_one() -> None:
    world = World()
    for clean in (True, False):
        client = connected(world, "", clean=clean)
        assert client.connack.assigned_client_id
    assert len({session.client_id for session in world.broker.sessions.values()}) == 2


def test_version_311_takes_no_client_id_only_with_a_clean_session() -> None:
    world = World()
    connected(world, "", Version.V311)
    client = Client(world, Version.V311)
    client.send(ConnectPacket("", clean_start=False))
    assert client.one(ConnAckPacket).reason_code is ConnAckReasonCode.CLIENT_ID_NOT_VALID


@both_versions
def test_a_client_id_may_be_long_but_not_endless(version: Version) -> None:
    world = World()
    assert connected(world, "c" * 256, version).connack.reason_code is ConnAckReasonCode.SUCCESS
    client = Client(world, version)
    client.send(ConnectPacket("c" * 257, clean_start=True))
    assert client.one(ConnAckPacket).reason_code is ConnAckReasonCode.CLIENT_ID_NOT_VALID


def test_connack_says_what_the_server_takes() -> None:
    client = connected(World(receive_max=7, topic_alias_max=3, max_packet_bytes=5000, session_expiry_max_s=100))
    assert client.connack.receive_max == 7
    assert client.connack.topic_alias_max == 3
    assert client.connack.max_packet_size == 5000
    assert client.connack.session_expiry_interval is None
    assert client.connack.server_keep_alive is None


@pytest.mark.parametrize(("asked", "given"), [(0, 100), (101, 100), (100, None), (5, None)])
def test_version_5_is_told_the_keep_alive_it_gets(asked: int, given: int | None) -> None:
    client = connected(World(max_keep_alive_s=100), keep_alive=asked)
    assert client.connack.server_keep_alive == given
    assert client.connection.keep_alive_s == (given or asked)


def test_version_311_keeps_the_keep_alive_it_asked_for() -> None:
    world = World(max_keep_alive_s=100)
    assert connected(world, version=Version.V311, keep_alive=0).connection.keep_alive_s == 0
    assert connected(world, version=Version.V311, keep_alive=1000).connection.keep_alive_s == 1000


def test_a_session_longer_than_allowed_is_cut_and_said_so() -> None:
    client = connected(World(session_expiry_max_s=100), expiry_s=0xFFFF_FFFF)
    assert client.connack.session_expiry_interval == 100


def test_an_authentication_method_is_refused() -> None:
    client = Client(World())
    client.send(ConnectPacket("c", authentication_method="SCRAM", authentication_data=b"1"))
    assert client.one(ConnAckPacket).reason_code is ConnAckReasonCode.BAD_AUTHENTICATION_METHOD


def test_auth_out_of_nowhere_is_a_protocol_error() -> None:
    client = connected(World())
    client.send(AuthPacket(reason_code=AuthReasonCode.RE_AUTHENTICATE, authentication_method="SCRAM"))
    assert client.one(DisconnectPacket).reason_code is DisconnectReasonCode.PROTOCOL_ERROR


@both_versions
def test_a_second_connect_ends_the_connection(version: Version) -> None:
    client = connected(World(), version=version)
    client.send(ConnectPacket("c"))
    assert client.is_closed
    if version is Version.V5:
        assert client.one(DisconnectPacket).reason_code is DisconnectReasonCode.PROTOCOL_ERROR
    else:
        assert client.got() == []


@both_versions
def test_a_malformed_packet_closes_that_connection_and_touches_nothing_else(version: Version) -> None:
    world = World()
    other = connected(world, "other", version)
    other.subscribe("t")
    client = connected(world, version=version)
    client.send(publish("t", b"before", 1, 1), b"\x36\x00")  # PUBLISH with QoS 3
    assert client.is_closed
    if version is Version.V5:
        assert client.one(DisconnectPacket).reason_code is DisconnectReasonCode.MALFORMED_PACKET
    else:
        assert client.got() == []
    client.drop()
    assert [message.payload for message in other.answer()] == [b"before"]
    assert not other.is_closed
    assert world.broker.counters.packet_errors_total == 1


@both_versions
def test_an_acknowledgement_leaves_after_the_commit_and_not_before(version: Version) -> None:
    world = World()
    client = connected(world, version=version)
    world.disk.is_prompt = False
    client.send(publish("t", b"1", 1, 7), publish("t", b"2", 2, 8), publish("t", b"3", 1, 9))
    assert client.got() == []
    world.commit()
    assert client.got() == [PubAckPacket(7), PubAckPacket(9), PubRecPacket(8)]
    assert [frame.payload for frame in world.disk.frames] == [b"1", b"2", b"3"]
    client.send(PubRelPacket(8))
    assert client.got() == []
    world.commit()
    client.one(PubCompPacket)


@both_versions
def test_nothing_is_acknowledged_to_a_peer_that_has_gone(version: Version) -> None:
    world = World()
    client = connected(world, version=version)
    world.disk.is_prompt = False
    client.send(publish("t", b"1", 1, 7))
    client.drop()
    client.drop()
    world.commit()
    assert client.got() == []
    assert [frame.payload for frame in world.disk.frames] == [b"1"]
    assert world.broker.sessions == {}


@both_versions
def test_frames_carry_who_signed_in_and_when_they_came(version: Version) -> None:
    world = World()
    client = connected(world, version=version, principal=OWN)
    world.now_us += 5
    client.send(publish("sg/d1/telemetry", b"{}", 0))
    (frame,) = world.disk.frames
    assert (frame.topic, frame.device_id, frame.received_us) == ("sg/d1/telemetry", "d1", world.now_us)
    assert not frame.is_retained


def test_a_refused_message_is_answered_in_its_place_and_stored_nowhere() -> None:
    world = World()
    client = connected(world, principal=OWN)
    world.disk.is_prompt = False
    client.send(
        publish("sg/d1/a", b"1", 1, 1),
        publish("sg/d2/a", b"2", 1, 2),
        publish("sg/d1/a", b"3", 1, 3),
        publish("sg/d2/a", b"4", 2, 4),
    )
    assert client.got() == []
    world.commit()
    assert client.got() == [
        PubAckPacket(1),
        PubAckPacket(2, reason_code=PubAckReasonCode.NOT_AUTHORIZED),
        PubAckPacket(3),
        PubRecPacket(4, reason_code=PubRecReasonCode.NOT_AUTHORIZED),
    ]
    assert [frame.payload for frame in world.disk.frames] == [b"1", b"3"]
    assert world.broker.counters.refused_topics_total == 2
    assert Refusal("device:d1", "publish_refused", "sg/d2/a", world.now_us) in world.disk.events


def test_version_311_is_not_told_of_a_refusal() -> None:
    world = World()
    client = connected(world, version=Version.V311, principal=OWN)
    client.send(publish("sg/d2/a", b"1", 1, 1), publish("sg/d2/a", b"2", 2, 2))
    assert client.got() == [PubAckPacket(1), PubRecPacket(2)]
    client.send(PubRelPacket(2))
    client.one(PubCompPacket)
    assert world.disk.frames == []


def test_a_storm_of_refusals_is_counted_in_full_and_noted_in_part() -> None:
    world = World()
    client = connected(world, principal=OWN)
    client.send(*(publish(f"other/{number}") for number in range(1000)))
    assert world.broker.counters.refused_topics_total == 1000
    assert 1 <= len([event for event in world.disk.events if isinstance(event, Refusal)]) <= 20


def test_more_than_receive_maximum_in_flight_ends_the_connection() -> None:
    world = World(receive_max=3)
    client = connected(world)
    client.send(*(publish("t", b"x", 2, number) for number in (1, 2, 3)))
    client.send(PubRelPacket(2))
    client.got()
    client.send(publish("t", b"x", 1, 9))
    client.one(PubAckPacket)
    client.send(publish("t", b"x", 2, 4))
    client.one(PubRecPacket)
    client.send(publish("t", b"x", 1, 5))
    assert client.one(DisconnectPacket).reason_code is DisconnectReasonCode.RECEIVE_MAX_EXCEEDED


def test_version_311_has_no_receive_maximum() -> None:
    client = connected(World(receive_max=3), version=Version.V311)
    client.send(*(publish("t", b"x", 2, number) for number in range(1, 11)))
    assert len(client.all(PubRecPacket)) == 10


@both_versions
def test_a_repeated_qos_2_message_is_stored_once(version: Version) -> None:
    world = World()
    client = connected(world, version=version)
    client.send(publish("t", b"1", 2, 5))
    client.send(publish("t", b"1", 2, 5, duplicate=True))
    assert client.got() == [PubRecPacket(5), PubRecPacket(5)]
    client.send(PubRelPacket(5))
    client.one(PubCompPacket)
    client.send(publish("t", b"2", 2, 5))
    client.one(PubRecPacket)
    assert [frame.payload for frame in world.disk.frames] == [b"1", b"2"]


@both_versions
def test_pubrec_of_a_repetition_waits_for_the_commit_of_the_first(version: Version) -> None:
    world = World()
    client = connected(world, version=version)
    world.disk.is_prompt = False
    client.send(publish("t", b"1", 2, 5))
    client.send(publish("t", b"1", 2, 5, duplicate=True))
    assert client.got() == []
    world.commit()
    assert client.got() == [PubRecPacket(5), PubRecPacket(5)]
    assert len(world.disk.frames) == 1


def test_pubrel_of_an_unknown_id_is_answered_with_its_reason() -> None:
    client = connected(World())
    client.send(PubRelPacket(5))
    assert client.one(PubCompPacket).reason_code is PubCompReasonCode.PACKET_ID_NOT_FOUND


def test_a_topic_alias_stands_for_its_topic_until_it_is_set_anew() -> None:
    world = World()
    client = connected(world)
    client.send(
        publish("a", b"1", topic_alias=1),
        publish("", b"2", topic_alias=1),
        publish("b", b"3", topic_alias=1),
        publish("", b"4", topic_alias=1),
    )
    assert [frame.topic for frame in world.disk.frames] == ["a", "a", "b", "b"]


def test_topic_aliases_end_with_the_connection() -> None:
    world = World()
    connected(world, expiry_s=100).send(publish("a", topic_alias=1))
    client = connected(world, clean=False, expiry_s=100)
    client.send(publish("", topic_alias=1))
    assert client.one(DisconnectPacket).reason_code is DisconnectReasonCode.PROTOCOL_ERROR


def test_a_topic_alias_above_the_maximum_is_invalid() -> None:
    client = connected(World(topic_alias_max=2))
    client.send(publish("a", topic_alias=2))
    assert client.got() == []
    client.send(publish("a", topic_alias=3))
    assert client.one(DisconnectPacket).reason_code is DisconnectReasonCode.TOPIC_ALIAS_INVALID


def test_a_payload_that_is_not_the_text_it_says_is_refused() -> None:
    world = World()
    client = connected(world)
    client.send(
        publish("t", b"\xff", 1, 1, payload_format_indicator=1),
        publish("t", b"\xff", 2, 2, payload_format_indicator=1),
        publish("t", b"\xff", 1, 3, payload_format_indicator=0),
        publish("t", "ä".encode(), 1, 4, payload_format_indicator=1),
    )
    assert client.got() == [
        PubAckPacket(1, reason_code=PubAckReasonCode.PAYLOAD_FORMAT_INVALID),
        PubRecPacket(2, reason_code=PubRecReasonCode.PAYLOAD_FORMAT_INVALID),
        PubAckPacket(3),
        PubAckPacket(4),
    ]
    assert len(world.disk.frames) == 2


@both_versions
def test_subscribing_is_answered_filter_by_filter(version: Version) -> None:
    world = World()
    client = connected(world, version=version, principal=OWN)
    codes = client.subscribe("sg/d1/cmd/#", "#", "sg/d1/cmd/reboot", qos=1)
    assert codes == [1, 0x87 if version is Version.V5 else 0x80, 1]
    assert [subscription for session in world.broker.sessions.values() for subscription in session.subscriptions] == [
        "sg/d1/cmd/#",
        "sg/d1/cmd/reboot",
    ]


def test_unsubscribing_is_answered_filter_by_filter() -> None:
    client = connected(World())
    client.subscribe("a", "b")
    client.send(UnsubscribePacket(3, ["a", "c", "a"]))
    unsuback = client.one(UnsubAckPacket)
    assert [code.value for code in unsuback.reason_codes] == [0, 0x11, 0x11]
    client.send(publish("a"), publish("b"))
    assert [message.topic for message in client.answer()] == ["b"]


@both_versions
def test_a_kept_subscription_is_acknowledged_after_its_commit(version: Version) -> None:
    world = World()
    client = connected(world, version=version, clean=False, expiry_s=100)
    world.disk.is_prompt = False
    client.send(SubscribePacket(4, [TopicFilter("t", retain_as_published=False)]))
    assert client.got() == []
    world.commit()
    assert client.one(SubAckPacket).packet_id == 4


@both_versions
def test_nothing_overtakes_connack(version: Version) -> None:
    world = World()
    world.disk.is_prompt = False
    client = Client(world, version)
    client.send(
        ConnectPacket("c", session_expiry_interval=100),
        PingReqPacket(),
        SubscribePacket(1, [TopicFilter("t", retain_as_published=False)]),
        publish("t", b"1", 1, 2),
    )
    assert client.got() == []
    assert client.pauses == 1  # nothing more is read until then
    world.commit()
    assert client.pauses == 0
    kinds = [type(packet) for packet in client.got()]
    assert kinds[:2] == [ConnAckPacket, PingRespPacket]
    assert set(kinds[2:]) == {SubAckPacket, PubAckPacket, PublishPacket}


def test_a_client_that_fails_before_its_connack_gets_a_connack_with_the_reason() -> None:
    world = World()
    world.disk.is_prompt = False
    client = Client(world)
    client.send(ConnectPacket("c", session_expiry_interval=100), b"\x36\x00")
    assert client.one(ConnAckPacket).reason_code is ConnAckReasonCode.MALFORMED_PACKET
    world.commit()
    assert client.got() == []


def test_a_client_that_is_taken_over_before_its_connack_gets_none() -> None:
    world = World()
    world.disk.is_prompt = False
    one = Client(world)
    one.send(ConnectPacket("c", session_expiry_interval=100))
    two = Client(world)
    two.send(ConnectPacket("c", session_expiry_interval=100))
    world.commit()
    assert one.is_closed
    assert one.got() == []
    assert two.one(ConnAckPacket).session_present


@both_versions
def test_a_client_id_that_connects_again_takes_over(version: Version) -> None:
    world = World()
    old = connected(world, version=version)
    connected(world, version=version)
    assert old.is_closed
    if version is Version.V5:
        assert old.one(DisconnectPacket).reason_code is DisconnectReasonCode.SESSION_TAKEN_OVER
    else:
        assert old.got() == []
    old.drop()
    assert len(world.broker.sessions) == 1


def test_a_client_id_alone_does_not_open_another_devices_session() -> None:
    world = World()
    one = connected(world, "c", principal=Principal("d1", (), ()))
    two = connected(world, "c", principal=Principal("d2", (), ()))
    assert not one.is_closed
    assert not two.is_closed


def test_a_device_is_online_from_its_first_connection_to_its_last() -> None:
    world = World()
    one = connected(world, "one", principal=OWN)
    two = connected(world, "two", principal=OWN)
    one.drop()
    two.hang_up()
    two.drop()
    assert [event for event in world.disk.events if isinstance(event, Presence)] == [
        Presence("d1", is_online=True, at_us=world.now_us),
        Presence("d1", is_online=False, at_us=world.now_us),
    ]


def test_disconnect_may_not_give_life_to_a_session_that_had_none() -> None:
    client = connected(World())
    client.send(DisconnectPacket(session_expiry_interval=10))
    assert client.one(DisconnectPacket).reason_code is DisconnectReasonCode.PROTOCOL_ERROR


@both_versions
def test_nothing_is_handled_after_disconnect(version: Version) -> None:
    world = World()
    client = connected(world, version=version)
    client.send(DisconnectPacket(), publish("t", b"late", 1, 1))
    client.send(publish("t", b"later", 1, 1))
    assert client.is_closed
    assert client.got() == []
    assert world.disk.frames == []


@both_versions
def test_the_server_says_why_it_closes_where_the_protocol_can(version: Version) -> None:
    client = connected(World(), version=version)
    client.connection.close(DisconnectReasonCode.SERVER_SHUTTING_DOWN)
    client.connection.close(DisconnectReasonCode.UNSPECIFIED_ERROR)
    packets = client.got()
    if version is Version.V5:
        assert packets == [DisconnectPacket(reason_code=DisconnectReasonCode.SERVER_SHUTTING_DOWN)]
    else:
        assert packets == []


def test_a_will_that_may_not_be_published_is_refused_with_its_client() -> None:
    world = World()
    client = Client(world, principal=OWN)
    client.send(ConnectPacket("c", will=Will("sg/d2/status", payload=b"offline")))
    assert client.one(ConnAckPacket).reason_code is ConnAckReasonCode.NOT_AUTHORIZED
    assert world.broker.sessions == {}
    client = Client(world, principal=OWN)
    client.send(ConnectPacket("c", will=Will("sg/d1/status", payload=b"\xff", payload_format_indicator=1)))
    assert client.one(ConnAckPacket).reason_code is ConnAckReasonCode.PAYLOAD_FORMAT_INVALID


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@both_versions
def test_packets_may_come_in_any_pieces(version: Version, size: int) -> None:
    world = World()
    client = Client(world, version)
    data = b"".join(
        client._write(packet)
        for packet in (
            ConnectPacket("c", clean_start=True),
            SubscribePacket(1, [TopicFilter("t", retain_as_published=False)]),
            publish("t", b"x" * 300, 2, 3),
        )
    )
    whole = [client.connection.receive(data[at : at + size], world.now_us) for at in range(0, len(data), size)]
    world.commit()
    kinds = [type(packet) for packet in client.got()]
    assert kinds == [ConnAckPacket, SubAckPacket, PubRecPacket, PublishPacket]
    assert sum(whole) == 3  # only a whole packet keeps a client alive


def test_a_packet_above_the_limit_is_refused_by_its_header() -> None:
    client = connected(World(max_packet_bytes=1000))
    client.send(b"\x30\x80\x40")
    assert client.one(DisconnectPacket).reason_code is DisconnectReasonCode.PACKET_TOO_LARGE


def test_an_unsupported_version_is_told_so() -> None:
    client = Client(World(), Version.V311)
    client.send(b"\x10\x0d\x00\x04MQTT\x03\x02\x00\x3c\x00\x01c")
    assert client.one(ConnAckPacket).reason_code is ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION
    client = Client(World())
    client.send(b"\x10\x0e\x00\x04MQTT\x06\x02\x00\x3c\x00\x00\x01c")
    assert client.one(ConnAckPacket).reason_code is ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION


def test_qos_values_are_those_of_the_library() -> None:
    assert publish("t", qos=2, packet_id=1).qos is QoS.EXACTLY_ONCE  # the door tells them apart by identity
    packet, _ = mqtt5.read(memoryview(publish("t", qos=2, packet_id=1).write()))
    assert isinstance(packet, PublishPacket)
    assert packet.qos is QoS.EXACTLY_ONCE


def test_what_a_bridge_of_version_311_publishes_does_not_come_back_to_it_and_the_rest_stays_marked_retained() -> None:
    world = World()
    bridge = Client(world, Version.V311)
    bridge.send(b"\x10\x12\0\4MQTT\x84\0\0\0\0\6bridge")
    assert bridge.one(ConnAckPacket).reason_code is ConnAckReasonCode.SUCCESS
    assert bridge.subscribe("t", "$share/pool/s") == [2, 2]
    bridge.send(publish("t", b"own"))
    assert bridge.got() == []
    bridge.send(publish("s", b"own"))  # no local is none of shared subscriptions [MQTT-3.8.3-4]
    assert bridge.one(PublishPacket).payload == b"own"
    world.crash()
    bridge = Client(world, Version.V311)
    bridge.send(b"\x10\x12\0\4MQTT\x84\0\0\0\0\6bridge")
    bridge.got()
    bridge.send(publish("t", b"own"))
    connected(world, "other").send(publish("t", b"other", retain=True))
    message = bridge.one(PublishPacket)
    assert (message.payload, message.retain) == (b"other", True)


@both_versions
def test_the_will_of_a_bridge_that_may_not_have_it_is_dropped_and_counted(version: Version) -> None:
    world = World()
    topic = "$SYS/broker/connection/c/state"
    client = connected(world, version=version, principal=OWN, will=Will(topic, payload=b"0", retain=True))
    assert client.connack.reason_code is ConnAckReasonCode.SUCCESS
    assert world.broker.counters.refused_topics_total == 1
    client.send(publish(topic, b"1", 1, 1, retain=True))
    assert client.one(PubAckPacket).packet_id == 1
    assert world.broker.counters.refused_topics_total == 2
    client.drop()
    assert world.disk.frames == []
    assert len(world.broker.retained) == 0

"""The payload format indicator on its way through: none, 0 and 1 come out as they came in [MQTT-3.3.2-4].

The library `mqtt5` reads 0 and none alike, so packets are bytes here.
"""

import pytest
from mqtt5 import DisconnectPacket, DisconnectReasonCode

from devices.mqtt.codec.codec import Version
from devices.mqtt.server.message import NO_PROPERTIES, Properties, decode_properties, encode_properties
from tests.mqtt_world import Client, World, connected

NONE, BYTES, TEXT = b"", b"\1\0", b"\1\1"
CONTENT_TYPE = b"\3\0\1j"
as_told = pytest.mark.parametrize("told", [NONE, BYTES, TEXT], ids=["none", "0", "1"])
beside = pytest.mark.parametrize("more", [b"", CONTENT_TYPE], ids=["alone", "with another"])


def publish(properties: bytes, qos: int = 0, *, is_retain: bool = False, packet_id: int = 1) -> bytes:
    identifier = packet_id.to_bytes(2, "big") if qos else b""
    body = b"\0\1t" + identifier + bytes((len(properties),)) + properties + b"payload"
    return bytes((0x30 | qos << 1 | is_retain, len(body))) + body


def properties_in(data: bytes) -> bytes:
    """The list of properties of the single PUBLISH to `t` that `data` is."""
    assert len(data) == 2 + data[1], "one packet"
    assert data.endswith(b"payload")
    at = 5 + (2 if data[0] & 6 else 0)
    return data[at + 1 : at + 1 + data[at]]


def subscriber(world: World) -> Client:
    client = connected(world, "subscriber", clean=False, expiry_s=1000)
    if not client.connack.session_present:
        client.subscribe("t")
    return client


@as_told
@beside
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_keeps_its_indicator(qos: int, more: bytes, told: bytes) -> None:
    world = World()
    client = subscriber(world)
    publisher = connected(world, "publisher")
    for packet_id in range(1, 4):  # the second time its properties are known
        publisher.send(publish(more + told, qos, packet_id=packet_id))
        assert properties_in(client.connection.data_to_send()) == told + more


@as_told
@beside
def test_a_queued_message_keeps_its_indicator_over_a_crash(more: bytes, told: bytes) -> None:
    world = World()
    subscriber(world).drop()
    connected(world, "publisher").send(publish(told + more, 1))
    world.crash()
    client = Client(world)
    client.send(b"\x10\x1c\0\4MQTT\5\0\0\0\5\x11\0\0\0\x63\0\nsubscriber")
    data = client.connection.data_to_send()
    assert properties_in(data[2 + data[1] :]) == told + more  # behind CONNACK


@as_told
@beside
def test_a_retained_message_keeps_its_indicator_over_a_crash(more: bytes, told: bytes) -> None:
    world = World()
    connected(world, "publisher").send(publish(told + more, 1, is_retain=True))
    world.crash()
    client = connected(world, "late")
    client.send(b"\x82\7\0\1\0\0\1t\0")
    data = client.connection.data_to_send()
    assert properties_in(data[2 + data[1] :]) == told + more  # behind SUBACK


@as_told
@beside
@pytest.mark.parametrize("is_crash", [False, True], ids=["lost", "crash"])
def test_a_will_keeps_its_indicator(is_crash: bool, more: bytes, told: bytes) -> None:
    world = World()
    client = subscriber(world)
    will = bytes((len(told + more),)) + told + more + b"\0\1t\0\7payload"
    connect = b"\0\4MQTT\5\6\0\0\0\0\1w" + will
    dying = Client(world)
    dying.send(bytes((0x10, len(connect))) + connect)
    if is_crash:
        world.crash()
        client = subscriber(world)
        world.later(2)
    else:
        dying.drop()
    assert properties_in(client.connection.data_to_send()) == told + more


def test_an_indicator_of_0_says_nothing_of_the_payload_and_2_is_no_indicator() -> None:
    world = World()
    client = connected(world)
    client.send(b"\x30\7\0\1t\2\1\0\xff")
    assert [frame.payload for frame in world.disk.frames] == [b"\xff"]
    client.send(b"\x30\7\0\1t\2\1\2\xff")
    assert client.got() == [DisconnectPacket(reason_code=DisconnectReasonCode.PROTOCOL_ERROR)]


def test_version_311_gets_the_payload_alone() -> None:
    world = World()
    client = connected(world, "subscriber", Version.V311)
    client.subscribe("t")
    connected(world, "publisher").send(publish(BYTES))
    assert client.connection.data_to_send() == b"\x30\x0a\0\1tpayload"


def test_rows_of_before_say_nothing_of_a_0() -> None:
    assert decode_properties(b"\x95\0\xa4json\xc0\xc0\x90") == Properties(content_type="json")
    assert decode_properties(b"\x95\1\xc0\xc0\xc0\x90") == Properties(1)
    assert decode_properties(b"") is NO_PROPERTIES
    told = Properties(is_told_unspecified=True)
    assert decode_properties(encode_properties(told)) == told

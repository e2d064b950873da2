"""What a CONNECT is answered, as a value; how it is sent is in test_mqtt_connection.py."""

import pytest
from mqtt5 import ConnAckReasonCode, ConnectPacket, Will

from devices.mqtt.codec.codec import Version
from devices.mqtt.server import handshake
from devices.mqtt.server.access import Principal
from devices.mqtt.server.handshake import UNLIMITED, Accepted, Refused
from devices.mqtt.server.limits import Limits

LIMITS = Limits(receive_max=10, max_inflight=20, topic_alias_max=5, max_keep_alive_s=100, session_expiry_max_s=1000)
DEVICE = Principal("d1", ("sg/d1/#",), ("sg/d1/cmd/#",))


def answer(
    packet: ConnectPacket, version: Version = Version.V5, principal: Principal | None = DEVICE
) -> Accepted | Refused:
    return handshake.answer(packet, version, lambda _user, _secret: principal, LIMITS)


@pytest.mark.parametrize(
    ("packet", "principal", "expected"),
    [
        (
            ConnectPacket("x" * 257, authentication_method="SCRAM"),
            None,
            Refused(ConnAckReasonCode.BAD_AUTHENTICATION_METHOD),
        ),
        (
            ConnectPacket("x" * 257, username="d1"),
            None,
            Refused(ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD, None, "sign_in_failed", "d1"),
        ),
        (
            ConnectPacket("x" * 257, will=Will("other", payload=b"")),
            DEVICE,
            Refused(ConnAckReasonCode.CLIENT_ID_NOT_VALID, DEVICE),
        ),
        (
            ConnectPacket("c", will=Will("other", payload=b"\xff", payload_format_indicator=1)),
            DEVICE,
            Refused(ConnAckReasonCode.NOT_AUTHORIZED, DEVICE, "will_refused", "other"),
        ),
        (
            ConnectPacket("c", will=Will("sg/d1/gone", payload=b"\xff", payload_format_indicator=1)),
            DEVICE,
            Refused(ConnAckReasonCode.PAYLOAD_FORMAT_INVALID, DEVICE),
        ),
    ],
    ids=["method", "sign-in", "client id", "will", "payload of the will"],
)
def test_the_first_reason_not_to_serve_a_client_is_the_answer(
    packet: ConnectPacket, principal: Principal | None, expected: Refused
) -> None:
    assert answer(packet, principal=principal) == expected


def test_version_5_gets_what_both_sides_can_take() -> None:
    packet = ConnectPacket(
        "c",
        clean_start=True,
        session_expiry_interval=5000,
        keep_alive=500,
        receive_max=7,
        topic_alias_max=9,
        max_packet_size=300,
    )
    accepted = answer(packet)
    assert isinstance(accepted, Accepted)
    assert (accepted.expiry_s, accepted.told_expiry_s) == (1000, 1000)
    assert (accepted.keep_alive_s, accepted.server_keep_alive_s) == (100, 100)
    assert (accepted.receive_max, accepted.send_max, accepted.alias_max, accepted.packet_max) == (10, 7, 5, 300)


def test_version_311_is_bound_by_nothing_that_it_cannot_be_told() -> None:
    accepted = answer(ConnectPacket("c", clean_start=True, keep_alive=500), Version.V311)
    assert isinstance(accepted, Accepted)
    assert (accepted.keep_alive_s, accepted.server_keep_alive_s) == (500, None)
    assert (accepted.receive_max, accepted.send_max) == (UNLIMITED, 20)
    assert (accepted.alias_max, accepted.packet_max) == (0, None)


def test_the_same_client_id_of_two_devices_names_two_sessions() -> None:
    keys = set()
    for principal in (DEVICE, Principal("d2", (), ()), Principal(None, (), ())):
        accepted = answer(ConnectPacket("c"), principal=principal)
        assert isinstance(accepted, Accepted)
        keys.add(accepted.session_key)
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("packet_max", "told"),
    [
        (16, (1 << 20, 10, 5)),
        (15, (1 << 20, 10, 0)),
        (13, (1 << 20, 10, 0)),
        (12, (1 << 20, 65_535, 0)),
        (10, (1 << 20, 65_535, 0)),
        (9, (None, 65_535, 0)),
        (5, (None, 65_535, 0)),
    ],
)
def test_connack_leaves_out_what_the_client_has_no_room_for(packet_max: int, told: tuple[int | None, int, int]) -> None:
    accepted = answer(ConnectPacket("c", keep_alive=60, max_packet_size=packet_max))
    assert isinstance(accepted, Accepted)
    connack = accepted.connack(LIMITS, is_present=True)
    assert (connack.max_packet_size, connack.receive_max, connack.topic_alias_max) == told
    assert accepted.receive_max == connack.receive_max
    assert len(connack.write()) <= packet_max


def test_what_the_client_must_be_told_is_never_left_out() -> None:
    packet = ConnectPacket("", keep_alive=500, session_expiry_interval=5000, clean_start=True, max_packet_size=49)
    accepted = answer(packet)
    assert isinstance(accepted, Accepted)
    connack = accepted.connack(LIMITS, is_present=False)
    assert connack.assigned_client_id == accepted.client_id
    assert (connack.server_keep_alive, connack.session_expiry_interval) == (100, 1000)
    assert len(connack.write()) <= 49


@pytest.mark.parametrize(
    "packet",
    [ConnectPacket("", keep_alive=60, max_packet_size=20), ConnectPacket("c", keep_alive=60, max_packet_size=4)],
    ids=["assigned client id", "anything"],
)
def test_a_client_that_has_no_room_for_connack_gets_none(packet: ConnectPacket) -> None:
    assert answer(packet) == Refused(None, DEVICE)


STATE = Will("$SYS/broker/connection/c/state", payload=b"0", retain=True)


@pytest.mark.parametrize("version", Version)
def test_a_bridge_is_served_without_the_will_that_it_may_not_have(version: Version) -> None:
    accepted = answer(ConnectPacket("c", will=STATE), version)
    assert isinstance(accepted, Accepted)
    assert (accepted.will, accepted.is_will_dropped) == (None, True)


def test_a_bridge_keeps_its_will_where_that_is_granted() -> None:
    granted = Principal("d1", ("$SYS/broker/connection/#",), ())
    accepted = answer(ConnectPacket("c", will=STATE), principal=granted)
    assert isinstance(accepted, Accepted)
    assert accepted.will is not None
    assert not accepted.is_will_dropped


@pytest.mark.parametrize(
    ("client_id", "principal"),
    [("another", DEVICE), ("c", Principal(None, ("#",), ("#",)))],
    ids=["of another client", "without a sign-in"],
)
def test_any_other_will_below_sys_is_refused(client_id: str, principal: Principal) -> None:
    refused = answer(ConnectPacket(client_id, will=STATE), principal=principal)
    assert refused == Refused(ConnAckReasonCode.NOT_AUTHORIZED, principal, "will_refused", STATE.topic)

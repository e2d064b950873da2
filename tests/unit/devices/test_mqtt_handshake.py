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

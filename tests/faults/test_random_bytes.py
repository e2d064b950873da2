"""Random bytes at the door: no exception escapes, and other sessions do not notice.

Most cases go to the door without sockets, some hundreds to the running program. A conversation is made from one string
of random bytes: it chooses the packets and what is done to them, so that Hypothesis can shrink it well.
"""

import random
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import mqtt5
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mqtt5 import (
    AuthPacket,
    ConnectPacket,
    DisconnectPacket,
    PingReqPacket,
    PubAckPacket,
    PubCompPacket,
    PublishPacket,
    PubRecPacket,
    PubRelPacket,
    QoS,
    SubscribePacket,
    TopicFilter,
    UnsubscribePacket,
    Will,
)

from devices.mqtt.codec.codec import Version
from devices.mqtt.server.access import Principal
from tests.faults.door_without_sockets import EVERYTHING, Line, SocketlessDoor, assert_whole_packets
from tests.faults.fault_figures import MIB, mistakes, resident_bytes
from tests.faults.rounds import ROUNDS
from tests.faults.wire_client import WireClient
from tests.gateway_process import GatewayProcess
from tests.mqtt_world import Packet, write_311

BYTES_CASES = max(2_000, 120 * ROUNDS)
PACKETS_CASES = max(5_000, 300 * ROUNDS)
SOCKET_CASES = 8 * ROUNDS
LIMIT_S = 300 + 20 * ROUNDS

FAST = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


def publish(topic: str, qos: int, packet_id: int, payload: bytes = b"x", **more: object) -> PublishPacket:
    return PublishPacket(topic, payload, qos=QoS(qos), packet_id=packet_id if qos else None, **more)  # type: ignore[arg-type]


def subscribe(packet_id: int, *filters: str, qos: int = 2, **more: object) -> SubscribePacket:
    entries = [TopicFilter(entry, max_qos=QoS(qos), no_local=False) for entry in filters]
    return SubscribePacket(packet_id, entries, **more)  # type: ignore[arg-type]


TOPICS = ("a", "a/b", "quiet/please")
ANSWERS = (PubAckPacket, PubRecPacket, PubRelPacket, PubCompPacket)
BOTH: Sequence[Packet] = (
    *(publish(topic, qos, packet_id) for topic in TOPICS for qos in (0, 1, 2) for packet_id in (1, 2)),
    publish("a", 1, 3, retain=True),
    publish("a", 1, 3, b"", retain=True),
    publish("a", 2, 2, duplicate=True),
    publish("a/b", 1, 9, bytes(2_000)),
    *(kind(packet_id) for kind in ANSWERS for packet_id in (1, 2, 60_000)),
    subscribe(1, "#"),
    subscribe(2, "a/+", "a", qos=1),
    subscribe(3, "$share/g/a/#", "$SYS/#", qos=0),
    UnsubscribePacket(4, ["#", "a/+"]),
    PingReqPacket(),
    DisconnectPacket(),
    ConnectPacket("again"),
)
ONLY_5: Sequence[Packet] = (
    publish("a", 1, 4, topic_alias=1),
    publish("", 1, 5, topic_alias=1),
    publish("a", 0, 0, topic_alias=4, message_expiry_interval=1),
    publish("a", 1, 6, payload_format_indicator=1, content_type="text", user_properties=[("k", "v")]),
    publish("a", 2, 7, response_topic="b", correlation_data=b"c"),
    subscribe(5, "a", subscription_id=7),
    PubRecPacket(1, reason_code=mqtt5.PubRecReasonCode.UNSPECIFIED_ERROR),
    DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE, session_expiry_interval=5),
    AuthPacket(),
)
SOMETHING = Principal(None, ("a/+",), ("a/+",))
WILL = Will("a/will", payload=b"gone", qos=QoS.AT_LEAST_ONCE, will_delay_interval=1)
CONNECTS: Sequence[ConnectPacket] = (
    ConnectPacket("fuzz", session_expiry_interval=100, receive_max=2, topic_alias_max=2),
    ConnectPacket("fuzz", clean_start=True, will=WILL),
    ConnectPacket("", clean_start=True, max_packet_size=40),
    ConnectPacket("fuzz-2", clean_start=True, keep_alive=1),
)
WRITTEN = {
    Version.V5: [packet.write() for packet in (*BOTH, *ONLY_5)],
    Version.V311: [write_311(packet) for packet in BOTH],
}
GREETINGS = {
    Version.V5: [packet.write() for packet in CONNECTS],
    Version.V311: [write_311(packet) for packet in CONNECTS if packet.client_id],
}


class Tape:
    """A string of random bytes, read as choices; nought when it is at its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, below: int) -> int:
        byte = self._data[self._at] if self else 0
        self._at += 1
        return byte % below


def mutated(tape: Tape, packet: bytes) -> bytes:
    """Returns the packet with what the tape does to it: seven times in eight nothing."""
    if tape.take(8):
        return packet
    place = tape.take(256) * len(packet) // 256
    match tape.take(6):
        case 0:
            return packet[:place] + bytes((tape.take(256),)) + packet[place + 1 :]
        case 1:
            return packet[:place] + bytes((packet[place] ^ 1 << tape.take(8),)) + packet[place + 1 :]
        case 2:
            return packet[:place]
        case 3:
            return packet[:place] + bytes(tape.take(256) for _ in range(tape.take(6))) + packet[place:]
        case 4:
            return packet + packet[place:]
        case _:
            return packet[:place] + packet[place + 1 :]


def pieces(tape: Tape, data: bytes) -> list[bytes]:
    """Returns the data in one to four pieces, as sockets hand it over."""
    cuts = sorted(tape.take(256) * len(data) // 256 for _ in range(tape.take(4)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def talk(door: SocketlessDoor, tape: Tape, version: Version) -> None:
    """One client's life: a CONNECT, and packets until the tape ends or the door has had enough of it."""
    line = Line(door, EVERYTHING if tape.take(4) else SOMETHING)
    greetings, written = GREETINGS[version], WRITTEN[version]
    greeting = greetings[tape.take(len(greetings))]
    assert_whole_packets(line.say(mutated(tape, greeting)))
    while tape and not line.connection.is_closing:
        batch = b"".join(mutated(tape, written[tape.take(len(written))]) for _ in range(1 + tape.take(3)))
        for piece in pieces(tape, batch):
            assert_whole_packets(line.say(piece))
        if not tape.take(16):
            door.later(1 + tape.take(4))
    line.hang_up()


@pytest.mark.long
@pytest.mark.timeout(LIMIT_S)
@settings(FAST, max_examples=BYTES_CASES)
@given(before=st.binary(max_size=80), version=st.sampled_from([None, *Version]))
def test_random_bytes_touch_nobody_else(before: bytes, version: Version | None) -> None:
    """At the beginning of a connection, or after a CONNECT that was welcome."""
    door = SocketlessDoor()
    line = Line(door, EVERYTHING)
    if version is not None:
        assert line.say(GREETINGS[version][0])
    assert_whole_packets(line.say(before))
    door.assert_bystander_is_served()
    line.hang_up()
    door.later(2)
    door.assert_bystander_is_served()


@pytest.mark.long
@pytest.mark.timeout(LIMIT_S)
@settings(FAST, max_examples=PACKETS_CASES)
@given(tape=st.binary(min_size=1, max_size=160), version=st.sampled_from(Version))
def test_broken_conversations_touch_nobody_else(tape: bytes, version: Version) -> None:
    """Packets that are good by themselves, some of them damaged, in any order and any pieces; then the same client, or
    what it is taken for, comes back."""
    door = SocketlessDoor()
    choices = Tape(tape)
    talk(door, choices, version)
    door.assert_bystander_is_served()
    if choices:
        talk(door, choices, version)
    again = Line(door, EVERYTHING)
    assert_whole_packets(again.say(GREETINGS[version][0]))
    assert not again.connection.is_closing
    door.later(200)
    door.assert_bystander_is_served()


@pytest.mark.long
@pytest.mark.timeout(LIMIT_S)
def test_random_bytes_at_the_running_program_touch_nobody_else(tmp_path: Path) -> None:
    """Over sockets: raw bytes, and damaged conversations of a device that may do everything."""
    choices = random.Random(1)
    with GatewayProcess(tmp_path / "data", {"mqtt.anonymous_topics": "#", "mqtt.connect_timeout_s": "5"}) as gateway:
        secret = gateway.add_device("bystander", "client", publish=["quiet/#"], subscribe=["quiet/#"])
        with WireClient(gateway.mqtt_port) as bystander:
            bystander.sign_in("bystander", secret)
            bystander.subscribe("quiet/#")
            before_bytes = resident_bytes(gateway)
            for number in range(SOCKET_CASES):
                tape = Tape(choices.randbytes(200))
                version = list(Version)[tape.take(len(Version))]
                written, greetings = WRITTEN[version], GREETINGS[version]
                data = mutated(tape, greetings[tape.take(len(greetings))])
                while tape:
                    data += mutated(tape, written[tape.take(len(written))])
                shout(gateway.mqtt_port, data if number % 4 else choices.randbytes(200), choices)
                if number % 20 == 0:
                    assert_round_trip(bystander, number)
            assert_round_trip(bystander, SOCKET_CASES)
            grown_bytes = resident_bytes(gateway) - before_bytes
            assert grown_bytes < 64 * MIB, f"{grown_bytes / MIB:.0f} MiB more than before"
        gateway.restart()
        with WireClient(gateway.mqtt_port) as bystander:
            bystander.sign_in("bystander", secret)
            bystander.publish("sg/bystander/telemetry", {"values": {"n": 1}})
        assert not mistakes(gateway)


def shout(port: int, data: bytes, choices: random.Random) -> None:
    """Sends the data in pieces and reads some of what comes back; whether the door hangs up is its business."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
        try:
            while data:
                size = choices.randrange(1, 200)
                client.send(data[:size])
                data = data[size:]
            client.settimeout(0.002)
            client.recv(65_536)
        except OSError:
            pass


def assert_round_trip(bystander: WireClient, number: int) -> None:
    bystander.publish("quiet/please", {"number": number})
    expected = b'{"number": %d}' % number
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = [packet for packet in bystander.others if isinstance(packet, PublishPacket)]
        bystander.others.clear()
        message = next((packet for packet in found if packet.payload == expected), None)
        if message is None:
            message = bystander.wait_for(PublishPacket)
        if message.packet_id is not None:
            bystander.send(PubAckPacket(message.packet_id).write())
        if message.payload == expected:
            return
    raise AssertionError(f"message {number} did not come back")

"""What no client library sends: half packets, garbage, silence and deafness, at the sockets of the real program."""

import random
import socket
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import mqtt5
import pytest
from mqtt5 import (
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PublishPacket,
    PubRelPacket,
    QoS,
    SubAckPacket,
    SubscribePacket,
    TopicFilter,
    Will,
)

from tests.gateway_process import GatewayProcess
from tests.integration.open_door import open_door

WITHIN_S = 120.0
CONNECT_311 = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01r"


class Wire:
    """A socket to the door."""

    def __init__(self, door: GatewayProcess, *, receive_buffer: int | None = None) -> None:
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(WITHIN_S)
        self.sock.connect(("127.0.0.1", door.mqtt_port))
        self._held = b""

    def close(self) -> None:
        self.sock.close()

    def send(self, *packets: bytes) -> None:
        self.sock.sendall(b"".join(packets))

    def next(self) -> object:
        """Returns the next packet of version 5. Raises EOFError if the door has closed the connection."""
        while True:
            try:
                packet, size = mqtt5.read(memoryview(self._held))
            except (IndexError, ValueError):
                data = self._more()
                if not data:
                    raise EOFError from None
                self._held += data
            else:
                self._held = self._held[size:]
                return packet

    def rest(self) -> bytes:
        """Returns what comes until the door closes the connection."""
        data, self._held = self._held, b""
        while more := self._more():
            data += more
        return data

    def _more(self) -> bytes:
        try:
            return self.sock.recv(65_536)
        except ConnectionResetError:
            return b""

    def connect(self, client_id: str = "", **more: object) -> ConnAckPacket:
        self.send(ConnectPacket(client_id, clean_start=True, **more).write())  # type: ignore[arg-type]
        packet = self.next()
        assert isinstance(packet, ConnAckPacket)
        return packet


def wire(door: GatewayProcess, **more: int) -> "closing[Wire]":
    return closing(Wire(door, **more))


def works(door: GatewayProcess) -> bool:
    """Whether the door serves somebody else."""
    with wire(door) as other:
        other.connect()
        other.send(PublishPacket("works", b"x", qos=QoS.AT_LEAST_ONCE, packet_id=1).write())
        return isinstance(other.next(), PubAckPacket)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> GatewayProcess:
    """A door that waits a second for a CONNECT and for a reader, and takes 10,000 bytes in a packet."""
    running = open_door(
        tmp_path_factory.mktemp("strict") / "data",
        mqtt_connect_timeout_s="1",
        mqtt_slow_consumer_s="1",
        mqtt_max_packet_bytes="10000",
        mqtt_max_connections="60",
    )
    with running:
        yield running  # type: ignore[misc]


MALFORMED = {
    "reserved type": b"\x00\x00",
    "PUBLISH with QoS 3": b"\x36\x05\x00\x01t\x00\x01",
    "PUBLISH with DUP and QoS 0": b"\x38\x04\x00\x01t\x00",
    "PUBACK with flags": b"\x41\x02\x00\x01",
    "remaining length of five bytes": b"\x30\xff\xff\xff\xff\x7f",
    "SUBSCRIBE without its flag": b"\x80\x07\x00\x01\x00\x00\x01t\x00",
    "topic that is not UTF-8": b"\x30\x05\x00\x02\xff\xfe\x00",
    "topic with a wildcard": b"\x30\x05\x00\x02t#\x00",
    "topic with a null": b"\x30\x05\x00\x02t\x00\x00",
    "text over the end": b"\x30\x04\x00\x09t\x00",
    "unknown property": b"\x30\x06\x00\x01t\x02\x7e\x00",
    "filter with # in the middle": b"\x82\x09\x00\x01\x00\x00\x03#/a\x00",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_packet_is_named_and_ends_only_its_connection(door: GatewayProcess, data: bytes) -> None:
    with wire(door) as peer, wire(door) as other:
        other.connect()
        peer.connect()
        peer.send(data)
        packet = peer.next()
        assert isinstance(packet, DisconnectPacket)
        assert packet.reason_code is DisconnectReasonCode.MALFORMED_PACKET
        assert peer.rest() == b""
        other.send(PingReqPacket().write())
        assert isinstance(other.next(), PingRespPacket)


PROTOCOL_ERRORS = {
    "second CONNECT": ConnectPacket("again").write(),
    "packet of servers": b"\xd0\x00",
    "packet identifier 0": b"\x32\x06\x00\x01t\x00\x00\x00",
    "property twice": b"\x30\x08\x00\x01t\x04\x01\x00\x01\x00",
    "SUBSCRIBE without a filter": b"\x82\x03\x00\x01\x00",
    "subscription identifier 0": b"\x82\x09\x00\x01\x02\x0b\x00\x00\x01t\x00",
    "no local on a shared subscription": b"\x82\x10\x00\x01\x00\x00\x0a$share/g/t\x04",
    "AUTH": b"\xf0\x09\x18\x07\x15\x00\x04SCRA",
}


@pytest.mark.parametrize("data", PROTOCOL_ERRORS.values(), ids=PROTOCOL_ERRORS.keys())
def test_a_protocol_error_is_named(door: GatewayProcess, data: bytes) -> None:
    with wire(door) as peer:
        peer.connect()
        peer.send(data)
        packet = peer.next()
        assert isinstance(packet, DisconnectPacket)
        assert packet.reason_code is DisconnectReasonCode.PROTOCOL_ERROR
        assert peer.rest() == b""


@pytest.mark.parametrize("data", [*MALFORMED.values(), b"\x82\x03\x00\x01\x00"])
def test_version_311_just_closes(door: GatewayProcess, data: bytes) -> None:
    with wire(door) as peer:
        peer.send(CONNECT_311)
        assert peer.sock.recv(4) == b"\x20\x02\x00\x00"
        peer.send(data, b"\xff\xff")
        assert peer.rest() == b""


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS at the plain door
        PingReqPacket().write(),
        PublishPacket("t", b"x").write(),
        b"\x10\x0d\x00\x04MQTX\x04\x02\x00\x00\x00\x01r",
        b"\x10\xff\xff\xff\x7f",
    ],
)
def test_what_does_not_begin_with_connect_is_closed_at_once(door: GatewayProcess, data: bytes) -> None:
    with wire(door) as peer:
        peer.send(data)
        assert peer.rest() == b""


def test_another_version_is_told_that_it_is_not_served(door: GatewayProcess) -> None:
    with wire(door) as peer:
        peer.send(b"\x10\x0d\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00"[:15])
        assert peer.rest() == b"\x20\x02\x00\x01"


def test_a_connect_with_a_fault_gets_a_connack_with_the_reason(door: GatewayProcess) -> None:
    with wire(door) as peer:
        peer.send(b"\x10\x0e\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x01r")  # the reserved flag
        packet = peer.next()
        assert isinstance(packet, ConnAckPacket)
        assert packet.reason_code is ConnAckReasonCode.MALFORMED_PACKET
        assert peer.rest() == b""


def test_random_bytes_hurt_nobody(door: GatewayProcess) -> None:
    chance = random.Random(1883)
    greeting = ConnectPacket("random", clean_start=True).write()
    for number in range(300):
        with wire(door) as peer:
            peer.send(greeting * (number % 2) + chance.randbytes(chance.randrange(1, 200)))
            if number % 3:
                peer.sock.shutdown(socket.SHUT_WR)
                peer.rest()
    assert works(door)


def test_a_packet_that_comes_byte_by_byte_is_whole_in_the_end(door: GatewayProcess) -> None:
    with wire(door) as peer:
        data = ConnectPacket("slow", clean_start=True).write()
        data += PublishPacket("t", b"x", qos=QoS.AT_LEAST_ONCE, packet_id=7).write()
        for at in range(len(data)):
            peer.send(data[at : at + 1])
        assert isinstance(peer.next(), ConnAckPacket)
        assert peer.next() == PubAckPacket(7)


def test_a_peer_that_says_nothing_is_closed(strict: GatewayProcess) -> None:
    with wire(strict) as silent, wire(strict) as half:
        half.send(ConnectPacket("half").write()[:9])
        assert silent.rest() == b""
        assert half.rest() == b""


def test_a_client_that_stops_in_the_middle_of_a_packet_is_closed_for_its_silence(strict: GatewayProcess) -> None:
    with wire(strict) as peer, wire(strict) as watcher:
        watcher.connect()
        watcher.send(SubscribePacket(1, [TopicFilter("gone")]).write())
        assert isinstance(watcher.next(), SubAckPacket)
        peer.connect(keep_alive=1, will=Will("gone", payload=b"gone"))
        peer.send(PublishPacket("t", bytes(1000)).write()[:500])
        packet = peer.next()
        assert isinstance(packet, DisconnectPacket)
        assert packet.reason_code is DisconnectReasonCode.KEEP_ALIVE_TIMEOUT
        assert peer.rest() == b""
        will = watcher.next()
        assert isinstance(will, PublishPacket)
        assert will.payload == b"gone"


def test_a_client_that_keeps_alive_stays(strict: GatewayProcess) -> None:
    with wire(strict) as peer:
        peer.connect(keep_alive=1)
        until = time.monotonic() + 3.5
        while time.monotonic() < until:
            peer.send(PingReqPacket().write())
            assert isinstance(peer.next(), PingRespPacket)
            time.sleep(0.5)  # the client's own clock is what is tested


def test_a_packet_above_the_limit_is_refused_by_its_header(strict: GatewayProcess) -> None:
    with wire(strict) as peer:
        assert peer.connect().max_packet_size == 10_000
        peer.send(PublishPacket("t", bytes(10_001)).write()[:10])
        packet = peer.next()
        assert isinstance(packet, DisconnectPacket)
        assert packet.reason_code is DisconnectReasonCode.PACKET_TOO_LARGE


def test_a_client_that_never_reads_is_closed_and_slows_nobody_down(strict: GatewayProcess) -> None:
    with wire(strict, receive_buffer=4096) as deaf, wire(strict) as reader, wire(strict) as publisher:
        for peer in (deaf, reader):
            peer.connect()
            peer.send(SubscribePacket(1, [TopicFilter("flood", max_qos=QoS.AT_MOST_ONCE)]).write())
        publisher.connect()
        assert isinstance(deaf.next(), SubAckPacket)
        assert isinstance(reader.next(), SubAckPacket)
        payload = bytes(9000)
        sent = 0
        before = _connections(strict)

        def flood() -> bool:
            nonlocal sent
            for _ in range(50):
                sent += 1
                publisher.send(PublishPacket("flood", payload, qos=QoS.AT_LEAST_ONCE, packet_id=1).write())
                assert isinstance(publisher.next(), PubAckPacket)
                assert isinstance(reader.next(), PublishPacket)
            return _connections(strict) < before

        eventually(flood)
        assert sent > 0


def _connections(door: GatewayProcess) -> int:
    with door.api() as api:
        return int(api.get("status").json()["mqtt"]["connections"])


def test_a_client_that_asks_and_never_reads_the_answers_is_not_answered_for_ever(strict: GatewayProcess) -> None:
    with wire(strict, receive_buffer=4096) as deaf:
        deaf.connect()
        questions = PubRelPacket(1).write() * 10_000  # each is answered: there is no such message
        deaf.sock.settimeout(2)
        try:
            for _ in range(500):
                deaf.send(questions)
        except (TimeoutError, ConnectionError):
            pass
        else:
            raise AssertionError("20 MB of questions were taken in without one answer read")
    assert works(strict)


def test_there_are_only_so_many_connections_and_then_room_again(strict: GatewayProcess) -> None:
    eventually(lambda: _connections(strict) == 0)
    peers = [Wire(strict) for _ in range(60)]
    for peer in peers:
        peer.connect()
    with wire(strict) as one_more:
        assert one_more.rest() == b""
    for peer in peers:
        peer.close()
    eventually(lambda: _connections(strict) == 0)
    assert works(strict)


def test_a_thousand_connections_come_and_go_at_once(door: GatewayProcess) -> None:
    peers = [Wire(door) for _ in range(1000)]
    for number, peer in enumerate(peers):
        peer.send(ConnectPacket(f"storm{number}", clean_start=True).write())
    for peer in peers:
        assert isinstance(peer.next(), ConnAckPacket)
    for peer in peers:
        peer.close()
    assert works(door)


def test_nothing_is_left_open_when_the_gateway_stops(tmp_path: Path) -> None:
    with open_door(tmp_path / "data") as door, wire(door) as polite, wire(door) as unread, wire(door) as silent:
        polite.connect()
        unread.connect(will=Will("gone", payload=b"gone"))
        silent.send(b"\x10")
        door.stop()
        packet = polite.next()
        assert isinstance(packet, DisconnectPacket)
        assert packet.reason_code is DisconnectReasonCode.SERVER_SHUTTING_DOWN
        assert polite.rest() == b""
        assert silent.rest() == b""

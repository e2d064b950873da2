"""Clients that mean harm, or are broken: whatever they do, the others are served, and nothing of it stays behind."""

import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import mqtt5
import pytest
from mqtt5 import DisconnectPacket, DisconnectReasonCode, PublishPacket, QoS

from firmware_sim import packets
from firmware_sim.wire import raise_file_limit
from tests.faults.fault_figures import MIB, mistakes, open_files, resident_bytes
from tests.faults.stream import WITHIN_S, NumberStream, Watcher, wait_for
from tests.faults.wire_client import WireClient
from tests.gateway_process import GatewayProcess

SETTINGS = {"mqtt.connect_timeout_s": "1", "mqtt.slow_consumer_s": "2", "mqtt.queue_bytes": "1 MiB"}
BYSTANDER = "127.0.0.2"
CONNECTIONS = 2_000
STORM_S = 3.0
STORM_RATE = 1_000
MEMORY_BYTES = 48 * MIB
BIG = b'{"values":{"n":1}}' + b" " * 16_000
HALF_REQUEST = b"GET /api/v1/devices HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bear"
CHUNKED = b"POST /api/v1/devices HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def gateway(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[GatewayProcess]:
    """A gateway that waits for nobody long; a test may give it settings of its own."""
    with GatewayProcess(tmp_path / "data", SETTINGS | getattr(request, "param", {})) as running:
        yield running
        wait_for(lambda: connections(running) == 0, WITHIN_S, "the last connections to be gone")
        assert not mistakes(running)


def connections(gateway: GatewayProcess) -> int:
    """Returns how many connections the MQTT door says it has."""
    with gateway.api() as api:
        return int(api.get("status").json()["mqtt"]["connections"])


def metric(gateway: GatewayProcess, name: str) -> float:
    text = httpx.get(f"{gateway.http_url}/metrics", trust_env=False).text
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def assert_served(gateway: GatewayProcess, secret: str) -> None:
    """A device from elsewhere signs in, and its message is acknowledged."""
    with WireClient(gateway.mqtt_port, source=BYSTANDER) as bystander:
        bystander.sign_in("bystander", secret)
        bystander.publish("sg/bystander/telemetry", {"values": {"n": 1}})


@pytest.mark.parametrize("qos", [0, 1])
def test_a_client_that_never_reads_costs_the_others_nothing(gateway: GatewayProcess, qos: int) -> None:
    """With QoS 0 its socket runs full, and it is disconnected. With QoS 1 it stops at its first unacknowledged
    messages: what waits for it is bounded, and its oldest messages go."""
    port = gateway.mqtt_port
    busy = gateway.add_device("busy")
    watching = gateway.add_device("watcher", "client", subscribe=["sg/+/telemetry"])
    deaf = gateway.add_device("deaf", "client", subscribe=["sg/busy/telemetry"])
    before_bytes = resident_bytes(gateway)
    with (
        WireClient(port, receive_buffer=4_096) as never_reads,
        Watcher(port, "watcher", watching) as watcher,
        WireClient(port) as publisher,
    ):
        never_reads.sign_in("deaf", deaf)
        never_reads.subscribe("sg/busy/telemetry", qos)
        publisher.sign_in("busy", busy)
        count = 0
        while not watcher.received:  # it is connected, and will have subscribed any moment now
            count += 1
            publisher.publish("sg/busy/telemetry", {"boot": "b", "seq": count, "values": {"n": count}})
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:
            count += 1
            body = {"boot": "b", "seq": count, "values": {"n": count}, "filling": "x" * 16_000}
            publisher.publish("sg/busy/telemetry", body)
            if qos == 0 and count > 300 and connections(gateway) == 2:
                break
            if qos == 1 and metric(gateway, "schoolgate_mqtt_queue_dropped_total") > 100:
                break
        else:
            raise AssertionError("the deaf client is still waited for")

        def numbers() -> list[int]:
            return [json.loads(payload)["seq"] for _, payload in list(watcher.received)]

        wait_for(lambda: numbers()[-1] == count, WITHIN_S, "the last message at the watcher")
        assert numbers() == list(range(numbers()[0], count + 1))
        grown_bytes = resident_bytes(gateway) - before_bytes
        assert grown_bytes < MEMORY_BYTES, f"{grown_bytes / MIB:.0f} MiB more than before"
    assert ("slow_consumer_closed" in gateway.log_file.read_text()) == (qos == 0)


@pytest.mark.parametrize(
    "first",
    [b"", b"\x10", packets.connect(5, "device", "secret", keep_alive_s=0)[:-3], b"\x10\xff\xff\x03\x00\x04MQTT"],
    ids=["nothing", "one byte", "most of CONNECT", "the beginning of a long CONNECT"],
)
def test_who_does_not_finish_its_connect_is_disconnected(gateway: GatewayProcess, first: bytes) -> None:
    with WireClient(gateway.mqtt_port) as client:
        client.send(first)
        assert client.is_closed_within(WITHIN_S)


def test_a_connect_that_comes_byte_by_byte_is_a_connect(gateway: GatewayProcess) -> None:
    secret = gateway.add_device("slow")
    with WireClient(gateway.mqtt_port) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in packets.connect(5, "slow", secret, keep_alive_s=0):
            client.send(bytes((byte,)))
        assert client.wait_for(mqtt5.ConnAckPacket).reason_code is mqtt5.ConnAckReasonCode.SUCCESS
        client.publish("sg/slow/telemetry", {"values": {"n": 1}})


def test_bytes_of_a_packet_that_never_ends_keep_nobody_alive(gateway: GatewayProcess) -> None:
    """MQTT 5.0 §3.1.2.10: only whole packets count."""
    secret = gateway.add_device("half")
    half = packets.publish(5, "sg/half/telemetry", BIG, qos=1, packet_id=1)
    with WireClient(gateway.mqtt_port) as client:
        client.sign_in("half", secret, keep_alive=1)
        client.send(half[:8_000])
        with suppress(BrokenPipeError, ConnectionResetError):
            for byte in half[8_000:8_100]:
                client.send(bytes((byte,)))
                if select.select([client.sock], [], [], 0.2)[0]:
                    break
        assert client.wait_for(DisconnectPacket).reason_code is DisconnectReasonCode.KEEP_ALIVE_TIMEOUT
        assert client.is_closed_within(WITHIN_S)


def test_half_a_packet_of_a_client_without_keep_alive_waits_and_costs_nobody_anything(gateway: GatewayProcess) -> None:
    secret, bystander = gateway.add_device("half"), gateway.add_device("bystander")
    whole = packets.publish(5, "sg/half/telemetry", BIG, qos=1, packet_id=1)
    with WireClient(gateway.mqtt_port) as client:
        client.sign_in("half", secret)
        client.send(whole[:8_000])
        assert_served(gateway, bystander)
        assert not client.is_closed_within(3)
        client.send(whole[8_000:])
        assert client.wait_for(mqtt5.PubAckPacket).packet_id == 1


@pytest.mark.parametrize("gateway", [{"mqtt.connect_timeout_s": "300"}], indirect=True, ids=["patient"])
@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"\x32\xff\xff\xff\x7f", DisconnectReasonCode.PACKET_TOO_LARGE),
        (b"\x32\xff\xff\xff\xff\x01", DisconnectReasonCode.MALFORMED_PACKET),
    ],
    ids=["256 MiB", "no length at all"],
)
def test_an_oversized_packet_is_refused_at_its_header(
    gateway: GatewayProcess, header: bytes, reason: DisconnectReasonCode
) -> None:
    secret = gateway.add_device("large")
    with WireClient(gateway.mqtt_port) as stranger:
        stranger.send(b"\x10" + header[1:])
        assert stranger.is_closed_within(WITHIN_S), "only the time limit of CONNECT would end it"
    with WireClient(gateway.mqtt_port) as client:
        client.sign_in("large", secret)
        client.send(header)
        assert client.wait_for(DisconnectPacket).reason_code is reason
        assert client.is_closed_within(WITHIN_S)


def storm(port: int, stop: threading.Event) -> int:
    """Opens up to `STORM_RATE` connections a second, most of which say something wrong; returns how many."""
    sayings = (b"", b"GET / HTTP/1.1\r\n\r\n", packets.connect(5, "nobody", "wrong", keep_alive_s=0), b"\x00" * 50)
    began = time.monotonic()
    opened = 0
    held: list[socket.socket] = []
    while not stop.is_set() and time.monotonic() - began < STORM_S:
        if opened > (time.monotonic() - began) * STORM_RATE:
            time.sleep(0.001)
            continue
        opened += 1
        with suppress(OSError):
            client = socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S)
            held.append(client)
            client.send(sayings[opened % len(sayings)])
        if len(held) > 50:
            held.pop(0).close()
    for client in held:
        client.close()
    return opened


def test_a_storm_of_connections_costs_the_others_nothing_and_leaves_nothing_behind(gateway: GatewayProcess) -> None:
    secret, bystander = gateway.add_device("steady"), gateway.add_device("bystander")
    assert_served(gateway, bystander)
    wait_for(lambda: connections(gateway) == 0, WITHIN_S, "the first one to be gone")
    before_bytes, before_files = resident_bytes(gateway), open_files(gateway)
    stop = threading.Event()
    opened: list[int] = []
    thread = threading.Thread(target=lambda: opened.append(storm(gateway.mqtt_port, stop)))
    with NumberStream(gateway.mqtt_port, "steady", secret, 1, is_keyed=True) as steady:
        wait_for(lambda: len(steady.acknowledged) > 100, WITHIN_S, "a start")
        thread.start()
        served = 0
        try:
            while thread.is_alive():
                assert_served(gateway, bystander)
                served += 1
        finally:
            stop.set()
            thread.join()
        steady.finish(within_s=WITHIN_S)
    assert served > 0
    wait_for(lambda: connections(gateway) == 0, WITHIN_S, "the storm to be over")
    wait_for(lambda: open_files(gateway) <= before_files + 4, WITHIN_S, "its files to be closed")
    grown_bytes = resident_bytes(gateway) - before_bytes
    assert grown_bytes < MEMORY_BYTES, f"{grown_bytes / MIB:.0f} MiB more than before"
    print(f"{opened[0]} connections in {STORM_S:.0f} s; {served} others served meanwhile")


def test_two_thousand_open_connections_are_served(gateway: GatewayProcess) -> None:
    raise_file_limit(CONNECTIONS)
    secret, bystander = gateway.add_device("many"), gateway.add_device("bystander")
    before_bytes, before_files = resident_bytes(gateway), open_files(gateway)
    with ExitStack() as stack:
        clients: list[WireClient] = []
        for number in range(CONNECTIONS):
            client = stack.enter_context(WireClient(gateway.mqtt_port, source=f"127.0.1.{number // 100 + 1}"))
            client.send(mqtt5.ConnectPacket(f"many-{number}", username="many", password=secret.encode()).write())
            clients.append(client)
            if number % 200 == 0:
                assert_served(gateway, bystander)
        for client in clients:
            client.wait_for(mqtt5.ConnAckPacket)
        assert connections(gateway) == CONNECTIONS
        assert_served(gateway, bystander)
        for number, client in enumerate(clients):
            body = b'{"boot":"b","seq":%d,"values":{"n":1}}' % number
            client.send(PublishPacket("sg/many/telemetry", body, qos=QoS.AT_LEAST_ONCE, packet_id=1).write())
        for client in clients:
            assert client.wait_for(mqtt5.PubAckPacket).packet_id == 1
        grown_bytes = resident_bytes(gateway) - before_bytes
        assert grown_bytes < 100 * MIB, f"{grown_bytes / MIB:.0f} MiB more than before"
    wait_for(lambda: open_files(gateway) <= before_files + 4, WITHIN_S, "the files to be closed")
    print(f"{CONNECTIONS} connections: {grown_bytes / MIB:.0f} MiB")


def test_half_a_request_costs_the_other_callers_nothing(gateway: GatewayProcess) -> None:
    before_bytes = resident_bytes(gateway)
    with ExitStack() as stack:
        for _ in range(200):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.http_port), timeout=WITHIN_S))
            client.send(HALF_REQUEST)
        with gateway.api() as api:
            for _ in range(20):
                assert api.get("devices").status_code == 200
        grown_bytes = resident_bytes(gateway) - before_bytes
        assert grown_bytes < MEMORY_BYTES, f"{grown_bytes / MIB:.0f} MiB more than before"


def test_an_endless_request_head_is_refused(gateway: GatewayProcess) -> None:
    """A header that goes on and on is not collected for ever."""
    before_bytes = resident_bytes(gateway)
    with socket.create_connection(("127.0.0.1", gateway.http_port), timeout=WITHIN_S) as client:
        client.send(b"GET /healthz HTTP/1.1\r\nX-Long: ")
        sent = 0

        def is_over() -> bool:
            nonlocal sent
            try:
                sent += client.send(b"x" * 65_536)
            except OSError:
                return True
            return sent > 256 * MIB

        wait_for(is_over, WITHIN_S, "the end of the connection")
        grown_bytes = resident_bytes(gateway) - before_bytes
        assert grown_bytes < MEMORY_BYTES, f"{grown_bytes / MIB:.0f} MiB more after {sent / MIB:.0f} MiB of header"


def test_who_sends_too_large_a_request_head_is_told_so(gateway: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", gateway.http_port), timeout=WITHIN_S) as client:
        client.send(b"GET /healthz HTTP/1.1\r\nX-Long: ")
        with suppress(OSError):
            for _ in range(256):
                client.send(b"x" * 4_096)
                if select.select([client], [], [], 0.01)[0]:
                    break
        assert client.recv(1_000).startswith(b"HTTP/1.1 431")


def test_trailers_of_a_request_are_no_way_around_the_limit(gateway: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", gateway.http_port), timeout=WITHIN_S) as client:
        client.send(CHUNKED + b"0\r\n")
        with pytest.raises(OSError):
            for number in range(64 * MIB // 100):
                client.send(b"X-Trailer-%d: %s\r\n" % (number, b"x" * 80))


def test_a_body_in_chunks_that_is_larger_than_a_head_may_be_is_read(gateway: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", gateway.http_port), timeout=WITHIN_S) as client:
        client.sendall(CHUNKED + (b"1000\r\n" + b" " * 4_096 + b"\r\n") * 128 + b"0\r\n\r\n")
        assert client.recv(1_000).startswith(b"HTTP/1.1 401")


def test_what_never_becomes_a_whole_request_is_not_waited_for_for_ever(gateway: GatewayProcess) -> None:
    asked = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n"
    with ExitStack() as stack:
        clients: list[socket.socket] = []
        for before, rest in (
            (b"", b""),
            (b"", HALF_REQUEST),
            (asked, HALF_REQUEST),
            (asked, b"\r\n"),
            (b"", CHUNKED + b"5\r\n{"),
        ):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.http_port), timeout=WITHIN_S))
            if before:
                client.send(before)
                assert client.recv(1_000).startswith(b"HTTP/1.1 200")
            client.send(rest)
            clients.append(client)
        for client in clients:
            with suppress(ConnectionResetError):
                while client.recv(1_000):
                    pass


def test_a_client_that_asks_and_never_reads_the_answers_is_not_read_either(gateway: GatewayProcess) -> None:
    """Its questions stay in its own socket, and it is disconnected."""
    secret = gateway.add_device("asks")
    before_bytes = resident_bytes(gateway)
    with WireClient(gateway.mqtt_port, receive_buffer=4_096) as client:
        client.sign_in("asks", secret)
        client.sock.setblocking(False)

        def is_disconnected() -> bool:
            try:
                while True:
                    client.sock.send(packets.PINGREQ * 8_192)
            except BlockingIOError:
                return connections(gateway) == 0
            except OSError:
                return True

        wait_for(is_disconnected, WITHIN_S, "the door to disconnect it")
        grown_bytes = resident_bytes(gateway) - before_bytes
        assert grown_bytes < MEMORY_BYTES, f"{grown_bytes / MIB:.0f} MiB more than before"

"""A full disk: nothing is acknowledged that is not stored, publishers wait, and it goes on by itself."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Self

import httpx
import pytest

from firmware_sim import packets
from tests.faults.fault_figures import MIB, mistakes, resident_bytes, rows, unready
from tests.faults.full_disks import Disk, limited_files, may_mount, small_file_system
from tests.faults.stream import WITHIN_S, NumberStream, wait_for
from tests.faults.test_kill import assert_stored_once, stored_numbers
from tests.faults.wire_client import WireClient
from tests.gateway_process import GatewayProcess

MakeDisk = Callable[[Path], AbstractContextManager[Disk]]

DISKS: list[MakeDisk] = [limited_files, small_file_system] if may_mount() else [limited_files]
needs_a_file_system = pytest.mark.skipif(small_file_system not in DISKS, reason="nothing may be mounted here")
QUEUE_BYTES = 2 * MIB
FLOODS = 8
PAYLOAD_BYTES = 4_000
MEMORY_BYTES = 64 * MIB
"""What a gateway at the cap of its queue may have more than before: the queue as objects, buffers, SQLite's cache."""


@pytest.fixture(params=DISKS, ids=lambda make: make.__name__)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    with request.param(tmp_path / "data") as made:
        yield made


def is_failing(gateway: GatewayProcess) -> bool:
    return "store" in unready(gateway)


def stays(count: Callable[[], int], for_s: float) -> bool:
    """Whether the count is the same after a while."""
    before = count()
    time.sleep(for_s)
    return count() == before


def test_nothing_is_acknowledged_while_the_disk_is_full_and_all_of_it_is_stored_once_there_is_room(disk: Disk) -> None:
    with GatewayProcess(disk.data) as gateway:
        port = gateway.mqtt_port
        secrets = {name: gateway.add_device(name) for name in ("once", "exactly", "late")}
        with (
            NumberStream(port, "once", secrets["once"], 1, is_keyed=True) as once,
            NumberStream(port, "exactly", secrets["exactly"], 2, is_keyed=False) as exactly,
        ):
            streams = (once, exactly)
            wait_for(lambda: all(len(stream.acknowledged) > 200 for stream in streams), WITHIN_S, "a start")
            for _ in range(2):
                disk.fill(gateway)
                wait_for(lambda: is_failing(gateway), WITHIN_S, "the gateway to notice")
                wait_for(lambda: stays(lambda: sum(len(s.acknowledged) for s in streams), 1.0), WITHIN_S, "silence")
                for stream in streams:
                    assert stream.acknowledged <= stored_numbers(disk.data, stream.device_id).keys()
                assert_it_says_so(gateway, secrets["late"])
                disk.make_room(gateway)
                wait_for(lambda: not is_failing(gateway), WITHIN_S, "the gateway to recover")
                enough = {stream.device_id: len(stream.acknowledged) + 200 for stream in streams}
                wait_for(
                    lambda: all(len(s.acknowledged) > enough[s.device_id] for s in streams),  # noqa: B023
                    WITHIN_S,
                    "acknowledgements",
                )
            for stream in streams:
                stream.finish(within_s=WITHIN_S)
        gateway.add_device("afterwards")
        gateway.stop()
        for stream in streams:
            assert_stored_once(disk.data, stream)
        assert not mistakes(gateway)


def assert_it_says_so(gateway: GatewayProcess, secret: str) -> None:
    """What can be read is read, what would have to be written is refused for now, and the reason is given."""
    reason = unready(gateway)["store"]
    assert "full" in reason or "I/O" in reason
    with gateway.api() as api, WireClient(gateway.mqtt_port) as late:
        assert api.get("devices").status_code == 200
        refused = api.post("devices", json={"id": "refused", "kind": "sensor"})
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["status"] == 503
        assert httpx.get(f"{gateway.http_url}/healthz", trust_env=False).status_code == 200
        late.sign_in("late", secret)
        late.send(packets.publish(5, "sg/late/telemetry", b'{"values":{"n":1}}', qos=1, packet_id=1))
        late.send(packets.PINGREQ)
        assert late.sock.recv(100) == packets.PINGRESP


class Flood:
    """A device that sends QoS 1 messages as fast as its socket takes them, until it has sent `limit`."""

    def __init__(self, port: int, device_id: str, secret: str, limit: int) -> None:
        self._client = WireClient(port)
        self._client.sign_in(device_id, secret)
        self._client.sock.setblocking(False)
        self._topic = f"sg/{device_id}/telemetry"
        self._device_id = device_id
        self._limit = limit
        self._pending = b""
        self.sent = 0
        self.acknowledged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.sock.close()

    def turn(self) -> int:
        """Sends what the socket takes and counts the acknowledgements that came; returns how many bytes moved."""
        moved = 0
        try:
            while self._pending or self.sent < self._limit:
                if not self._pending:
                    self.sent += 1
                    body = b'{"boot":"b","seq":%d,"values":{"n":1}%b}' % (self.sent, b" " * PAYLOAD_BYTES)
                    self._pending = packets.publish(5, self._topic, body, qos=1, packet_id=self.sent)
                done = self._client.sock.send(self._pending)
                self._pending = self._pending[done:]
                moved += done
        except BlockingIOError:
            pass
        try:
            while True:
                data = self._client.sock.recv(1 << 16)
                assert data, f"{self._device_id} was disconnected"
                assert len(data) % 4 == 0
                self.acknowledged += len(data) // 4
                moved += len(data)
        except BlockingIOError:
            return moved


def test_at_the_cap_publishers_wait_and_memory_stays_bounded(disk: Disk) -> None:
    """More is sent than may wait: the rest stays in the senders' sockets. Nobody is disconnected for it."""
    settings = {"store.queue_bytes": str(QUEUE_BYTES), "mqtt.receive_max": "65535", "mqtt.connect_timeout_s": "1"}
    with GatewayProcess(disk.data, settings) as gateway, ExitStack() as stack:
        port = gateway.mqtt_port
        secrets = {f"flood-{number}": gateway.add_device(f"flood-{number}") for number in range(FLOODS)}
        storm_secret = gateway.add_device("storm")
        floods = [stack.enter_context(Flood(port, name, secret, 5_000)) for name, secret in secrets.items()]
        before_bytes = resident_bytes(gateway)
        disk.fill(gateway)

        def is_stuck() -> bool:
            until = time.monotonic() + 2.0
            while time.monotonic() < until:
                if sum(flood.turn() for flood in floods):
                    return False
                time.sleep(0.05)
            return True

        wait_for(is_stuck, WITHIN_S, "every socket to be full")
        sent = {flood: flood.sent for flood in floods}
        assert all(count < 5_000 for count in sent.values()), "the cap did not slow anybody down"
        for number in range(200):  # who comes now is not heard, and costs nothing
            with WireClient(port, source=f"127.0.0.{number % 100 + 1}") as client:
                client.send(packets.connect(5, "storm", storm_secret, keep_alive_s=0))
        with gateway.api() as api:
            figures = api.get("status").json()["ingest"]
        assert figures["queue_bytes"] < 2 * QUEUE_BYTES
        grown_bytes = resident_bytes(gateway) - before_bytes
        assert grown_bytes < MEMORY_BYTES, f"{grown_bytes / MIB:.0f} MiB more than before"
        disk.make_room(gateway)

        def is_all_acknowledged() -> bool:
            for flood in floods:
                flood._limit = sent[flood]
                flood.turn()
            return all(flood.acknowledged == sent[flood] for flood in floods)

        wait_for(is_all_acknowledged, WITHIN_S, "the acknowledgements of all that was sent")
        gateway.stop()
        for flood, count in sent.items():
            query = "SELECT count(*) FROM reading JOIN series ON id = series_id WHERE device_id = ?"
            assert rows(disk.data, query, flood._device_id) == [(count,)]
        assert not mistakes(gateway)
        print(f"{sum(sent.values())} messages sent, {grown_bytes / MIB:.0f} MiB more memory at the cap")


@needs_a_file_system
def test_a_gateway_starts_on_a_disk_that_filled_up_while_it_was_stopped(tmp_path: Path) -> None:
    """It gives up its reserve to open the database, and goes on by itself when there is room for more."""
    with small_file_system(tmp_path / "data") as disk, GatewayProcess(disk.data) as gateway:
        secret = gateway.add_device("waits")
        for _ in range(2):
            gateway.stop()
            disk.fill(gateway)
            gateway.launch()
            with NumberStream(gateway.mqtt_port, "waits", secret, 1, is_keyed=True) as stream:
                wait_for(lambda: answers(gateway) and is_failing(gateway), WITHIN_S, "the disk to be full")
                assert "full" in unready(gateway)["store"]
                disk.make_room(gateway)
                wait_for(lambda: not is_failing(gateway), WITHIN_S, "the gateway to recover")
                enough = len(stream.acknowledged) + 200
                wait_for(lambda: len(stream.acknowledged) > enough, WITHIN_S, "acknowledgements")  # noqa: B023
                stream.finish(within_s=WITHIN_S)
        gateway.stop()
        assert_stored_once(disk.data, stream)
        assert not mistakes(gateway)


def answers(gateway: GatewayProcess) -> bool:
    try:
        return httpx.get(f"{gateway.http_url}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@needs_a_file_system
def test_a_start_that_has_no_room_at_all_says_so(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "data") as disk, GatewayProcess(disk.data) as gateway:
        gateway.stop()
        disk.fill(gateway)
        for _ in range(2):
            (disk.data / "schoolgate.db.reserve").unlink(missing_ok=True)
            disk.fill(gateway)
            ended = gateway.command("run")
            assert ended.returncode == 1
            assert "the disk is full" in ended.stderr
        disk.make_room(gateway)
        gateway.start()

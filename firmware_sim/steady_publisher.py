"""The process that sends at a steady rate: a connected fleet, or a stream that a reader times.

Started by `firmware_sim.steady` as `python -m firmware_sim.steady_publisher`. Standard input: one line with the
`SteadyOrder`, one line to start. Standard output: lines of JSON, `SteadyProgress` and at last `SteadyReport`.
One loop sends message n of all connections together at n / rate, so that a fleet's messages are spread evenly.
"""

import collections
import contextlib
import socket
import sys
import time
from dataclasses import dataclass, field

import msgspec

from firmware_sim import packets, wire
from firmware_sim.errors import SimError
from firmware_sim.stream import AcknowledgementCount, Window
from firmware_sim.worker import say

STAMP = "sent_us"
"""The measurement of a stamped stream."""

_READ_SIZE = 4096
_REPORT_EVERY_S = 1.0
_DRAIN_S = 10.0
_PACKET_IDS = Window(size=256, chunk=1)


class SteadyOrder(msgspec.Struct, frozen=True):
    """`per_s`: messages a second over all connections together. `is_stamped`: the one value is `sent_us`, the
    moment of sending in µs since 1970 UTC by this machine's clock; otherwise three values of a classroom."""

    host: str
    port: int
    credentials: tuple[wire.Credential, ...]
    version: int
    qos: int
    per_s: float
    duration_s: float
    boot: str
    is_stamped: bool


class SteadyProgress(msgspec.Struct, frozen=True, tag="progress"):
    connected: int
    sent: int = 0
    acknowledged: int = 0


class SteadyReport(msgspec.Struct, frozen=True, tag="report"):
    """`ack_ms`: from sending a message to its acknowledgement, sorted and thinned out. `held_back`: messages not
    sent because a connection had too many unacknowledged."""

    sent: int
    acknowledged: int
    refused: int
    held_back: int
    lost_connections: int
    seconds: float
    cpu_seconds: float
    ack_ms: tuple[float, ...]
    late_ms: tuple[float, ...]
    trouble: str = ""


@dataclass(slots=True)
class _Connection:
    sock: socket.socket
    device_id: str
    count: AcknowledgementCount
    seq: int = 0
    sent_at: collections.deque[float] = field(default_factory=collections.deque)


class SteadyPublisher:
    """Sends on signed-in connections, one message at a time, and notes when each is acknowledged."""

    def __init__(self, order: SteadyOrder, opened: list[tuple[socket.socket, packets.ConnAck]]) -> None:
        self._order = order
        self._ring = [
            _Connection(sock, credential.device_id, AcknowledgementCount(order.qos, _PACKET_IDS))
            for (sock, _), credential in zip(opened, order.credentials, strict=True)
        ]
        self._alive = {connection.sock.fileno(): connection for connection in self._ring}
        # MQTT 5.0 §3.3.4: no more unacknowledged messages than the server's receive maximum
        self._in_flight = min([_PACKET_IDS.size, *(ack.receive_maximum for _, ack in opened)])
        self._ack_ms: list[float] = []
        self._late_ms: list[float] = []
        self._sent = self._acknowledged = self._held_back = self._lost = 0
        self._trouble = ""

    def run(self, ready: wire.ReadyFiles) -> SteadyReport:
        start = time.monotonic()
        cpu = time.process_time()
        end = start + self._order.duration_s
        report_at = start + _REPORT_EVERY_S
        number = 0
        for fileno in self._alive:
            ready.add(fileno)
        while self._alive:
            due = start + number / self._order.per_s
            self._receive(ready, ready.wait_until(min(due, end)))
            now = time.monotonic()
            if now >= report_at:
                say(SteadyProgress(len(self._alive), self._sent, self._acknowledged))
                report_at += _REPORT_EVERY_S
            if now >= end:
                break
            if now >= due:
                self._late_ms.append((now - due) * 1000)
                self._send(ready, self._ring[number % len(self._ring)], now)
                number += 1
        seconds = time.monotonic() - start
        cpu = time.process_time() - cpu
        deadline = time.monotonic() + _DRAIN_S
        while any(c.sent_at for c in self._alive.values()) and time.monotonic() < deadline:
            self._receive(ready, ready.wait_until(deadline))
        for connection in self._alive.values():
            with contextlib.suppress(OSError):
                connection.sock.send(packets.DISCONNECT)
        return SteadyReport(
            sent=self._sent,
            acknowledged=self._acknowledged,
            refused=sum(c.count.refused for c in self._ring),
            held_back=self._held_back,
            lost_connections=self._lost,
            seconds=seconds,
            cpu_seconds=cpu,
            ack_ms=_thinned(self._ack_ms),
            late_ms=_thinned(self._late_ms),
            trouble=self._trouble,
        )

    def _send(self, ready: wire.ReadyFiles, connection: _Connection, now: float) -> None:
        if connection.sock.fileno() not in self._alive:
            return
        if len(connection.sent_at) >= self._in_flight:
            self._held_back += 1
            return
        order = self._order
        at_us = time.time_ns() // 1000
        values = (
            b'"%b":%d' % (STAMP.encode(), at_us)
            if order.is_stamped
            else b'"temperature_c":%.1f,"humidity_pct":%.1f,"co2_ppm":%d'
            % (20 + connection.seq % 40 * 0.1, 40 + connection.seq % 15, 420 + connection.seq % 600)
        )
        payload = b'{"at":%d,"boot":"%b","seq":%d,"values":{%b}}' % (
            at_us // 1000,
            order.boot.encode(),
            connection.seq,
            values,
        )
        packet = packets.publish(
            order.version,
            f"sg/{connection.device_id}/telemetry",
            payload,
            qos=order.qos,
            packet_id=connection.seq % _PACKET_IDS.size + 1,
        )
        if order.qos == 0:
            packet += packets.PINGREQ
        connection.seq += 1
        try:
            if connection.sock.send(packet) != len(packet):
                raise SimError("the broker reads too slowly: a message was taken only in part")
            wire.hurry_acknowledgements(connection.sock)
        except (OSError, SimError) as error:
            self._lose(ready, connection, error)
            return
        connection.sent_at.append(now)
        self._sent += 1

    def _receive(self, ready: wire.ReadyFiles, events: list[tuple[int, int]]) -> None:
        now = time.monotonic()
        for fileno, _ in events:
            connection = self._alive[fileno]
            try:
                data = connection.sock.recv(_READ_SIZE)
                if not data:
                    raise ConnectionResetError("the broker closed the connection")
                wire.hurry_acknowledgements(connection.sock)
                done = connection.count.feed(data)
                if connection.count.answer:
                    connection.sock.send(connection.count.answer)
                    connection.count.answer = b""
            except (OSError, SimError) as error:
                self._lose(ready, connection, error)
                continue
            self._acknowledged += done
            for _ in range(min(done, len(connection.sent_at))):
                self._ack_ms.append((now - connection.sent_at.popleft()) * 1000)

    def _lose(self, ready: wire.ReadyFiles, connection: _Connection, error: Exception) -> None:
        self._trouble = self._trouble or str(error)
        self._lost += 1
        ready.remove(connection.sock.fileno())
        del self._alive[connection.sock.fileno()]


def _thinned(values: list[float]) -> tuple[float, ...]:
    """At most some thousand of the values, sorted, the largest among them."""
    ordered = sorted(values, reverse=True)
    return tuple(reversed(ordered[:: len(ordered) // 10_000 + 1]))


def main() -> int:
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=SteadyOrder)
    interval_s = len(order.credentials) / order.per_s
    with wire.ReadyFiles() as ready:
        try:
            wire.raise_file_limit(len(order.credentials))
            opened = wire.sign_in_all(
                order.host,
                order.port,
                order.credentials,
                order.version,
                keep_alive_s=min(65_535, max(60, int(3 * interval_s))),
                on_progress=lambda count: say(SteadyProgress(count)),
            )
            publisher = SteadyPublisher(order, opened)
            sys.stdin.buffer.readline()
            report = publisher.run(ready)
        except SimError as error:
            print(error, file=sys.stderr)
            return 1
    for sock, _ in opened:
        sock.close()
    say(report)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The process that loads a broker: one epoll loop over all its connections, chunks out, acknowledgements in.

Started by `firmware_sim.load` as `python -m firmware_sim.publisher`. Standard input: one line with the
`PublishOrder`, one line with the moment to start (time.monotonic, the same for all processes of a machine).
Standard output: lines of JSON, `Progress` and at last `PublishReport`.
"""

import collections
import contextlib
import select
import socket
import sys
import time
from dataclasses import dataclass, field

import msgspec

from firmware_sim import packets, wire
from firmware_sim.errors import SimError
from firmware_sim.stream import AcknowledgementCount, MessageStream, window_of
from firmware_sim.worker import say

_READ_SIZE = 65_536
_DRAIN_S = 30.0


class PublishOrder(msgspec.Struct, frozen=True):
    """What one process sends. `messages_each` ends a connection's stream (rounded up to chunks); 0: no end.

    `firsts`: the number of each connection's first message, to go on after an interruption with the same
    `boot` (rounded down to whole chunks, so that what was not acknowledged is repeated).
    """

    host: str
    port: int
    credentials: tuple[wire.Credential, ...]
    version: int
    qos: int
    window: int
    boot: str
    warm_up_s: float
    duration_s: float
    sample_s: float
    messages_each: int = 0
    firsts: tuple[int, ...] = ()


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """`sample` is the number of the window of measurement that ended, `acknowledged` what came in it."""

    connected: int = 0
    sample: int = -1
    acknowledged: int = 0


class PublishReport(msgspec.Struct, frozen=True, tag="report"):
    """What one process saw. `acknowledged_each` counts from the connection's first message, in order.

    `chunk_ms`: times from sending a chunk to its last acknowledgement in the samples, sorted and thinned out.
    """

    samples: tuple[int, ...]
    acknowledged_each: tuple[int, ...]
    sent: int
    refused: int
    lost_connections: int
    window: int
    chunk: int
    seconds: float
    cpu_seconds: float
    chunk_ms: tuple[float, ...]
    trouble: str = ""


class _Sweep:
    """When to read from every connection, however little has come.

    Sockets wake the loop only for a whole chunk of acknowledgements (SO_RCVLOWAT): a broker may write each
    PUBACK by itself, and waking for each costs more than the message does. But a broker that leaves Nagle's
    algorithm on sends the second PUBACK when TCP has acknowledged the first: when that one is read. So all
    are read at an interval that shortens while that finds acknowledgements and lengthens while it does not.
    """

    def __init__(self, connections: int, now: float) -> None:
        self._few = connections / 4
        self._shortest_s = max(0.001, connections * 10e-6)  # a read costs about 1 µs
        self._longest_s = min(0.05, max(0.001, connections * 100e-6))
        self._interval_s = self._shortest_s
        self.due = now

    def swept(self, now: float, found: int) -> None:
        if found > self._few:
            self._interval_s = max(self._shortest_s, self._interval_s / 2)
        else:
            self._interval_s = min(self._longest_s, self._interval_s * 2)
        self.due = now + self._interval_s


@dataclass(slots=True)
class _Connection:
    sock: socket.socket
    stream: MessageStream
    count: AcknowledgementCount
    budget: int
    """Chunks still to send; negative: no end."""
    sent_chunks: int = 0
    acknowledged: int = 0
    unsent: memoryview | None = None
    sent_at: collections.deque[float] = field(default_factory=collections.deque)


class Publisher:
    """Sends on signed-in connections until the time or the messages are over."""

    def __init__(self, order: PublishOrder, opened: list[tuple[socket.socket, packets.ConnAck]]) -> None:
        self._order = order
        # MQTT 5.0 §3.3.4: no more unacknowledged messages than the server's receive maximum.
        size = order.window if order.qos == 0 else min([order.window, *(ack.receive_maximum for _, ack in opened)])
        self.window = window_of(size)
        self._chunk = self.window.chunk
        firsts = order.firsts or (0,) * len(opened)
        budget = -(-order.messages_each // self.window.chunk) if order.messages_each else -1
        self._connections = {
            sock.fileno(): _Connection(
                sock,
                MessageStream(order.version, order.qos, credential.device_id, order.boot, self.window, first),
                AcknowledgementCount(order.qos, self.window),
                budget,
            )
            for (sock, _), credential, first in zip(opened, order.credentials, firsts, strict=True)
        }
        self._all = list(self._connections.values())
        self._chunk_ms: list[float] = []
        self._is_measuring = False
        self._total = 0
        self._lost = 0
        self._trouble = ""

    def run(self, start: float) -> PublishReport:
        """Sends from `start` (time.monotonic) on, samples after the warm-up, waits for what is in flight."""
        order = self._order
        time.sleep(max(0.0, start - time.monotonic()))
        samples: list[int] = []
        next_sample = start + order.warm_up_s
        end = next_sample + order.duration_s if order.duration_s else float("inf")
        before = -1
        with wire.ReadyFiles() as ready:
            for fileno, connection in self._connections.items():
                ready.add(fileno)
                self._wake_for_chunks(connection.sock, self.window.chunk)
            self._turn(ready, [(fileno, select.EPOLLOUT) for fileno in self._connections])
            cpu = time.process_time()
            sweep = _Sweep(len(self._connections), start)
            while any(c.budget != 0 for c in self._connections.values()):
                now = self._step(ready, sweep)
                if now >= next_sample:
                    if before >= 0:
                        samples.append(self._total - before)
                        say(Progress(sample=len(samples) - 1, acknowledged=samples[-1]))
                    before, self._is_measuring = self._total, True
                    next_sample += order.sample_s
                    if now >= end:
                        break
            cpu = time.process_time() - cpu
            self._drain(ready, sweep)
            seconds = time.monotonic() - start
        thinning = len(self._chunk_ms) // 1000 + 1
        return PublishReport(
            samples=tuple(samples),
            acknowledged_each=tuple(c.acknowledged for c in self._all),
            sent=sum(c.sent_chunks for c in self._all) * self.window.chunk,
            refused=sum(c.count.refused for c in self._all),
            lost_connections=self._lost,
            window=self.window.size,
            chunk=self.window.chunk,
            seconds=seconds,
            cpu_seconds=cpu,
            chunk_ms=tuple(sorted(self._chunk_ms)[::thinning]),
            trouble=self._trouble,
        )

    def _wake_for_chunks(self, sock: socket.socket, messages: int) -> None:
        size = 2 if self._order.qos == 0 else 4 * messages
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def _step(self, ready: wire.ReadyFiles, sweep: _Sweep) -> float:
        """Waits for what comes next and deals with it. Returns the time (time.monotonic)."""
        events = ready.wait(sweep.due - time.monotonic())
        if events:
            self._turn(ready, events)
        now = time.monotonic()
        if now >= sweep.due:
            before = self._total
            self._turn(ready, [(fileno, select.EPOLLIN) for fileno in self._connections])
            sweep.swept(now, self._total - before)
        return now

    def _turn(self, ready: wire.ReadyFiles, events: list[tuple[int, int]]) -> None:
        now = time.monotonic()
        for fileno, event in events:
            connection = self._connections[fileno]
            try:
                if event == select.EPOLLIN:
                    if self._receive(connection, now):
                        self._refill(connection, ready, now)
                else:
                    if event & ~select.EPOLLOUT:
                        self._receive(connection, now)
                    self._refill(connection, ready, now)
            except BlockingIOError:
                continue
            except (OSError, SimError) as error:
                self._trouble = self._trouble or str(error)
                self._lost += 1
                ready.remove(fileno)
                del self._connections[fileno]

    def _receive(self, connection: _Connection, now: float) -> bool:
        """Reads and counts acknowledgements. True if they leave something to send."""
        data = connection.sock.recv(_READ_SIZE)
        if not data:
            raise ConnectionResetError("the broker closed the connection")
        count = connection.count
        done = count.feed(data)
        connection.acknowledged += done
        self._total += done
        in_flight = connection.sent_chunks - connection.acknowledged // self._chunk
        sent_at = connection.sent_at
        if len(sent_at) <= in_flight:
            wire.hurry_acknowledgements(connection.sock)
            return count.answer != b""
        while len(sent_at) > in_flight:
            elapsed_ms = (now - sent_at.popleft()) * 1000
            if self._is_measuring:
                self._chunk_ms.append(elapsed_ms)
        return True

    def _refill(self, connection: _Connection, ready: wire.ReadyFiles, now: float) -> None:
        """Sends what the socket did not take before, answers, and the chunks that the window has room for."""
        count = connection.count
        pieces: list[bytes | memoryview] = []
        had_unsent = connection.unsent is not None
        if connection.unsent is not None:
            pieces.append(connection.unsent)
        if count.answer:
            pieces.append(count.answer)
            count.answer = b""
        free = self.window.slots - (connection.sent_chunks - connection.acknowledged // self._chunk)
        if connection.budget >= 0:
            free = min(free, connection.budget)
            connection.budget -= free
        if free > 0:
            at_ms = time.time_ns() // 1_000_000
            pieces.extend([connection.stream.render(at_ms) for _ in range(free)])
            connection.sent_chunks += free
            connection.sent_at.extend([now] * free)
        if not pieces:
            return
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        try:
            taken = connection.sock.send(data)
            wire.hurry_acknowledgements(connection.sock)
        except BlockingIOError:
            taken = 0
        connection.unsent = memoryview(data)[taken:] if taken < len(data) else None
        if had_unsent != (connection.unsent is not None):
            ready.watch_writes(connection.sock.fileno(), wanted=not had_unsent)

    def _drain(self, ready: wire.ReadyFiles, sweep: _Sweep) -> None:
        """Waits for the acknowledgements of what was sent; connections that are through say DISCONNECT."""
        self._is_measuring = False
        deadline = time.monotonic() + _DRAIN_S
        for connection in self._connections.values():
            connection.budget = 0
            self._wake_for_chunks(connection.sock, 1)
        while time.monotonic() < deadline and any(
            c.acknowledged < c.sent_chunks * self.window.chunk for c in self._connections.values()
        ):
            self._step(ready, sweep)
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                connection.sock.send(packets.DISCONNECT)


def main() -> int:
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=PublishOrder)
    try:
        wire.raise_file_limit(len(order.credentials))
        opened = wire.sign_in_all(
            order.host,
            order.port,
            order.credentials,
            order.version,
            on_progress=lambda count: say(Progress(connected=count)),
        )
        publisher = Publisher(order, opened)
        start = float(sys.stdin.buffer.readline())
        report = publisher.run(start)
    except SimError as error:
        print(error, file=sys.stderr)
        return 1
    for sock, _ in opened:
        sock.close()
    say(report)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The process at the far end: reads a stream of stamped messages and notes how old each is when it arrives.

Started by `tests.bench.live` as `python -m tests.bench.stamp_reader`. Standard input: one line with the `Order`.
Standard output: `Listening` when the stream is open, `Arrivals` when nothing has come for a while.
"""

import re
import socket
import sys
import time

import msgspec

from firmware_sim.worker import say

READ_SIZE = 1 << 18
LONGEST_STAMP = 256
OPENS_WITHIN_S = 20.0


class Order(msgspec.Struct, frozen=True):
    """What to send first, what the answer holds when the stream is open, and how to find a stamp (a whole number of
    µs since 1970 UTC, group 1) together with something behind it. The stream is over after `quiet_s` of silence."""

    port: int
    hello: bytes
    is_open: bytes
    stamp: str
    warm_up_s: float
    quiet_s: float


class Listening(msgspec.Struct, frozen=True, tag="listening"):
    """The stream is open."""


class Arrivals(msgspec.Struct, frozen=True, tag="arrivals"):
    """`received`: all messages. `age_us`: of each that was sent after the warm-up, sorted."""

    received: int
    age_us: tuple[int, ...]


def read(sock: socket.socket, order: Order, data: bytes) -> Arrivals:
    """Reads until it is quiet; `data`: what came with the answer."""
    find = re.compile(order.stamp.encode()).finditer
    arrived: list[tuple[int, int]] = []
    sock.settimeout(OPENS_WITHIN_S)
    while True:
        rest = 0
        now_us = time.time_ns() // 1000
        for found in find(data):
            arrived.append((int(found[1]), now_us))
            rest = found.end()
        data = data[max(rest, len(data) - LONGEST_STAMP) :]
        try:
            more = sock.recv(READ_SIZE)
        except TimeoutError:
            break
        if not more:
            break
        sock.settimeout(order.quiet_s if arrived else OPENS_WITHIN_S)
        data += more
    first_us = min((sent_us for sent_us, _ in arrived), default=0) + round(order.warm_up_s * 1e6)
    return Arrivals(len(arrived), tuple(sorted(at_us - sent_us for sent_us, at_us in arrived if sent_us >= first_us)))


def main() -> int:
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    with socket.create_connection(("127.0.0.1", order.port), timeout=OPENS_WITHIN_S) as sock:
        sock.sendall(order.hello)
        data = b""
        while order.is_open not in data:
            more = sock.recv(READ_SIZE)
            if not more:
                print(f"the server closed the stream: {data[:200]!r}", file=sys.stderr)
                return 1
            data += more
        say(Listening())
        arrivals = read(sock, order, data)
    say(arrivals)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

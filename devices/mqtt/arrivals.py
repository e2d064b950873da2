"""How fast one address may open connections. Pure; times are seconds of a steady clock.

A storm after a power cut is normal, and waiting a moment does no device harm; only what would have to wait for
longer is turned away. Each address has a theoretical time of its next arrival (GCRA, ITU-T I.371).
"""

BURST_S = 1.0
"""Arrivals of this long at the full rate may come at once."""

LONGEST_WAIT_S = 2.0
MAX_ADDRESSES = 10_000


class Arrivals:
    """`rate`: connections a second from one address."""

    def __init__(self, rate: float) -> None:
        self._interval_s = 1.0 / rate
        self._next_s: dict[str, float] = {}

    def wait_s(self, address: str, now_s: float) -> float | None:
        """Returns for how long a new connection has to wait before it is served, 0 for not at all; None if it is to
        be turned away."""
        earliest_s = now_s - BURST_S
        next_s = max(self._next_s.get(address, earliest_s), earliest_s)
        wait_s = max(0.0, next_s - now_s)
        if wait_s > LONGEST_WAIT_S:
            return None
        if len(self._next_s) >= MAX_ADDRESSES:
            busy = {known: then_s for known, then_s in self._next_s.items() if then_s > earliest_s}
            self._next_s = busy if len(busy) < MAX_ADDRESSES // 2 else {}
        self._next_s[address] = next_s + self._interval_s
        return wait_s

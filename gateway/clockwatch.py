"""Whether the gateway's own clock is to be believed. Pure; times are µs since 1970 UTC.

A machine without a battery starts in 1970 or at its last shutdown. What speaks against the clock: it is before the
program was made, behind the newest time the database knows, or most devices that stamp their messages disagree.
What speaks for it: most devices agree. Devices outvote the database, which may have learnt from a wrong clock.
"""

from collections import OrderedDict
from statistics import median

MADE_US = 1_767_225_600_000_000
"""2026-01-01: no clock of this program's life can be before it."""

BEHIND_US = 3_600 * 1_000_000
DISAGREES_US = 3_600 * 1_000_000
AGREES_US = 120 * 1_000_000
QUORUM = 5
MAX_DEVICES = 1_000


class ClockWatch:
    """`newest_known_us`: the latest time the database has of the gateway's own clock."""

    def __init__(self, newest_known_us: int) -> None:
        self._newest_known_us = newest_known_us
        self._offsets_us: OrderedDict[str, int] = OrderedDict()
        self.doubt: str | None = None

    @property
    def is_right(self) -> bool:
        return self.doubt is None

    def note_stamp(self, device_id: str, ahead_us: int) -> None:
        """Notes how far the stamp of a message that just came in is ahead of the gateway's clock."""
        offsets = self._offsets_us
        offsets[device_id] = ahead_us
        if len(offsets) > MAX_DEVICES:
            offsets.popitem(last=False)

    def judge(self, now_us: int) -> bool:
        """Weighs what is known; returns whether the verdict changed. Call it every few seconds."""
        before = self.doubt
        self.doubt = self._doubt(now_us)
        if self.doubt is None:
            self._newest_known_us = max(self._newest_known_us, now_us)
        return self.doubt != before

    def _doubt(self, now_us: int) -> str | None:
        if now_us < MADE_US:
            return "the clock is before this program was made"
        if len(self._offsets_us) >= QUORUM:
            ahead_us = median(list(self._offsets_us.values()))
            if abs(ahead_us) > DISAGREES_US:
                return f"most devices' clocks are {ahead_us / 1e6 / 3600:+.1f} h from the gateway's"
            if abs(ahead_us) <= AGREES_US:
                self._newest_known_us = min(self._newest_known_us, now_us)
                return None
        if now_us < self._newest_known_us - BEHIND_US:
            return "the clock is behind the newest time in the database"
        return None

"""Whether the gateway's own clock is to be believed. Times are µs since 1970 UTC, steady ones from anywhere.

A machine without a battery starts in 1970 or at its last shutdown; a battery at its end may give any year. What
speaks against the clock: it is before the program was made, behind the newest time the database knows or far ahead
of it, or most devices that stamp their messages disagree. What speaks for it: most devices agree. Devices outvote
the database, which may have learnt from a wrong clock.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

import structlog

from foundation.clock import DAY_US, HOUR_US, MINUTE_US
from foundation.clocks import monotonic_us, wall_us
from foundation.errors import Unavailable

log = structlog.get_logger("gateway")

MADE_US = 1_767_225_600_000_000
"""2026-01-01: no clock of this program's life can be before it."""

BEHIND_US = HOUR_US
AHEAD_US = 180 * DAY_US
"""A gateway may stand in a cupboard over a long holiday; for longer the clock alone is not believed."""

DISAGREES_US = HOUR_US
AGREES_US = 2 * MINUTE_US
JUMPED_US = MINUTE_US
QUORUM = 5
"""So many devices can speak against the clock. Fewer may all have been set by one wrong hand."""

AGREEING = 2
"""So many devices can speak for it: two clocks do not show the same wrong minute by chance."""

MAX_DEVICES = 1_000
JUDGE_EVERY_S = 1.0
NOTE_EVERY_US = MINUTE_US


class ClockWatch:
    """`newest_known_us`: the latest time the database has of the gateway's own clock, 0 for a new database.

    `judge` and `is_right_at` take the machine's time and a steady one that never jumps.
    """

    def __init__(self, newest_known_us: int) -> None:
        self._newest_known_us = newest_known_us
        self._offsets_us: OrderedDict[str, int] = OrderedDict()
        self._judged_us: int | None = None
        self._judged_steady_us = 0
        self.doubt: str | None = None

    @property
    def is_right(self) -> bool:
        return self.doubt is None

    def is_right_at(self, now_us: int, steady_us: int) -> bool:
        """True if the clock was believed when it was last judged, and has not jumped since."""
        return self.doubt is None and not self.has_jumped(now_us, steady_us)

    def has_jumped(self, now_us: int, steady_us: int) -> bool:
        """True if the clock was set since it was last judged."""
        if self._judged_us is None:
            return False
        return abs((now_us - self._judged_us) - (steady_us - self._judged_steady_us)) > JUMPED_US

    def best_us(self, now_us: int) -> int:
        """Returns the clock's time if it is believed, else the newest time the database knows, if there is one."""
        return now_us if self.is_right or not self._newest_known_us else self._newest_known_us

    def note_stamp(self, device_id: str, ahead_us: int) -> None:
        """Notes how far the stamp of a message that just came in is ahead of the gateway's clock."""
        offsets = self._offsets_us
        offsets[device_id] = ahead_us
        if len(offsets) > MAX_DEVICES:
            offsets.popitem(last=False)

    def judge(self, now_us: int, steady_us: int) -> bool:
        """Weighs what is known; returns whether the verdict changed. Call it every second or so.

        After a jump the devices have to speak anew: what they said was about the time before.
        """
        before = self.doubt
        if self.has_jumped(now_us, steady_us):
            self._offsets_us = OrderedDict()  # a new one: the writer's thread may be at the old one
        self._judged_us, self._judged_steady_us = now_us, steady_us
        self.doubt = self._doubt(now_us)
        if self.doubt is None:
            self._newest_known_us = max(self._newest_known_us, now_us)
        return self.doubt != before

    def _doubt(self, now_us: int) -> str | None:
        if now_us < MADE_US:
            return "the clock is before this program was made"
        offsets_us = list(self._offsets_us.values())
        ahead_us = _consensus_us(offsets_us)
        if ahead_us is not None:
            if abs(ahead_us) <= AGREES_US and len(offsets_us) >= AGREEING:
                self._newest_known_us = min(self._newest_known_us, now_us)
                return None
            if abs(ahead_us) > DISAGREES_US and len(offsets_us) >= QUORUM:
                return f"most devices' clocks are {ahead_us / 1e6 / 3600:+.1f} h from the gateway's"
        if now_us < self._newest_known_us - BEHIND_US:
            return "the clock is behind the newest time in the database"
        if self._newest_known_us and now_us > self._newest_known_us + AHEAD_US:
            days = (now_us - self._newest_known_us) // DAY_US
            return f"the clock is {days} days ahead of the newest time in the database"
        return None


async def watch(clock: ClockWatch, note: Callable[[int], Awaitable[None]], clock_was_set: Callable[[], None]) -> None:
    """Judges the machine's clock once a second, until cancelled. `note` stores the newest time that is believed, for
    the next start, once a minute; it may raise Unavailable. `clock_was_set` is told when the clock jumped."""
    noted_us = 0
    while True:
        now_us, steady_us = wall_us(), monotonic_us()
        has_jumped = clock.has_jumped(now_us, steady_us)
        if clock.judge(now_us, steady_us):
            log.warning("clock_judged", is_right=clock.is_right, doubt=clock.doubt)
        if has_jumped:
            log.warning("clock_was_set", is_right=clock.is_right)
            clock_was_set()
        if clock.is_right and not 0 <= now_us - noted_us < NOTE_EVERY_US:
            noted_us = now_us
            try:
                await note(now_us)
            except Unavailable:
                noted_us = 0
        await asyncio.sleep(JUDGE_EVERY_S)


def _consensus_us(offsets_us: Sequence[int]) -> float | None:
    """Returns what most of the devices say to within `AGREES_US`, None if no most of them say the same: clocks that
    are wrong each in its own way say nothing."""
    if not offsets_us:
        return None
    middle_us = median(offsets_us)
    near = sum(abs(offset_us - middle_us) <= AGREES_US for offset_us in offsets_us)
    return middle_us if 2 * near > len(offsets_us) else None

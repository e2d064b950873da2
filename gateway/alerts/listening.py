"""Time as the alert engine counts it. Pure; every time is in integer µs.

Two kinds of time meet in an alert. *Event time* is when a device says that something was so; durations are
counted in it, because data come late and in bursts. *Listening time* is for how long the gateway has been
up and listening; silence is counted in it, because a gateway that was switched off, or whose clock was set,
has no right to call a device silent. `Listening` is the second kind, `Timeline` ties the first to it for
one subject.

What that means for the gateway's own clock, of which nothing is expected:

- A step forward of up to `LONGEST_STEP_US` is time that passed. A longer one is a clock that was set, or a
  gateway that stood still: it counts as nothing, so a clock ten years ahead makes nothing fire.
- A step back of up to `LIVE_TOLERANCE_US` is waited out. A longer one is a clock that was set: it counts as
  nothing.
- After a clock was set, event times before and after cannot be compared. The next event of every subject is
  taken as the newest, and the time until then counts as long as it was listened to.
"""

from foundation.clock import LIVE_TOLERANCE_US, MINUTE_US

LONGEST_STEP_US = MINUTE_US
"""The engine is to be called more often than this; a longer step of the clock is not believed."""

PACE = 10
"""Events come in as far apart as they say they are if the difference is less than a tenth."""

NEVER_US = -(10**18)


class Listening:
    """The listening clock: `listened_us` only grows, whatever the gateway's clock does.

    `now_us` is the gateway's time of the last step. `era` grows by one when its clock was set.
    """

    __slots__ = ("era", "listened_us", "now_us")

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us
        self.listened_us = 0
        self.era = 0

    def advance(self, now_us: int) -> None:
        """Takes the gateway's time; any value is right, none raises."""
        step_us = now_us - self.now_us
        if 0 <= step_us <= LONGEST_STEP_US:
            self.listened_us += step_us
        elif -LIVE_TOLERANCE_US <= step_us < 0:
            return
        else:
            self.era += 1
        self.now_us = now_us


class Timeline:
    """The events of one subject in event time, and where the newest of them lies in listening time.

    `at_us`: event time of the newest event, None before the first. `moment_us`: the listening time that it
    stands for. For an event that comes live that is its arrival. A buffered event that comes an hour late
    stands for an hour ago, so that it proves nothing about now; a device whose clock is an hour slow is
    live all the same, and is told apart by its pace: its events come in as far apart as they say they are.
    `moved_us`: by how much the last accepted event moved all event times before it, 0 unless a clock was
    set.

    A restored timeline gets its `at_us`; `is_comparable` is False if a clock may have been set in between.
    """

    __slots__ = ("_arrived_us", "_era", "at_us", "moment_us", "moved_us")

    def __init__(self, moment_us: int = NEVER_US, at_us: int | None = None, *, is_comparable: bool = True) -> None:
        self.at_us = at_us
        self.moment_us = moment_us
        self.moved_us = 0
        self._arrived_us = moment_us
        self._era = 0 if is_comparable else -1

    def accept(self, at_us: int, listening: Listening) -> int | None:
        """Takes an event as the newest and returns the gap before it: for how long there was none, in event
        or in listening time, whichever is less (0 for the first). Returns None, and changes nothing, if the
        event is older than the newest one."""
        listened_us = listening.listened_us
        newest_us = self.at_us
        latest_us = listening.now_us + LIVE_TOLERANCE_US
        silent_us = listened_us - self.moment_us
        if newest_us is None:
            age_us = listening.now_us - at_us
            gap_us = 0
            self.moved_us = 0
            self.moment_us = max(self.moment_us, listened_us - (age_us if age_us > LIVE_TOLERANCE_US else 0))
        elif self._era != listening.era or at_us <= latest_us < newest_us:
            gap_us = silent_us
            self.moved_us = at_us - newest_us - silent_us
            self.moment_us = listened_us
        elif at_us < newest_us:
            return None
        else:
            step_us = at_us - newest_us
            pace_us = listened_us - self._arrived_us
            gap_us = min(step_us, silent_us)
            self.moved_us = 0
            self.moment_us = min(listened_us, self.moment_us + step_us)
            if (
                listened_us - self.moment_us <= LIVE_TOLERANCE_US
                or abs(listening.now_us - at_us) <= LIVE_TOLERANCE_US
                or abs(step_us - pace_us) * PACE < step_us
            ):
                self.moment_us = listened_us
        self.at_us = at_us
        self._arrived_us = listened_us
        self._era = listening.era
        return gap_us

    def touch(self, listening: Listening) -> None:
        """Notes a sign of life that has no event time: the subject is there now."""
        self.moment_us = self._arrived_us = listening.listened_us

"""How sure a time is: judges a device's stamp against the moment of receipt. Pure; times are µs since 1970 UTC."""

import enum
from typing import Final, Literal

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

LIVE_TOLERANCE_US = 120 * SECOND_US
"""A stamp this near to the moment of receipt agrees with the gateway's clock."""

OLDEST_PLAUSIBLE_US = 5 * 366 * DAY_US
"""A buffered event may be this old; an older stamp is a clock that was never set (1970, 2000, 2016)."""


ClockLabel = Literal["good", "estimated", "unknown"]

CLOCK_LABELS: Final[tuple[ClockLabel, ...]] = ("good", "estimated", "unknown")
"""By the number of a `Clock`."""


class Clock(enum.IntEnum):
    """How sure a row's time is; stored as its number, shown as its name in lower case."""

    GOOD = 0
    """The device stamped it, and the device's clock is known to agree with the gateway's."""
    ESTIMATED = 1
    """The gateway's time of receipt: the device gave no stamp, or one that cannot be true."""
    UNKNOWN = 2
    """A plausible stamp that nothing confirms, or the gateway's own clock is in doubt."""

    @property
    def label(self) -> ClockLabel:
        return CLOCK_LABELS[self]


def judge(
    stamp_us: int | None, received_us: int, *, is_device_clock_right: bool, is_gateway_clock_right: bool
) -> tuple[int, Clock]:
    """Returns the time to store and how sure it is.

    `is_device_clock_right`: this device's latest live stamp agreed with the gateway's clock, so that a late
    message of the same device may be believed. With the gateway's own clock in doubt nothing is sure, but the
    device's stamp is kept wherever there is one.
    """
    if not is_gateway_clock_right:
        return (received_us if stamp_us is None else stamp_us), Clock.UNKNOWN
    if stamp_us is None:
        return received_us, Clock.ESTIMATED
    ahead_us = stamp_us - received_us
    if -LIVE_TOLERANCE_US <= ahead_us <= LIVE_TOLERANCE_US:
        return stamp_us, Clock.GOOD
    if ahead_us > 0 or ahead_us < -OLDEST_PLAUSIBLE_US:
        return received_us, Clock.ESTIMATED
    return stamp_us, Clock.GOOD if is_device_clock_right else Clock.UNKNOWN

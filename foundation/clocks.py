"""The clocks: the machine's time, which may be set and jump, and steady ones for timers. All in µs."""

import time
from collections.abc import Callable


def wall_us() -> int:
    """Returns the machine's time, µs since 1970 UTC; it may jump."""
    return time.time_ns() // 1000


def monotonic_us() -> int:
    """Returns µs since some moment; it never jumps."""
    return time.monotonic_ns() // 1000


def steady_clock(start_us: int) -> Callable[[], int]:
    """Returns a clock that starts at `start_us` and never jumps, for timers."""
    offset_us = start_us - monotonic_us()
    return lambda: monotonic_us() + offset_us

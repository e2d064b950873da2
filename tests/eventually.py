"""Waiting for what has to become true."""

import asyncio
import time
from collections.abc import Callable

POLL_S = 0.01


async def eventually(condition: Callable[[], object], within_s: float = 120.0, *, what: str = "") -> None:
    """Returns when `condition` is true. Raises AssertionError if it does not become so."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what or condition}"
        await asyncio.sleep(POLL_S)

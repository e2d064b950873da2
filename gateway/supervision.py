"""Owns every task: runs it until it is told to end, and again, with back-off, whenever it fails.

    running ──fails──▶ waiting (the reason stands in `readiness`) ──▶ running …
       └─────closed or cancelled──────┴──────────▶ ended

A task that fails takes nothing else with it: its work begins anew where it is safe to begin, the rest goes on.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import structlog

from foundation.backoff import Backoff
from foundation.room import Totals

log = structlog.get_logger("gateway")

AGAIN_AFTER_S = 1.0
AGAIN_AT_MOST_AFTER_S = 60.0
DRAIN_WITHIN_S = 15.0

Work = Callable[[], Awaitable[None]]


class Supervisor:
    """All of it runs on the event loop. `draw` returns numbers from 0 to 1, for the jitter."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._failures: dict[str, str] = {}
        self._failures_total = 0

    @asynccontextmanager
    async def running(self, name: str, work: Work, close: Callable[[], None] | None = None) -> AsyncIterator[None]:
        """Keeps `work` running beside the others until left: then it is told to `close`, if it can be, and has
        DRAIN_WITHIN_S to end; else it is cancelled.

        `work` may be called again after it has failed, so it begins with what it finds. If it returns, it is done.
        """
        closing = asyncio.Event()
        task = asyncio.create_task(self._keep(name, work, closing), name=name)
        try:
            yield
        finally:
            closing.set()
            if close is not None:
                close()
                await asyncio.wait([task], timeout=DRAIN_WITHIN_S)
            task.cancel()
            await asyncio.wait([task])
            self._failures.pop(name, None)

    def readiness(self) -> Mapping[str, str | None]:
        """Returns the tasks that wait to be tried again, with the reason; none that runs."""
        return dict(self._failures)

    def totals(self) -> Totals:
        return {"task_failures": ("Tasks that failed and were started again", self._failures_total)}

    async def _keep(self, name: str, work: Work, closing: asyncio.Event) -> None:
        clock = asyncio.get_running_loop().time
        backoff = Backoff(AGAIN_AFTER_S, AGAIN_AT_MOST_AFTER_S, self._draw)
        while not closing.is_set():
            started_s = clock()
            try:
                await work()
            except Exception as error:
                backoff.note_lived(clock() - started_s)
                wait_s = backoff.next_s()
                self._failures_total += 1
                self._failures[name] = f"failed ({type(error).__name__}), and is tried again"
                log.error("task_failed", task=name, again_in_s=round(wait_s, 1), exc_info=error)
            else:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await closing.wait()
            self._failures.pop(name, None)

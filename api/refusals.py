"""Calls that were refused: counted at once, audited within a second, however many there are.

Refusals of one second become few rows: a caller that guesses keys a thousand times a second makes one write.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client import Counter as Metric
from sqlalchemy import Connection

from foundation.errors import Unavailable
from gateway.access import audit
from gateway.store.store import Store

log = structlog.get_logger("api")

EVERY_S: Final = 1.0
MAX_WAITING: Final = 1000
OTHERS: Final = ("client:others", "calls_refused", "too many different ones to list each")

Entry = tuple[str, str, str]
"""Actor, action and detail, see `gateway.access.audit.record`."""


class Refusals:
    """Writes by a task of its own, which lives while there is something to write."""

    def __init__(self, store: Store, now_us: Callable[[], int], metrics: CollectorRegistry) -> None:
        self._store = store
        self._now_us = now_us
        self._waiting: Counter[Entry] = Counter()
        self._writing: asyncio.Task[None] | None = None
        self._total = Metric("schoolgate_http_refused", "Refused calls", ["action"], registry=metrics)

    def note(self, actor: str, action: str, detail: str) -> None:
        """Notes one refusal; returns at once."""
        self._total.labels(action).inc()
        entry = (actor, action, detail)
        self._waiting[entry if entry in self._waiting or len(self._waiting) < MAX_WAITING else OTHERS] += 1
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="refusals")

    async def _write(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, Counter()
                at_us = self._now_us()
                await self._store.write(lambda c, waiting=waiting, at_us=at_us: _record(c, waiting, at_us))  # type: ignore[misc]
                await asyncio.sleep(EVERY_S)
        except Unavailable as error:
            log.warning("refusals_not_audited", reason=error.reason)
        finally:
            self._writing = None


def _record(connection: Connection, waiting: Mapping[Entry, int], at_us: int) -> None:
    for (actor, action, detail), count in waiting.items():
        audit.record(connection, actor, action, detail, at_us, count)

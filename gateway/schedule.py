"""Periodic work by APScheduler: each job is a coroutine that does it once, never two of a kind at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from foundation.errors import Unavailable
from foundation.room import Job, Room, Transactions
from gateway.retention import prune_once

log = structlog.get_logger("schedule")

PRUNE_EVERY_S: Final = 3_600
PRUNE_JITTER_S: Final = 600


@contextmanager
def scheduled(
    store: Transactions, rooms: Sequence[Room], now_us: Callable[[], int], is_clock_right: Callable[[], bool]
) -> Iterator[Callable[[], None]]:
    """Runs the rooms' jobs, and retention, until left. Nothing is deleted for its age while the gateway's clock is in
    doubt. Yields what to call when the clock was set: jobs are due by the machine's time."""

    async def prune(store: Transactions, at_us: int) -> None:
        if is_clock_right():
            await prune_once(store, rooms, at_us)
        else:
            log.warning("prune_put_off", reason="the clock is in doubt")

    def jobs() -> list[Job]:
        return [*(job for room in rooms for job in room.jobs), Job("prune", PRUNE_EVERY_S, prune, PRUNE_JITTER_S)]

    async def do(job: Job) -> None:
        try:
            await job.once(store, now_us())
        except Unavailable as error:
            log.info(f"{job.name}_put_off", reason=error.reason)

    def clock_was_set() -> None:
        for job in jobs():
            scheduler.reschedule_job(job.name, trigger="interval", seconds=job.every_s, jitter=job.jitter_s)

    defaults = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
    scheduler = AsyncIOScheduler(timezone="UTC", job_defaults=defaults)
    for job in jobs():
        scheduler.add_job(partial(do, job), "interval", id=job.name, seconds=job.every_s, jitter=job.jitter_s)
    scheduler.start()
    try:
        yield clock_was_set
    finally:
        scheduler.shutdown(wait=False)

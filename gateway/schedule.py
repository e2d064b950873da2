"""Periodic work by APScheduler: each job is a coroutine that does it once, never two of a kind at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from foundation.errors import Unavailable
from gateway.configuration.layers import Configuration
from gateway.readings.roll_up import prune_once, roll_up_once
from gateway.store.store import Store

log = structlog.get_logger("schedule")


ROLL_UP_EVERY = {"minutes": 1}
PRUNE_EVERY = {"hours": 1, "jitter": 600}


@contextmanager
def scheduled(
    store: Store, configuration: Configuration, now_us: Callable[[], int], is_clock_right: Callable[[], bool]
) -> Iterator[Callable[[], None]]:
    """Runs the jobs until left. Nothing is deleted for its age while the gateway's clock is in doubt. Yields what to
    call when the clock was set: jobs are due by the machine's time."""

    async def roll_up() -> None:
        try:
            await roll_up_once(store, now_us())
        except Unavailable as error:
            log.info("roll_up_put_off", reason=error.reason)

    async def prune() -> None:
        if not is_clock_right():
            log.warning("pruning_put_off", reason="the clock is in doubt")
            return
        kept, privacy = configuration.store, configuration.privacy
        try:
            await prune_once(store, now_us(), kept.raw_days, kept.roll_up_1m_days, privacy.tap_days, kept.audit_days)
        except Unavailable as error:
            log.info("pruning_put_off", reason=error.reason)

    def clock_was_set() -> None:
        scheduler.reschedule_job("roll_up", trigger="interval", **ROLL_UP_EVERY)
        scheduler.reschedule_job("prune", trigger="interval", **PRUNE_EVERY)

    defaults = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
    scheduler = AsyncIOScheduler(timezone="UTC", job_defaults=defaults)
    scheduler.add_job(roll_up, "interval", id="roll_up", **ROLL_UP_EVERY)
    scheduler.add_job(prune, "interval", id="prune", **PRUNE_EVERY)
    scheduler.start()
    try:
        yield clock_was_set
    finally:
        scheduler.shutdown(wait=False)

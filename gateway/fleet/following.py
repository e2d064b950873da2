"""The registry in memory follows its table, which the command line changes beside us."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from devices.registry import Registry
from foundation.errors import Unavailable
from gateway.logs import Repeated
from gateway.store.store import Store

log = structlog.get_logger("gateway")

POLL_S: Final = 1.0


async def follow(store: Store, registry: Registry, on_change: Callable[[], None]) -> None:
    """Reads the registry again whenever it changed, until cancelled."""
    unread = Repeated(log, "registry_not_read")
    while True:
        await asyncio.sleep(POLL_S)
        try:
            has_changed = await store.read(registry.refresh)
        except Unavailable as error:
            unread.failed(reason=error.reason)
            continue
        unread.succeeded()
        if has_changed:
            on_change()


def look_now(store: Store, registry: Registry) -> bool:
    """Reads the registry again if it changed, in the calling thread; returns whether it did."""
    try:
        return store.read_now(registry.refresh)
    except Unavailable:
        return False  # `follow` says why

"""Forgets what has been kept long enough, room by room."""

from collections.abc import Iterable

from foundation.clock import DAY_US
from foundation.room import Room, Transactions


async def prune_once(store: Transactions, rooms: Iterable[Room], now_us: int) -> None:
    """Deletes what is older than its days. A clock in doubt must not call this. Raises Unavailable."""
    for room in rooms:
        for lifetime in room.lifetimes:
            await lifetime.forget(store, now_us - lifetime.days * DAY_US)

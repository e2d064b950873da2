"""What was kept of a device that nobody had adopted is stored once somebody does."""

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.sql.elements import ClauseElement

from devices.frame import Frame, JournalEntry
from gateway.fleet.tables import kept_frame
from gateway.store.store import Store

STATEMENTS: dict[str, ClauseElement] = {
    "kept_frame_drop": delete(kept_frame).where(kept_frame.c.id == bindparam("frame_id")),
}

AT_ONCE = 1_000
"""Frames that are replayed in one piece."""


async def replay_device(store: Store, device_id: str) -> int:
    """Stores what was kept of a device that is adopted now; returns how many frames that were."""
    total = 0
    while True:
        kept = await store.read(lambda connection: _kept(connection, device_id))
        if not kept:
            return total
        frames = [frame for _, frame in kept]
        await store.take_in(frames, [JournalEntry("kept_frame_drop", (row_id,)) for row_id, _ in kept])
        total += len(frames)


def _kept(connection: Connection, device_id: str) -> list[tuple[int, Frame]]:
    query = select(kept_frame).where(kept_frame.c.device_id == device_id).order_by(kept_frame.c.id).limit(AT_ONCE)
    return [
        (row.id, Frame(row.topic, row.payload, row.received_us, device_id, row.is_retained))
        for row in connection.execute(query)
    ]

"""Sends kept frames through the ingest again: after an adoption, or a dead letter that somebody asks for."""

import asyncio

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.sql.elements import ClauseElement

from devices.frame import Frame, Intake, JournalEntry
from devices.tables import dead_letter, kept_frame
from gateway.errors import NotFound
from gateway.store.store import Store
from gateway.store.writer import Writer

STATEMENTS: dict[str, ClauseElement] = {
    "kept_frame_drop": delete(kept_frame).where(kept_frame.c.id == bindparam("frame_id")),
    "dead_letter_drop": delete(dead_letter).where(dead_letter.c.id == bindparam("letter_id")),
}

PAGE = 1000


async def _submit(writer: Writer, frames: list[Frame], journal: list[JournalEntry]) -> Intake:
    """Stores the frames and drops where they were kept, in one transaction; returns after the commit."""
    done = asyncio.get_running_loop().create_future()
    intake = Intake(frames, lambda: done.set_result(None), sum(len(frame.payload) for frame in frames), journal)
    writer.submit(intake)
    await done
    return intake


async def replay_device(store: Store, writer: Writer, device_id: str) -> int:
    """Stores what was kept of a device that is adopted now; returns how many frames that were."""
    total = 0
    while True:
        kept = await store.read(lambda connection: _kept(connection, device_id))
        if not kept:
            return total
        frames = [frame for _, frame in kept]
        await _submit(writer, frames, [JournalEntry("kept_frame_drop", (row_id,)) for row_id, _ in kept])
        total += len(frames)


def _kept(connection: Connection, device_id: str) -> list[tuple[int, Frame]]:
    query = select(kept_frame).where(kept_frame.c.device_id == device_id).order_by(kept_frame.c.id).limit(PAGE)
    return [
        (row.id, Frame(row.topic, row.payload, row.received_us, device_id, row.is_retained))
        for row in connection.execute(query)
    ]


async def replay_dead_letter(store: Store, writer: Writer, letter_id: int) -> str | None:
    """Tries a dead letter again; returns None if it is stored now, else why it is a dead letter again (a new one).

    Raises NotFound.
    """

    def find(connection: Connection) -> Frame:
        row = connection.execute(select(dead_letter).where(dead_letter.c.id == letter_id)).first()
        if row is None:
            raise NotFound(f"dead letter {letter_id}")
        return Frame(row.topic, row.payload, row.received_us, row.device_id, row.is_retained)

    frame = await store.read(find)
    intake = await _submit(writer, [frame], [JournalEntry("dead_letter_drop", (letter_id,))])
    return intake.refused[0] if intake.refused else None

"""The store as the other parts see it: one writer, readers beside it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine

from devices.frame import Frame, Intake, JournalEntry
from foundation.errors import Unavailable
from gateway.store.sqlite import READERS
from gateway.store.writer import Writer, WriterStatus

T = TypeVar("T")


class Store:
    """Reads in worker threads, writes through the single writer."""

    def __init__(self, writer: Writer, readers: Engine, queue_cap_bytes: int) -> None:
        self._writer = writer
        self._readers = readers
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self.queue_cap_bytes = queue_cap_bytes

    @property
    def status(self) -> WriterStatus:
        return self._writer.status

    def median_commit_ms(self) -> float:
        """See `Writer.median_commit_ms`."""
        return self._writer.median_commit_ms()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """See `Writer.write`."""
        return await self._writer.write(work)

    async def take_in(self, frames: list[Frame], journal: list[JournalEntry]) -> Intake:
        """Sends frames through the ingest as a way in does, with `journal` in the same transaction; returns after the
        commit. Raises Unavailable if the journal could not be stored: then nothing is."""
        done = asyncio.get_running_loop().create_future()
        size_bytes = sum(len(frame.payload) for frame in frames)
        lost = Unavailable("it could not be stored; the log says why", retry_after_s=60.0)
        intake = Intake(
            frames, lambda: done.set_result(None), size_bytes, journal, lost=lambda: done.set_exception(lost)
        )
        self._writer.submit(intake)
        await done
        return intake

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Runs `query` on a connection that cannot write, in a worker thread, on one snapshot of the database."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, query)

    def read_now(self, query: Callable[[Connection], T]) -> T:
        """Runs `query` in the calling thread: for start-up, and for a look-up of microseconds on the event loop. There
        is a connection for it that no `read` can take."""
        return self._read(query)

    def _read(self, query: Callable[[Connection], T]) -> T:
        with self._readers.connect() as connection, connection.begin():
            return query(connection)

    def close(self) -> None:
        """Ends the reading threads and their connections."""
        self._threads.shutdown()
        self._readers.dispose()

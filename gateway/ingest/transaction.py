"""One transaction of the writer as the ingest fills it: rows are gathered while frames are decoded, then inserted."""

from itertools import chain

from sqlalchemy import Connection

from devices.frame import Frame
from foundation.clock import HOUR_US
from gateway.committed import Committed, Pack
from gateway.ingest.source import Source
from gateway.ingest.statements import Statements
from gateway.store.byte_cap import ByteCap


class Transaction:
    """`is_clock_right`: whether the gateway's own clock is believed. `hour`: the running one, since 1970."""

    __slots__ = (
        "_dead",
        "_dead_bytes",
        "_kept",
        "_kept_bytes",
        "committed",
        "connection",
        "hour",
        "is_clock_right",
        "now_us",
        "touched",
    )

    def __init__(self, connection: Connection, now_us: int, *, is_clock_right: bool) -> None:
        self.connection = connection
        self.now_us = now_us
        self.hour = now_us // HOUR_US
        self.is_clock_right = is_clock_right
        self.committed = Committed(committed_us=now_us, last_frame_no=0)
        self.touched: list[Source] = []
        self._dead: list[tuple[object, ...]] = []
        self._dead_bytes = 0
        self._kept: list[tuple[object, ...]] = []
        self._kept_bytes = 0

    def touch(self, source: Source) -> None:
        """Notes that what is known of the source changed."""
        if not source.is_touched:
            source.is_touched = True
            self.touched.append(source)

    def keep(self, source: Source, frame: Frame) -> None:
        """Keeps a frame of a device that nobody has adopted."""
        self._kept_bytes += len(frame.payload)
        self._kept.append((source.device.id, frame.topic, frame.payload, frame.received_us, frame.is_retained))

    def refuse(self, frame: Frame, reason: str) -> None:
        """Makes a frame a dead letter."""
        self._dead_bytes += len(frame.payload)
        self._dead.append((frame.device_id, frame.topic, frame.payload, reason, frame.received_us, frame.is_retained))

    def write(self, statements: Statements, dead_letters: ByteCap, kept_frames: ByteCap) -> None:
        """Inserts what was gathered; what is over the caps goes, oldest first."""
        committed = self.committed
        for packs in (committed.packs, committed.retained_packs):
            self._insert_packs(statements, packs)
        if self._dead:
            self.connection.exec_driver_sql(statements.dead_letter, self._dead)
            committed.dead_letters = len(self._dead)
            dead_letters.grown(self.connection, self._dead_bytes)
        if self._kept:
            self.connection.exec_driver_sql(statements.kept_frame, self._kept)
            kept_frames.grown(self.connection, self._kept_bytes)

    def _insert_packs(self, statements: Statements, packs: list[Pack]) -> None:
        """In the order of the table, so that the packs of a group go to one page one after the other. Many rows a
        statement: the driver gives the event loop's thread a turn once a statement, not once a row."""
        packs = sorted(packs)
        start = 0
        for size, statement in statements.many_packs:
            while len(packs) - start >= size:
                parameters = tuple(chain.from_iterable(packs[start : start + size]))
                self.connection.exec_driver_sql(statement, parameters)
                start += size
        if start < len(packs):
            self.connection.exec_driver_sql(statements.pack, packs[start:])

"""Turns frames into rows, in the writer's transaction: decode, deduplicate, judge the clock, insert.

Everything here runs in the writer's thread. How devices speak is the business of the conventions.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from devices.errors import DecodeError
from devices.frame import Frame, Intake, Presence
from gateway.access import audit
from gateway.committed import Committed
from gateway.ingest.conventions import Convention, Handler, Plans
from gateway.ingest.sources import Sources
from gateway.ingest.statements import Statements
from gateway.ingest.transaction import Transaction
from gateway.store.byte_cap import ByteCap
from gateway.store.facts import read_fact


class Ingest:
    """See the module. `conventions`: in the order in which they are asked. `plans`: what they may have forgotten.
    `is_clock_right`: whether the gateway's own clock is believed just now."""

    def __init__(
        self,
        sources: Sources,
        conventions: Sequence[Convention],
        plans: Plans,
        statements: Statements,
        now_us: Callable[[], int],
        is_clock_right: Callable[[], bool],
        dead_letter_cap: ByteCap,
        kept_frame_cap: ByteCap,
    ) -> None:
        self._sources = sources
        self._conventions = conventions
        self._plans = plans
        self._statements = statements
        self._now_us = now_us
        self._is_clock_right = is_clock_right
        self._dead_letter_cap = dead_letter_cap
        self._kept_frame_cap = kept_frame_cap
        self._last_frame_no: int | None = None

    def apply(self, connection: Connection, intakes: list[Intake]) -> Committed:
        """See `gateway.store.writer.Ingest`."""
        if self._last_frame_no is None:
            self._last_frame_no = read_fact(connection, "last_frame_no")
        if self._sources.follow_registry(connection):
            self._plans.forget()
        transaction = Transaction(connection, self._now_us(), is_clock_right=self._is_clock_right())
        plans = self._plans.by_topic
        number = first = self._last_frame_no
        for intake in intakes:
            for frame in intake.frames:
                number += 1
                try:
                    handler = plans.get(frame.topic) or self._plan(transaction, frame.topic)
                    handler(transaction, frame, number)
                except DecodeError as error:
                    intake.refused.append((frame, error.reason))
                    transaction.refuse(frame, error.reason)
            if intake.events:
                self._note_events(transaction, intake)
            if intake.journal:
                self._write_journal(connection, intake)
        committed = transaction.committed
        committed.frames = number - first
        committed.last_frame_no = number
        transaction.write(self._statements, self._dead_letter_cap, self._kept_frame_cap)
        self._sources.write(transaction)
        if number != first:
            connection.exec_driver_sql(self._statements.fact, ("last_frame_no", str(number)))
        self._last_frame_no = number
        return committed

    def forget(self) -> None:
        """See `gateway.store.writer.Ingest`."""
        self._last_frame_no = None
        self._plans.forget()
        self._sources.forget()
        self._dead_letter_cap.forget()
        self._kept_frame_cap.forget()
        for convention in self._conventions:
            convention.forget()

    def bury(self, connection: Connection, frame: Frame, reason: str) -> None:
        """See `gateway.store.writer.Ingest`."""
        row = (frame.device_id, frame.topic, frame.payload, reason, frame.received_us, frame.is_retained)
        connection.exec_driver_sql(self._statements.dead_letter, row)

    def _plan(self, transaction: Transaction, topic: str) -> Handler:
        """The first convention that claims a topic has it; one that none claims is no device's."""
        for convention in self._conventions:
            handler = convention.claims(transaction, topic)
            if handler is not None:
                return self._plans.remember(topic, handler)
        return self._plans.remember(topic, _only_brokered)

    def _note_events(self, transaction: Transaction, intake: Intake) -> None:
        for event in intake.events:
            if isinstance(event, Presence):
                source = self._sources.get(transaction, event.device_id)
                self._sources.set_online(transaction, source, event.at_us, is_online=event.is_online)
                source.last_seen_us = event.at_us
            else:
                audit.record(transaction.connection, event.actor, event.action, event.detail, event.at_us)

    def _write_journal(self, connection: Connection, intake: Intake) -> None:
        """Consecutive entries of one statement are one executemany; the order between statements is kept."""
        journal = self._statements.journal
        group: list[tuple[object, ...]] = []
        name = intake.journal[0].statement
        for entry in intake.journal:
            if entry.statement != name:
                connection.exec_driver_sql(journal[name], group)
                name, group = entry.statement, []
            group.append(entry.parameters)
        connection.exec_driver_sql(journal[name], group)


def _only_brokered(_transaction: Transaction, _frame: Frame, _number: int) -> None:
    """The topic is no device's: the door hands it to its subscribers, and nothing is stored."""

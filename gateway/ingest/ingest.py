"""Turns frames into rows, in the writer's transaction: decode, deduplicate, judge the clock, insert.

Everything here runs in the writer's thread. What is done with a topic is decided once and remembered.
"""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, select, update

from devices.errors import DecodeError
from devices.frame import Frame, Intake, Presence
from devices.payloads import native
from devices.payloads.values import Status, Tap, Telemetry
from devices.registry import DeviceState, PayloadFormat
from foundation.clock import HOUR_US, LIVE_TOLERANCE_US, Clock, judge
from gateway.access import audit
from gateway.committed import Committed
from gateway.fleet.tables import command
from gateway.ingest.homeassistant import Discovery
from gateway.ingest.source import Source
from gateway.ingest.sources import Sources
from gateway.ingest.statements import Statements
from gateway.ingest.taps import store_tap
from gateway.ingest.transaction import Transaction
from gateway.store.byte_cap import ByteCap
from gateway.store.facts import read_fact

MAX_PLANS = 50_000
"""Topics whose handling is remembered; a peer that invents topics only makes us look again."""

Handler = Callable[[Transaction, Frame, int], None]


class Ingest:
    """See the module. `is_clock_right`: whether the gateway's own clock is believed just now."""

    def __init__(
        self,
        sources: Sources,
        statements: Statements,
        school_key: bytes,
        now_us: Callable[[], int],
        is_clock_right: Callable[[], bool],
        dead_letter_cap: ByteCap,
        kept_frame_cap: ByteCap,
        discovery: Discovery,
    ) -> None:
        self._sources = sources
        self._statements = statements
        self._school_key = school_key
        self._now_us = now_us
        self._is_clock_right = is_clock_right
        self._dead_letter_cap = dead_letter_cap
        self._kept_frame_cap = kept_frame_cap
        self._discovery = discovery
        self._last_frame_no: int | None = None
        self._plans: dict[str, Handler] = {}

    def apply(self, connection: Connection, intakes: list[Intake]) -> Committed:
        """See `gateway.store.writer.Ingest`."""
        if self._last_frame_no is None:
            self._last_frame_no = read_fact(connection, "last_frame_no")
        if self._sources.follow_registry(connection):
            self._plans.clear()
        transaction = Transaction(connection, self._now_us(), is_clock_right=self._is_clock_right())
        plans = self._plans
        number = first = self._last_frame_no
        for intake in intakes:
            for frame in intake.frames:
                number += 1
                try:
                    handler = plans.get(frame.topic) or self._plan(transaction, frame.topic)
                    handler(transaction, frame, number)
                except DecodeError as error:
                    intake.refused.append(error.reason)
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
        self._plans.clear()
        self._sources.forget()
        self._dead_letter_cap.forget()
        self._kept_frame_cap.forget()
        self._discovery.forget()

    def bury(self, connection: Connection, frame: Frame, reason: str) -> None:
        """See `gateway.store.writer.Ingest`."""
        row = (frame.device_id, frame.topic, frame.payload, reason, frame.received_us, frame.is_retained)
        connection.exec_driver_sql(self._statements.dead_letter, row)

    def _plan(self, transaction: Transaction, topic: str) -> Handler:
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        handler = self._plans[topic] = self._handler_for(transaction, topic)
        return handler

    def _handler_for(self, transaction: Transaction, topic: str) -> Handler:
        found = native.parse_topic(topic)
        if found is not None:
            source = self._sources.get(transaction, found.device_id)
            match found.kind:
                case native.Kind.TELEMETRY:
                    return partial(self._telemetry, source)
                case native.Kind.TAP:
                    return partial(self._tap, source)
                case native.Kind.STATUS:
                    return partial(self._status, source)
                case native.Kind.COMMAND_ACK:
                    return partial(self._command_ack, source, found.command)
        if self._discovery.is_announcement(topic):
            return self._announcement
        if self._discovery.listens_to(transaction.connection, topic):
            return self._state
        return _only_brokered

    # Handlers, one a channel.

    def _telemetry(self, source: Source, transaction: Transaction, frame: Frame, number: int) -> None:
        if source.is_active:
            self._take_values(source, transaction, frame, number, native.decode_telemetry(frame.payload))
        else:
            self._keep(source, transaction, frame)

    def _tap(self, source: Source, transaction: Transaction, frame: Frame, _number: int) -> None:
        if source.is_active:
            self._take_tap(source, transaction, frame, native.decode_tap(frame.payload))
        else:
            self._keep(source, transaction, frame)

    def _status(self, source: Source, transaction: Transaction, frame: Frame, _number: int) -> None:
        is_online = native.decode_status(frame.payload).is_online
        self._set_online(source, transaction, frame, is_online=is_online)
        if is_online:
            self._hear(source, transaction, frame)

    def _command_ack(self, source: Source, name: str, transaction: Transaction, frame: Frame, _number: int) -> None:
        """The oldest command of this name that the device has not answered yet is answered."""
        if frame.is_retained:
            raise DecodeError("a retained answer: it may be older than the command")
        answer = native.decode_command_ack(name, frame.payload)
        oldest = (
            select(command.c.id)
            .where(
                command.c.device_id == source.device.id,
                command.c.name == name,
                command.c.acknowledged_us.is_(None),
            )
            .order_by(command.c.created_us)
            .limit(1)
            .scalar_subquery()
        )
        transaction.connection.execute(
            update(command)
            .where(command.c.id == oldest)
            .values(acknowledged_us=frame.received_us, answer=answer.payload)
        )
        self._hear(source, transaction, frame)

    def _announcement(self, transaction: Transaction, frame: Frame, _number: int) -> None:
        found = self._discovery.take(transaction.connection, frame)
        self._plans.clear()
        if found is not None:
            self._sources.enter(
                transaction,
                found.device_id,
                kind=found.kind,
                name=found.name,
                place=found.place,
                format_=PayloadFormat.HOME_ASSISTANT,
            )

    def _state(self, transaction: Transaction, frame: Frame, number: int) -> None:
        for device_id, read in self._discovery.readers(frame.topic):
            source = self._sources.get(transaction, device_id)
            if not source.is_active:
                self._keep(source, transaction, frame)
                continue
            said = read(frame.payload)
            if isinstance(said, Status):
                self._set_online(source, transaction, frame, is_online=said.is_online)
                continue
            if said.telemetry is not None:
                self._take_values(source, transaction, frame, number, said.telemetry)
            for event in said.taps:
                self._take_tap(source, transaction, frame, event)

    # What the handlers share.

    def _take_values(
        self, source: Source, transaction: Transaction, frame: Frame, number: int, telemetry: Telemetry
    ) -> None:
        names = tuple(telemetry.values)
        layout = source.layouts.get(names)
        if layout is None:
            layout = self._sources.lay_out(transaction, source, names)
        seq = telemetry.seq
        if seq is not None:
            boot = telemetry.boot or ""
            window = source.windows.get(boot) or self._sources.window(transaction.connection, source, boot)
            if not window.add(seq):
                transaction.committed.duplicates += 1
                return
            source.changed_boots.add(boot)
        if frame.is_retained or (frame.is_late and telemetry.stamp_us is None):
            at_us = frame.received_us if telemetry.stamp_us is None else telemetry.stamp_us
            clock = int(Clock.UNKNOWN)
            packs = transaction.committed.retained_packs
        else:
            at_us, clock = self._judge(source, transaction, telemetry.stamp_us, frame.received_us)
            packs = transaction.committed.packs
            if not frame.is_late:
                source.last_seen_us = frame.received_us
        hour = at_us // HOUR_US
        if (hour != source.due_hour or hour != transaction.hour) and names:
            self._sources.note_due(transaction, source, hour)
        values = (*telemetry.values.values(), None)
        for group_no, first, second, third, fourth in layout:
            packs.append((group_no, at_us, number, clock, values[first], values[second], values[third], values[fourth]))
        if not source.is_touched:
            transaction.touch(source)

    def _take_tap(self, source: Source, transaction: Transaction, frame: Frame, event: Tap) -> None:
        if frame.is_retained:
            raise DecodeError("a retained tap: its age is unknown, so it makes no attendance mark")
        at_us, clock = self._judge(source, transaction, event.stamp_us, frame.received_us)
        if frame.is_late and event.stamp_us is None:
            clock = int(Clock.UNKNOWN)
        is_new = store_tap(
            transaction,
            self._statements,
            self._school_key,
            source.device.id,
            event,
            frame.received_us,
            (at_us, Clock(clock)),
        )
        if is_new:
            self._hear(source, transaction, frame)
        else:
            transaction.committed.duplicates += 1

    def _judge(
        self, source: Source, transaction: Transaction, stamp_us: int | None, received_us: int
    ) -> tuple[int, int]:
        is_right = transaction.is_clock_right
        if stamp_us is not None:
            ahead_us = source.ahead_us = stamp_us - received_us
            if -LIVE_TOLERANCE_US <= ahead_us <= LIVE_TOLERANCE_US:
                source.clock_right_us = received_us
                if is_right:
                    return stamp_us, 0  # Clock.GOOD: what nearly every message is
        at_us, clock = judge(
            stamp_us,
            received_us,
            is_device_clock_right=source.clock_right_us > 0,
            is_gateway_clock_right=is_right,
        )
        return at_us, int(clock)

    def _hear(self, source: Source, transaction: Transaction, frame: Frame) -> None:
        if frame.is_live:
            source.last_seen_us = frame.received_us
        transaction.touch(source)

    def _set_online(self, source: Source, transaction: Transaction, frame: Frame, *, is_online: bool) -> None:
        self._sources.set_online(transaction, source, frame.received_us, is_online=is_online, is_live=frame.is_live)

    def _keep(self, source: Source, transaction: Transaction, frame: Frame) -> None:
        if source.device.state is DeviceState.REVOKED:
            raise DecodeError("the device is revoked")
        transaction.keep(source, frame)

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

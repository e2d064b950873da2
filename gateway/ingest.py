"""Turns frames into rows, in the writer's transaction: decode, deduplicate, judge the clock, insert.

Everything here runs in the writer's thread. What is kept in memory (series' numbers, sequence numbers seen) may be
ahead of the disk until the commit; after a rollback `forget` drops it, and it is read again when needed.
"""

import hashlib
import struct
from collections.abc import Callable
from functools import partial
from itertools import chain

import msgspec
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from devices.clock import HOUR_US, LIVE_TOLERANCE_US, SECOND_US, Clock, judge
from devices.errors import DecodeError
from devices.frame import Frame, Intake, Presence
from devices.payloads import native
from devices.payloads.values import Status, Tap, Telemetry
from devices.registry import Device, DeviceState, PayloadFormat, Registry, note_seen
from devices.tables import device_status, seen, series, tap
from gateway import audit, cards
from gateway.bounded import ByteCap
from gateway.committed import Committed, DeviceChange, Series, TapRow
from gateway.discovery import Discovery
from gateway.seen import SeenRanges
from gateway.source import MAX_BOOTS_IN_MEMORY, MAX_SERIES, Source
from gateway.statements import ROWS_A_STATEMENT, Statements
from gateway.tables import card, command, fact

STATUS_EVERY_US = 10 * SECOND_US
"""How often a device's last_seen is written while nothing else about it changes."""

MAX_PLANS = 50_000
"""Topics whose handling is remembered; a peer that invents topics only makes us look again."""

ATTENDANCE_LANE = 0

Handler = Callable[["Transaction", Frame, int], None]


class Transaction:
    """The rows of one transaction, gathered while its frames are decoded and then inserted in groups."""

    __slots__ = (
        "committed",
        "connection",
        "dead",
        "dead_bytes",
        "is_clock_right",
        "kept",
        "kept_bytes",
        "now_us",
        "rows",
        "touched",
    )

    def __init__(self, connection: Connection, now_us: int, *, is_clock_right: bool) -> None:
        self.connection = connection
        self.now_us = now_us
        self.is_clock_right = is_clock_right
        self.committed = Committed(committed_us=now_us, last_frame_no=0)
        self.rows = self.committed.readings
        self.touched: list[Source] = []
        self.dead: list[tuple[object, ...]] = []
        self.dead_bytes = 0
        self.kept: list[tuple[object, ...]] = []
        self.kept_bytes = 0


class Ingest:
    """See the module. `is_clock_right`: whether the gateway's own clock is believed just now."""

    def __init__(
        self,
        registry: Registry,
        statements: Statements,
        school_key: bytes,
        now_us: Callable[[], int],
        is_clock_right: Callable[[], bool],
        note_stamp: Callable[[str, int], None],
        dead_letter_cap: ByteCap,
        kept_frame_cap: ByteCap,
        discovery: Discovery,
    ) -> None:
        self._registry = registry
        self._statements = statements
        self._school_key = school_key
        self._now_us = now_us
        self._is_clock_right = is_clock_right
        self._note_stamp = note_stamp
        self._dead_letter_cap = dead_letter_cap
        self._kept_frame_cap = kept_frame_cap
        self._discovery = discovery
        self._revision = -1
        self._last_frame_no: int | None = None
        self._last_series_id = 0
        self._plans: dict[str, Handler] = {}
        self._sources: dict[str, Source] = {}

    def apply(self, connection: Connection, intakes: list[Intake]) -> Committed:
        """See `gateway.store.writer.Ingest`."""
        if self._last_frame_no is None:
            self._read_numbers(connection)
        if self._registry.revision != self._revision:
            self._follow_registry()
        transaction = Transaction(connection, self._now_us(), is_clock_right=self._is_clock_right())
        plans = self._plans
        number = first = self._last_frame_no or 0
        for intake in intakes:
            for frame in intake.frames:
                number += 1
                handler = plans.get(frame.topic) or self._plan(transaction, frame)
                try:
                    handler(transaction, frame, number)
                except DecodeError as error:
                    intake.refused.append(error.reason)
                    self._refuse(transaction, frame, error.reason)
            if intake.events:
                self._note_events(transaction, intake)
            if intake.journal:
                self._write_journal(connection, intake)
        committed = transaction.committed
        committed.frames = number - first
        committed.last_frame_no = number
        self._write(transaction)
        if number != first:
            connection.exec_driver_sql(self._statements.fact, ("last_frame_no", str(number)))
        self._last_frame_no = number
        return committed

    def forget(self) -> None:
        """See `gateway.store.writer.Ingest`."""
        self._last_frame_no = None
        self._revision = -1
        self._plans.clear()
        self._sources.clear()
        self._dead_letter_cap.forget()
        self._kept_frame_cap.forget()
        self._discovery.forget()

    def bury(self, connection: Connection, frame: Frame, reason: str) -> None:
        """See `gateway.store.writer.Ingest`."""
        row = (frame.device_id, frame.topic, frame.payload, reason, frame.received_us, frame.is_retained)
        connection.exec_driver_sql(self._statements.dead_letter, row)

    # What to do with a topic, decided once.

    def _read_numbers(self, connection: Connection) -> None:
        found = connection.execute(select(fact.c.value).where(fact.c.name == "last_frame_no")).scalar()
        self._last_frame_no = int(found or 0)
        self._last_series_id = connection.execute(select(func.max(series.c.id))).scalar() or 0

    def _follow_registry(self) -> None:
        self._revision = self._registry.revision
        self._plans.clear()
        for device_id, device in self._registry.devices.items():
            source = self._sources.get(device_id)
            if source is not None:
                source.device = device
                source.is_active = device.state is DeviceState.ACTIVE

    def _plan(self, transaction: Transaction, frame: Frame) -> Handler:
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        handler = self._plans[frame.topic] = self._handler_for(transaction, frame.topic)
        return handler

    def _handler_for(self, transaction: Transaction, topic: str) -> Handler:
        found = native.parse_topic(topic)
        if found is not None:
            source = self._source(transaction, found.device_id)
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

    def _source(self, transaction: Transaction, device_id: str) -> Source:
        source = self._sources.get(device_id)
        if source is None:
            source = self._sources[device_id] = self._load_source(transaction, device_id)
        return source

    def _load_source(self, transaction: Transaction, device_id: str) -> Source:
        connection = transaction.connection
        device = self._registry.devices.get(device_id)
        if device is None:
            self._registry.refresh(connection)
            device = self._registry.devices.get(device_id)
        if device is None:
            device = self._enter(transaction, device_id, "unknown", "", "", PayloadFormat.NATIVE)
        source = Source(device)
        rows = connection.execute(select(series).where(series.c.device_id == device_id))
        source.series = {row.measurement: row.id for row in rows}
        status = connection.execute(select(device_status).where(device_status.c.device_id == device_id)).first()
        if status is not None:
            source.is_online = status.is_online
            source.last_seen_us = status.last_seen_us or 0
            source.clock_right_us = status.clock_right_us or 0
        return source

    def _enter(
        self,
        transaction: Transaction,
        device_id: str,
        kind: str,
        name: str,
        place: str,
        format_: PayloadFormat,
    ) -> Device:
        """Notes a device that nobody added; its frames are kept until somebody adopts it."""
        now_us = transaction.now_us
        note_seen(transaction.connection, device_id, kind, name, place, format_, now_us)
        transaction.committed.device_changes.append(DeviceChange(device_id, DeviceState.SEEN, None, now_us))
        return Device(
            device_id,
            kind,
            name,
            place,
            DeviceState.SEEN,
            format_,
            None,
            (),
            (),
            created_us=now_us,
            adopted_us=None,
        )

    # Handlers, one a channel.

    def _telemetry(self, source: Source, transaction: Transaction, frame: Frame, number: int) -> None:
        if not source.is_active:
            self._keep(source, transaction, frame)
            return
        self._take_values(source, transaction, frame, number, native.decode_telemetry(frame.payload))

    def _take_values(
        self, source: Source, transaction: Transaction, frame: Frame, number: int, telemetry: Telemetry
    ) -> None:
        numbers = source.series
        for measurement in telemetry.values:
            if measurement not in numbers:
                self._new_series(transaction, source, measurement)
        seq = telemetry.seq
        if seq is not None:
            boot = telemetry.boot or ""
            window = source.windows.get(boot)
            if window is None:
                window = self._window(transaction.connection, source, boot)
            if not window.add(seq):
                transaction.committed.duplicates += 1
                return
            source.changed_boots.add(boot)
        rows = transaction.rows
        if frame.is_retained:
            at_us = frame.received_us if telemetry.stamp_us is None else telemetry.stamp_us
            clock = int(Clock.UNKNOWN)
            rows = transaction.committed.retained_readings
        else:
            at_us, clock = self._judge(source, transaction, telemetry.stamp_us, frame.received_us)
        if at_us // HOUR_US != source.due_hour:
            self._note_due(source, transaction, at_us // HOUR_US)
        for measurement, value in telemetry.values.items():
            rows.append((numbers[measurement], at_us, number, value, clock))
        source.last_seen_us = frame.received_us if not frame.is_retained else source.last_seen_us
        if not source.is_touched:
            source.is_touched = True
            transaction.touched.append(source)

    def _tap(self, source: Source, transaction: Transaction, frame: Frame, _number: int) -> None:
        if not source.is_active:
            self._keep(source, transaction, frame)
            return
        self._take_tap(source, transaction, frame, native.decode_tap(frame.payload))

    def _take_tap(self, source: Source, transaction: Transaction, frame: Frame, event: Tap) -> None:
        if frame.is_retained:
            raise DecodeError("a retained tap: its age is unknown, so it makes no attendance mark")
        connection = transaction.connection
        at_us, clock_number = self._judge(source, transaction, event.stamp_us, frame.received_us)
        clock = Clock(clock_number)
        digest = cards.digest(self._school_key, event.credential)
        values = {
            "event_key": _event_key(source.device.id, event, digest),
            "device_id": source.device.id,
            "at_us": at_us,
            "received_us": frame.received_us,
            "device_at_us": event.stamp_us,
            "clock": int(clock),
            "credential_digest": digest,
            "kind": str(event.kind),
            "direction": event.direction,
            "boot": event.boot,
            "seq": event.seq,
        }
        statement = sqlite_insert(tap).values(values).on_conflict_do_nothing().returning(tap.c.id)
        tap_id = connection.execute(statement).scalar()
        if tap_id is None:
            transaction.committed.duplicates += 1
            return
        person_id = connection.execute(select(card.c.person_id).where(card.c.digest == digest)).scalar()
        ref = cards.ref(digest)
        row = TapRow(
            tap_id,
            source.device.id,
            at_us,
            frame.received_us,
            clock,
            ref,
            str(event.kind),
            event.direction,
            person_id,
        )
        transaction.committed.taps.append(row)
        body = msgspec.json.encode(
            {"id": tap_id, "device": row.device_id, "at_us": at_us, "received_us": frame.received_us,
             "clock": clock.label, "credential_ref": ref, "direction": event.direction}
        )  # fmt: skip
        connection.exec_driver_sql(
            self._statements.outbox, (ATTENDANCE_LANE, f"credential:{ref}", body, transaction.now_us)
        )
        self._touch(source, transaction, frame)

    def _status(self, source: Source, transaction: Transaction, frame: Frame, _number: int) -> None:
        is_online = native.decode_status(frame.payload).is_online
        if frame.is_retained and source.is_online is not None:
            return
        self._set_online(source, transaction, is_online, frame.received_us)
        if is_online:
            self._touch(source, transaction, frame)

    def _command_ack(self, source: Source, name: str, transaction: Transaction, frame: Frame, _number: int) -> None:
        """The oldest command of this name that the device has not answered yet is answered."""
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
        self._touch(source, transaction, frame)

    def _announcement(self, transaction: Transaction, frame: Frame, _number: int) -> None:
        found = self._discovery.take(transaction.connection, frame)
        self._plans.clear()
        if found is not None and found.device_id not in self._registry.devices:
            self._registry.refresh(transaction.connection)
            if found.device_id not in self._registry.devices and found.device_id not in self._sources:
                device = self._enter(
                    transaction,
                    found.device_id,
                    found.kind,
                    found.name,
                    found.place,
                    PayloadFormat.HOME_ASSISTANT,
                )
                self._sources[found.device_id] = Source(device)

    def _state(self, transaction: Transaction, frame: Frame, number: int) -> None:
        for device_id, read in self._discovery.readers(frame.topic):
            source = self._source(transaction, device_id)
            if not source.is_active:
                self._keep(source, transaction, frame)
                continue
            said = read(frame.payload)
            if isinstance(said, Status):
                self._set_online(source, transaction, said.is_online, frame.received_us)
                continue
            if said.telemetry is not None:
                self._take_values(source, transaction, frame, number, said.telemetry)
            for tap_event in said.taps:
                self._take_tap(source, transaction, frame, tap_event)

    # What the handlers share.

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

    def _window(self, connection: Connection, source: Source, boot: str) -> SeenRanges:
        stored = connection.execute(
            select(seen.c.ranges).where(seen.c.device_id == source.device.id, seen.c.boot == boot)
        ).scalar()
        if len(source.windows) >= MAX_BOOTS_IN_MEMORY:
            for old in [name for name in source.windows if name not in source.changed_boots]:
                del source.windows[old]
        try:
            window = SeenRanges.from_bytes(stored) if stored is not None else SeenRanges()
        except struct.error:
            window = SeenRanges()
        source.windows[boot] = window
        return window

    def _note_due(self, source: Source, transaction: Transaction, hour: int) -> None:
        """Notes that this hour of the device's series is to be rolled up."""
        source.due_hour = hour
        due = [(series_id, hour * HOUR_US) for series_id in source.series.values()]
        transaction.connection.exec_driver_sql(self._statements.roll_up_due, due)

    def _new_series(self, transaction: Transaction, source: Source, measurement: str) -> None:
        if len(source.series) >= MAX_SERIES:
            raise DecodeError(f"the device has {MAX_SERIES} measurements already; it may not invent more")
        self._last_series_id += 1
        entry = Series(self._last_series_id, source.device.id, measurement)
        transaction.connection.exec_driver_sql(self._statements.series, (entry.id, entry.device_id, entry.measurement))
        source.series[measurement] = entry.id
        source.due_hour = None
        transaction.committed.new_series.append(entry)

    def _touch(self, source: Source, transaction: Transaction, frame: Frame) -> None:
        if not frame.is_retained:
            source.last_seen_us = frame.received_us
        if not source.is_touched:
            source.is_touched = True
            transaction.touched.append(source)

    def _set_online(self, source: Source, transaction: Transaction, is_online: bool, at_us: int) -> None:
        if source.is_online is is_online:
            return
        source.is_online = is_online
        source.must_write = True
        if not source.is_touched:
            source.is_touched = True
            transaction.touched.append(source)
        transaction.committed.device_changes.append(
            DeviceChange(source.device.id, source.device.state, is_online, at_us)
        )

    def _keep(self, source: Source, transaction: Transaction, frame: Frame) -> None:
        if source.device.state is DeviceState.REVOKED:
            raise DecodeError("the device is revoked")
        transaction.kept_bytes += len(frame.payload)
        transaction.kept.append((source.device.id, frame.topic, frame.payload, frame.received_us, frame.is_retained))

    def _refuse(self, transaction: Transaction, frame: Frame, reason: str) -> None:
        transaction.dead_bytes += len(frame.payload)
        transaction.dead.append(
            (frame.device_id, frame.topic, frame.payload, reason, frame.received_us, frame.is_retained)
        )

    def _note_events(self, transaction: Transaction, intake: Intake) -> None:
        for event in intake.events:
            if isinstance(event, Presence):
                source = self._source(transaction, event.device_id)
                self._set_online(source, transaction, event.is_online, event.at_us)
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

    def _write(self, transaction: Transaction) -> None:
        connection, statements, committed = transaction.connection, self._statements, transaction.committed
        for rows in (committed.readings, committed.retained_readings):
            self._insert_readings(connection, rows)
        if transaction.dead:
            connection.exec_driver_sql(statements.dead_letter, transaction.dead)
            committed.dead_letters = len(transaction.dead)
            self._dead_letter_cap.grown(connection, transaction.dead_bytes)
        if transaction.kept:
            connection.exec_driver_sql(statements.kept_frame, transaction.kept)
            self._kept_frame_cap.grown(connection, transaction.kept_bytes)
        self._write_sources(transaction)

    def _insert_readings(self, connection: Connection, rows: list[tuple[int, int, int, float, int]]) -> None:
        """Many rows a statement: the driver gives the event loop's thread a turn once a statement, not once a row."""
        whole = len(rows) - len(rows) % ROWS_A_STATEMENT
        for start in range(0, whole, ROWS_A_STATEMENT):
            parameters = tuple(chain.from_iterable(rows[start : start + ROWS_A_STATEMENT]))
            connection.exec_driver_sql(self._statements.many_readings, parameters)
        if whole < len(rows):
            connection.exec_driver_sql(self._statements.reading, rows[whole:])

    def _write_sources(self, transaction: Transaction) -> None:
        statuses: list[tuple[object, ...]] = []
        windows: list[tuple[object, ...]] = []
        now_us = transaction.now_us
        for source in transaction.touched:
            source.is_touched = False
            device_id = source.device.id
            if source.ahead_us is not None:
                self._note_stamp(device_id, source.ahead_us)
                source.ahead_us = None
            for boot in source.changed_boots:
                windows.append((device_id, boot, source.windows[boot].to_bytes(), now_us))
            source.changed_boots.clear()
            if source.must_write or not 0 <= now_us - source.written_us < STATUS_EVERY_US:
                source.must_write = False
                source.written_us = now_us
                statuses.append(
                    (device_id, source.is_online, source.last_seen_us or None, source.clock_right_us or None)
                )
        if windows:
            transaction.connection.exec_driver_sql(self._statements.seen, windows)
        if statuses:
            transaction.connection.exec_driver_sql(self._statements.device_status, statuses)


def _only_brokered(_transaction: Transaction, _frame: Frame, _number: int) -> None:
    """The topic is no device's: the door hands it to its subscribers, and nothing is stored."""


def _event_key(device_id: str, event: Tap, digest: bytes) -> str | None:
    """Returns what makes a tap the same tap: its sequence number, else the event itself; None without either."""
    if event.seq is not None:
        return f"{device_id}\n{event.boot or ''}\n{event.seq}"
    if event.stamp_us is not None:
        text = f"{device_id}\n{event.stamp_us}\n{event.direction}\n".encode()
        return hashlib.sha256(text + digest).hexdigest()
    return None

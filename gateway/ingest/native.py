"""The native convention: telemetry, taps, status and answers to commands on `sg/<device_id>/…`."""

from functools import partial

from sqlalchemy import select, update

from devices.errors import DecodeError
from devices.frame import Frame
from devices.payloads import native
from gateway.fleet.tables import command
from gateway.ingest.conventions import Handler
from gateway.ingest.records import Records
from gateway.ingest.source import Source
from gateway.ingest.sources import Sources
from gateway.ingest.transaction import Transaction


class Native:
    """A `Convention`."""

    def __init__(self, sources: Sources, records: Records) -> None:
        self._sources = sources
        self._records = records
        self._take_values = records.take_values

    def claims(self, transaction: Transaction, topic: str) -> Handler | None:
        """See `Convention`."""
        found = native.parse_topic(topic)
        if found is None:
            return None
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

    def forget(self) -> None:
        """See `Convention`: it keeps nothing of its own."""

    def _telemetry(self, source: Source, transaction: Transaction, frame: Frame, number: int) -> None:
        if source.is_active:
            self._take_values(source, transaction, frame, number, native.decode_telemetry(frame.payload))
        else:
            self._records.keep(source, transaction, frame)

    def _tap(self, source: Source, transaction: Transaction, frame: Frame, _number: int) -> None:
        if source.is_active:
            self._records.take_tap(source, transaction, frame, native.decode_tap(frame.payload))
        else:
            self._records.keep(source, transaction, frame)

    def _status(self, source: Source, transaction: Transaction, frame: Frame, _number: int) -> None:
        is_online = native.decode_status(frame.payload).is_online
        self._records.set_online(source, transaction, frame, is_online=is_online)
        if is_online:
            self._records.hear(source, transaction, frame)

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
        self._records.hear(source, transaction, frame)

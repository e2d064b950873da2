"""The Home Assistant convention: devices announce themselves, and speak on the topics that they announced."""

from collections.abc import Callable

from devices.frame import Frame
from devices.payloads.values import Status
from devices.registry import PayloadFormat
from gateway.ingest.conventions import Handler
from gateway.ingest.discovery import Discovery
from gateway.ingest.records import Records
from gateway.ingest.sources import Sources
from gateway.ingest.transaction import Transaction


class HomeAssistant:
    """A `Convention`. `topics_changed` is called when an announcement may have made a topic known, or unknown."""

    def __init__(
        self, sources: Sources, records: Records, discovery: Discovery, topics_changed: Callable[[], None]
    ) -> None:
        self._sources = sources
        self._records = records
        self._discovery = discovery
        self._topics_changed = topics_changed

    def claims(self, transaction: Transaction, topic: str) -> Handler | None:
        """See `Convention`."""
        if self._discovery.is_announcement(topic):
            return self._announcement
        if self._discovery.listens_to(transaction.connection, topic):
            return self._state
        return None

    def forget(self) -> None:
        """See `Convention`."""
        self._discovery.forget()

    def _announcement(self, transaction: Transaction, frame: Frame, _number: int) -> None:
        found = self._discovery.take(transaction.connection, frame)
        self._topics_changed()
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
                self._records.keep(source, transaction, frame)
                continue
            said = read(frame.payload)
            if isinstance(said, Status):
                self._records.set_online(source, transaction, frame, is_online=said.is_online)
                continue
            if said.telemetry is not None:
                self._records.take_values(source, transaction, frame, number, said.telemetry)
            for event in said.taps:
                self._records.take_tap(source, transaction, frame, event)

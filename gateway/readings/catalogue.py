"""Which series exist: numbers for (device, measurement) pairs. Read at the start, grown after every commit."""

from typing import Any

from sqlalchemy import Connection, Row

from devices.registry import Registry
from foundation.stored import Skipped, readable
from gateway.committed import Series
from gateway.readings.tables import series


class Catalogue:
    """The table `series` in memory. An entry never changes and never goes while the gateway runs. It belongs to the
    event loop's thread."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._by_id: dict[int, Series] = {}

    def load(self, connection: Connection, skipped: Skipped) -> None:
        """Reads the table."""
        for entry in readable(connection, series, series_from, skipped):
            self.add(entry)

    def add(self, entry: Series) -> None:
        self._by_id[entry.id] = entry

    def series(self, series_id: int) -> Series:
        """Returns the series with this number. Raises KeyError."""
        return self._by_id[series_id]

    def kind(self, device_id: str) -> str | None:
        """Returns the kind of a device, None if it is not in the registry."""
        found = self._registry.devices.get(device_id)
        return found.kind if found is not None else None


def series_from(row: Row[Any]) -> Series:
    """Returns the series that a row of the table `series` holds."""
    return Series(row.id, row.device_id, row.measurement)

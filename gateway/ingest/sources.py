"""What the ingest keeps in memory of each device, read from the tables when needed and written back with its rows.

Owned by the writer's thread. It may be ahead of the disk until the commit; after a rollback it is dropped whole.
"""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from devices.errors import DecodeError
from devices.registry import Device, DeviceState, PayloadFormat, Registry, note_seen
from foundation.clock import HOUR_US, SECOND_US
from foundation.stored import Skipped, readable, stored
from gateway.committed import DeviceChange, Series
from gateway.fleet.tables import device_status
from gateway.ingest.seen import SeenRanges
from gateway.ingest.source import MAX_BOOTS_IN_MEMORY, MAX_LAYOUTS, MAX_SERIES, Layout, Source
from gateway.ingest.statements import Statements
from gateway.ingest.tables import seen
from gateway.ingest.transaction import Transaction
from gateway.readings.catalogue import series_from
from gateway.readings.tables import PACKED, pack, reading_1h, series

STATUS_EVERY_US = 10 * SECOND_US
"""How often a device's last_seen is written while nothing else about it changes."""

LAST_SERIES: Final = 1 << 40
"""New series are numbered from the highest on; a number beyond this was never given."""

MAX_SEEN_DEVICES = 2_000
"""Devices that talk and that nobody adopted; a peer that invents device ids is refused from here on."""


class Sources:
    """`note_stamp(device_id, ahead_us)` is told how far a device's stamps are ahead of the gateway's clock."""

    def __init__(
        self, registry: Registry, statements: Statements, note_stamp: Callable[[str, int], None], skipped: Skipped
    ) -> None:
        self._registry = registry
        self._statements = statements
        self._note_stamp = note_stamp
        self._skipped = skipped
        self._sources: dict[str, Source] = {}
        self._revision = -1
        self._must_read_registry = False
        self._last_group: int | None = None

    def forget(self) -> None:
        """Drops everything; it is read again when needed. The registry, too, may have read what was rolled back."""
        self._sources.clear()
        self._must_read_registry = True
        self._revision = -1
        self._last_group = None

    def follow_registry(self, connection: Connection) -> bool:
        """Takes in what changed in the registry since the last call; returns whether anything did."""
        if self._must_read_registry:
            self._must_read_registry = False
            self._registry.read_again(connection)
        if self._registry.revision == self._revision:
            return False
        self._revision = self._registry.revision
        for device_id, source in self._sources.items():
            device = self._registry.devices.get(device_id)
            if device is not None:
                source.device = device
                source.is_active = device.state is DeviceState.ACTIVE
        return True

    def get(self, transaction: Transaction, device_id: str) -> Source:
        """Returns the source of a device; one that nobody added is entered as seen. Raises DecodeError."""
        source = self._sources.get(device_id)
        if source is None:
            source = self._sources[device_id] = self._load(transaction, device_id)
        return source

    def enter(
        self,
        transaction: Transaction,
        device_id: str,
        *,
        kind: str = "unknown",
        name: str = "",
        place: str = "",
        format_: PayloadFormat = PayloadFormat.NATIVE,
    ) -> Source:
        """Returns the source of a device; if nobody added it, it is entered as seen with what is known of it, and
        its frames are kept until somebody adopts it. Raises DecodeError if there are too many of those, or if its
        entry cannot be read."""
        found = self._sources.get(device_id)
        if found is not None:
            return found
        if device_id in self._registry.devices or self._registry.refresh(transaction.connection):
            device = self._registry.devices.get(device_id)
            if device is not None:
                return self.get(transaction, device_id)
        if device_id in self._registry.unreadable:
            raise DecodeError("the device's entry in the registry cannot be read")
        waiting = [one for one in self._sources.values() if one.device.state is DeviceState.SEEN]
        if len(waiting) >= MAX_SEEN_DEVICES:
            raise DecodeError(f"{MAX_SEEN_DEVICES} devices wait to be adopted already")
        now_us = transaction.now_us
        note_seen(transaction.connection, device_id, kind, name, place, format_, now_us)
        transaction.committed.device_changes.append(DeviceChange(device_id, DeviceState.SEEN, None, now_us))
        device = Device(device_id, kind, name, place, DeviceState.SEEN, format_, None, (), (), now_us, None)
        source = self._sources[device_id] = Source(device)
        return source

    def window(self, connection: Connection, source: Source, boot: str) -> SeenRanges:
        """Returns what has been stored of a device's boot."""
        window = source.windows.get(boot)
        if window is not None:
            return window
        noted = stored(seen).where(seen.c.device_id == source.device.id, seen.c.boot == boot)
        found = list(readable(connection, seen, _ranges, self._skipped, noted))
        if len(source.windows) >= MAX_BOOTS_IN_MEMORY:
            for old in [name for name in source.windows if name not in source.changed_boots]:
                del source.windows[old]
        window = source.windows[boot] = found[0] if found else SeenRanges()
        return window

    def lay_out(self, transaction: Transaction, source: Source, names: tuple[str, ...]) -> Layout:
        """Returns where the values of these measurements belong, and remembers it. New ones get their numbers; raises
        DecodeError if the device has too many."""
        groups: dict[int, list[int]] = {}
        for index, measurement in enumerate(names):
            if measurement not in source.series:
                self._new_series(transaction, source, measurement, names)
            group_no, place = divmod(source.series[measurement], PACKED)
            groups.setdefault(group_no, [-1] * PACKED)[place] = index
        layout = tuple(
            (group_no, first, second, third, fourth) for group_no, (first, second, third, fourth) in groups.items()
        )
        if len(source.layouts) >= MAX_LAYOUTS:
            source.layouts.clear()
        source.layouts[names] = layout
        return layout

    def _new_series(self, transaction: Transaction, source: Source, measurement: str, names: tuple[str, ...]) -> None:
        if len(source.series) >= MAX_SERIES:
            raise DecodeError(f"the device has {MAX_SERIES} measurements already; it may not invent more")
        entry = Series(self._place(transaction.connection, source, names), source.device.id, measurement)
        transaction.connection.exec_driver_sql(self._statements.series, (entry.id, entry.device_id, entry.measurement))
        source.series[measurement] = entry.id
        source.due_hour = None
        transaction.committed.new_series.append(entry)

    def _place(self, connection: Connection, source: Source, names: tuple[str, ...]) -> int:
        """Returns a number in a group that has measurements of the same message, for then few packs have gaps, else
        the first one of a new group."""
        for group_no in {source.series[name] // PACKED for name in names if name in source.series}:
            last = max(number for number in source.series.values() if number // PACKED == group_no)
            if last % PACKED < PACKED - 1:
                return last + 1
        if self._last_group is None:
            self._last_group = _last_group(connection)
        self._last_group += 1
        return self._last_group * PACKED

    def note_due(self, transaction: Transaction, source: Source, hour: int) -> None:
        """Notes that this hour of the device's series is to be rolled up."""
        source.due_hour = hour
        due = [(series_id, hour * HOUR_US) for series_id in source.series.values()]
        transaction.connection.exec_driver_sql(self._statements.roll_up_due, due)

    def set_online(
        self, transaction: Transaction, source: Source, at_us: int, *, is_online: bool, is_live: bool = True
    ) -> None:
        """Notes that a device came or went; harmless if it is known. What is not live fills in where nothing is
        known yet, and is no sign of life."""
        if source.is_online is is_online or not (is_live or source.is_online is None):
            return
        source.is_online = is_online
        source.must_write = True
        transaction.touch(source)
        if not is_live:
            return
        device = source.device
        transaction.committed.device_changes.append(DeviceChange(device.id, device.state, is_online, at_us))

    def write(self, transaction: Transaction) -> None:
        """Writes back what this transaction touched."""
        statuses: list[tuple[object, ...]] = []
        windows: list[tuple[object, ...]] = []
        now_us = transaction.now_us
        for source in transaction.touched:
            source.is_touched = False
            device_id = source.device.id
            if source.ahead_us is not None:
                self._note_stamp(device_id, source.ahead_us)
                source.ahead_us = None
            windows += [(device_id, boot, source.windows[boot].to_bytes(), now_us) for boot in source.changed_boots]
            source.changed_boots.clear()
            if source.must_write or not 0 <= now_us - source.written_us < STATUS_EVERY_US:
                source.must_write = False
                source.written_us = now_us
                last_seen_us, clock_right_us = source.last_seen_us or None, source.clock_right_us or None
                statuses.append((device_id, source.is_online, last_seen_us, clock_right_us))
        if windows:
            transaction.connection.exec_driver_sql(self._statements.seen, windows)
        if statuses:
            transaction.connection.exec_driver_sql(self._statements.device_status, statuses)

    def _load(self, transaction: Transaction, device_id: str) -> Source:
        connection = transaction.connection
        device = self._registry.devices.get(device_id)
        if device is None:
            return self.enter(transaction, device_id)
        source = Source(device)
        own = stored(series).where(series.c.device_id == device_id)
        entries = readable(connection, series, series_from, self._skipped, own)
        source.series = {entry.measurement: entry.id for entry in entries}
        noted = stored(device_status).where(device_status.c.device_id == device_id)
        for is_online, last_seen_us, clock_right_us in readable(
            connection, device_status, _status, self._skipped, noted
        ):
            source.is_online = is_online
            source.last_seen_us = last_seen_us
            source.clock_right_us = clock_right_us
        return source


def _last_group(connection: Connection) -> int:
    """Returns the highest number of a group, of those too that have readings and no series any more: nobody else gets
    them."""
    highest = 0
    for column, series_of_one in ((series.c.id, 1), (pack.c.group_no, PACKED), (reading_1h.c.series_id, 1)):
        given = column.between(0, LAST_SERIES // series_of_one)
        found = connection.execute(select(func.max(column)).where(given)).scalar() or 0
        highest = max(highest, found * series_of_one // PACKED)
    return highest


def _ranges(row: Row[Any]) -> SeenRanges:
    return SeenRanges.from_bytes(row.ranges)


def _status(row: Row[Any]) -> tuple[bool | None, int, int]:
    is_online = None if row.is_online is None else bool(row.is_online)
    return is_online, row.last_seen_us or 0, row.clock_right_us or 0

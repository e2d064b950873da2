"""What the engine must know of the time before it started, read from the tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, type_coerce
from sqlalchemy.types import NullType

from devices.registry import DeviceState
from devices.tables import device
from foundation.clock import Clock
from foundation.stored import Skipped, is_moment, readable, stored
from gateway.alerts.engine import KnownDevice
from gateway.alerts.lifecycle import Alert
from gateway.alerts.rules import Rule
from gateway.alerts.saved import Progress, UnreadableRule, load_open_alerts, load_progress, load_rules
from gateway.committed import Reading, Series
from gateway.fleet.tables import device_status
from gateway.readings.catalogue import series_from
from gateway.readings.tables import pack, reading, series
from gateway.store.facts import read_fact

TAIL = 100
"""Readings of a series that are looked through; more than that many that no engine saw are thinned to
these."""


_CLOCKS = frozenset(int(clock) for clock in Clock)


@dataclass(frozen=True, slots=True)
class Past:
    """What the engine before left behind, and the devices as they are now."""

    rules: list[Rule]
    unreadable: list[UnreadableRule]
    devices: list[KnownDevice]
    series: list[Series]
    alerts: list[Alert]
    progress: Progress


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of some series. `newest_us`: event time of the newest reading that was evaluated, by device and
    measurement. `missed`: readings that were committed and not evaluated, in order of commit."""

    newest_us: dict[tuple[str, str], int]
    missed: list[Reading]


def load_past(connection: Connection, skipped: Skipped) -> Past:
    """Returns everything but the readings, as far as it can be read."""
    rules, unreadable = load_rules(connection, skipped)
    known = stored(series).join(device, device.c.id == series.c.device_id)
    known = known.where(device.c.state == DeviceState.ACTIVE)
    return Past(
        rules,
        unreadable,
        load_devices(connection, skipped),
        list(readable(connection, series, series_from, skipped, known)),
        load_open_alerts(connection, skipped),
        load_progress(connection, skipped),
    )


def load_devices(connection: Connection, skipped: Skipped) -> list[KnownDevice]:
    """Returns the active devices with the gateway's time at which each was last heard, or else became
    known; None if that cannot be read."""
    heard_us = func.coalesce(device_status.c.last_seen_us, device.c.adopted_us, device.c.created_us)
    found = (
        select(device.c.id, device.c.kind, type_coerce(heard_us, NullType()).label("heard_us"))
        .join_from(device, device_status, device_status.c.device_id == device.c.id, isouter=True)
        .where(device.c.state == DeviceState.ACTIVE)
    )
    return [one for row in connection.execute(found) if (one := _known_device(row, skipped)) is not None]


def _known_device(row: Row[Any], skipped: Skipped) -> KnownDevice | None:
    if not (isinstance(row.id, str) and isinstance(row.kind, str)):
        skipped.note(device.name, row.id)
        return None
    if row.heard_us is not None and not is_moment(row.heard_us):
        skipped.note(device_status.name, row.id)
        return KnownDevice(row.id, row.kind)
    return KnownDevice(row.id, row.kind, row.heard_us)


def load_tail(
    connection: Connection, wanted: Iterable[Series], progress: Progress, skipped: Skipped
) -> tuple[Tail, int]:
    """Returns the ends of the wanted series, and the last frame that they may be of.

    A reading whose clock is unknown is not among the missed ones: it may have come out of a broker's retained
    store. Nothing was missed if there was no engine before.
    """
    last_frame_no = read_fact(connection, "last_frame_no")
    end = stored(reading).where(reading.c.series_id == bindparam("series"))
    end = end.order_by(reading.c.at_us.desc(), reading.c.frame_no.desc()).limit(TAIL)
    newest_us: dict[tuple[str, str], int] = {}
    missed: list[Reading] = []
    for entry in wanted:
        for row in connection.execute(end, {"series": entry.id}):
            if not _is_sound(row):
                skipped.note(pack.name, (entry.device_id, entry.measurement, row.at_us))
                continue
            if progress.listened_us is None or row.frame_no <= progress.frame_no:
                newest_us[entry.device_id, entry.measurement] = row.at_us
                break
            if row.clock != Clock.UNKNOWN:
                missed.append((row.series_id, row.at_us, row.frame_no, row.value, row.clock))
    missed.sort(key=lambda row: row[2])
    return Tail(newest_us, missed), max(progress.frame_no, last_frame_no)


def _is_sound(row: Row[Any]) -> bool:
    return is_moment(row.at_us) and type(row.frame_no) is int and type(row.value) is float and row.clock in _CLOCKS

"""The figures that the console shows and /metrics gives, and how they are counted."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from devices.registry import DeviceState, Registry
from foundation import rfc3339
from gateway.alerts.lifecycle import State
from gateway.fleet.tables import device_status


@dataclass(frozen=True, slots=True)
class IngestFigures:
    """`commit_ms`: median of the recent commits. Totals count since the start."""

    frames_total: int
    frames_per_s: float
    commit_ms: float
    queue_bytes: int
    queue_cap_bytes: int
    duplicates_total: int
    dead_letters_total: int
    refused_total: int


@dataclass(frozen=True, slots=True)
class MqttFigures:
    connections: int


@dataclass(frozen=True, slots=True)
class BridgeFigures:
    state: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    active: int
    online: int
    seen: int


@dataclass(frozen=True, slots=True)
class AlertFigures:
    pending: int
    firing: int
    acknowledged: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Status:
    """The object of `GET /api/v1/status` and of the live kind `status`. `timezone`: where the
    school's days begin, None: where the reader sits."""

    node: str
    school: str
    timezone: str | None
    version: str
    started_at: rfc3339.Moment
    now: rfc3339.Moment
    clock_right: bool
    ingest: IngestFigures
    mqtt: MqttFigures
    bridge: BridgeFigures
    devices: DeviceFigures
    alerts: AlertFigures


class Rate:
    """A rate over the last few seconds, from a counter that only grows."""

    def __init__(self, over_s: float = 5.0) -> None:
        self._over_s = over_s
        self._samples: deque[tuple[float, int]] = deque()

    def sample(self, total: int) -> float:
        """Notes the counter's value now; returns its growth a second."""
        now_s = time.monotonic()
        samples = self._samples
        samples.append((now_s, total))
        while len(samples) > 2 and now_s - samples[0][0] > self._over_s:
            samples.popleft()
        first_s, first = samples[0]
        return (total - first) / (now_s - first_s) if now_s > first_s else 0.0


def count_devices(registry: Registry, online: int) -> DeviceFigures:
    """Returns how many devices are active and seen by the registry; `online`: see `count_online`."""
    states = [device.state for device in registry.devices.values()]
    return DeviceFigures(states.count(DeviceState.ACTIVE), online, states.count(DeviceState.SEEN))


def count_online(connection: Connection) -> int:
    """Returns how many devices were last heard to be online, as stored; revoked and merely seen ones count too."""
    query = select(func.count()).select_from(device_status).where(device_status.c.is_online.is_(True))
    return int(connection.execute(query).scalar_one())


def count_alerts(counts: Mapping[State, int]) -> AlertFigures:
    return AlertFigures(
        counts.get(State.PENDING, 0),
        counts.get(State.FIRING, 0),
        counts.get(State.ACKNOWLEDGED, 0),
        counts.get(State.UNKNOWN, 0),
    )

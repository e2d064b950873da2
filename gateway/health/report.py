"""What the gateway says of itself: figures, readiness with reasons, totals for /metrics."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry

from devices.mqtt.server.door import Door
from foundation import rfc3339
from foundation.clocks import wall_us
from foundation.errors import Unavailable
from foundation.room import Reports, Totals
from gateway.alerts.stage import AlertStage
from gateway.configuration.sections import Configuration
from gateway.core import Core
from gateway.health.figures import (
    BridgeFigures,
    IngestFigures,
    MqttFigures,
    Rate,
    Status,
    count_alerts,
    count_devices,
    count_online,
)
from gateway.health.metrics import GatewayCollector
from gateway.live.hub import Hub, Kind

if TYPE_CHECKING:
    from devices.mqtt.client.bridge import Bridge

SAMPLE_EVERY_S: Final = 1.0


class Report:
    """Reads the rooms; changes none. `rooms`: all that are open, for readiness and totals. `metrics`: what /metrics
    gives; others may register their own figures with it."""

    def __init__(
        self,
        configuration: Configuration,
        version: str,
        started_us: int,
        core: Core,
        door: Door,
        bridge: "Bridge | None",
        alerts: AlertStage,
        rooms: Sequence[Reports],
    ) -> None:
        self._configuration = configuration
        self._started_us = started_us
        self._core = core
        self._door = door
        self._bridge = bridge
        self._alerts = alerts
        self._rooms = rooms
        self._rate = Rate()
        self._frames_per_s = 0.0
        self._online = 0
        self.version = version
        self.node = configuration.node.name
        self.metrics = CollectorRegistry()
        self.metrics.register(GatewayCollector(self.status, self.totals))

    async def tell(self, hub: Hub) -> None:
        """Samples about once a second and publishes the status to whoever listens, until cancelled."""
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            await self._sample()
            if hub.wants(Kind.STATUS):
                hub.publish_event(Kind.STATUS, self.status())

    async def _sample(self) -> None:
        """Takes the figures that need a look at two moments or at the database."""
        store = self._core.store
        self._frames_per_s = self._rate.sample(store.status.frames_total)
        try:
            self._online = await store.read(count_online)
        except Unavailable:
            return  # the last count, then

    def status(self) -> Status:
        """Returns the figures as of now; cheap enough for every second."""
        store, bridge, school = self._core.store, self._bridge, self._configuration.school
        figures = store.status
        return Status(
            node=self.node,
            school=school.name or self.node,
            timezone=school.timezone,
            version=self.version,
            started_at=rfc3339.text(self._started_us),
            now=rfc3339.text(wall_us()),
            clock_right=self._core.clock.is_right,
            ingest=IngestFigures(
                frames_total=figures.frames_total,
                frames_per_s=round(self._frames_per_s, 1),
                commit_ms=round(store.median_commit_ms(), 2),
                queue_bytes=figures.queue_bytes,
                queue_cap_bytes=store.queue_cap_bytes,
                duplicates_total=figures.duplicates_total,
                dead_letters_total=figures.dead_letters_total,
                refused_total=self._door.broker.counters.refused_topics_total,
            ),
            mqtt=MqttFigures(len(self._door.peers)),
            bridge=BridgeFigures("off", None) if bridge is None else BridgeFigures(bridge.state, bridge.reason),
            devices=count_devices(self._core.registry, self._online),
            alerts=count_alerts(self._alerts.counts()),
        )

    def readiness(self) -> Mapping[str, str | None]:
        """Returns each part with the reason why it is not ready, None if it is."""
        return {name: reason for room in self._rooms for name, reason in room.readiness().items()}

    def totals(self) -> Totals:
        """Returns what the rooms count, for /metrics."""
        return {name: total for room in self._rooms for name, total in room.totals().items()}

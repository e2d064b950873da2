"""What the gateway says of itself: figures, readiness with reasons, totals for /metrics."""

from dataclasses import dataclass, field

from devices.mqtt.client.bridge import Bridge
from devices.mqtt.server.counters import Counters
from devices.mqtt.server.door import Door
from foundation import rfc3339
from foundation.clocks import wall_us
from gateway.alerts.stage import AlertStage
from gateway.configuration.layers import Configuration
from gateway.core import Core
from gateway.errors import Unavailable
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
from gateway.health.metrics import TotalsByName


@dataclass(slots=True)
class Report:
    """Reads the parts; changes none. `tls_failure`: why there is no certificate, None if there is one."""

    configuration: Configuration
    version: str
    started_us: int
    core: Core
    door: Door
    bridge: Bridge | None
    alerts: AlertStage
    tls_failure: str | None = None
    _rate: Rate = field(default_factory=Rate)
    _frames_per_s: float = 0.0
    _online: int = 0

    async def sample(self) -> None:
        """Takes the figures that need a look at two moments or at the database; call it about once a second."""
        store = self.core.store
        self._frames_per_s = self._rate.sample(store.status.frames_total)
        try:
            self._online = await store.read(count_online)
        except Unavailable:
            return  # the last count, then

    def status(self) -> Status:
        """Returns the figures as of now; cheap enough for every second."""
        store, broker = self.core.store, self.door.broker
        figures = store.status
        bridge = self.bridge
        return Status(
            node=self.configuration.node.name,
            school=self.configuration.school.name or self.configuration.node.name,
            timezone=self.configuration.school.timezone,
            version=self.version,
            started_at=rfc3339.text(self.started_us),
            now=rfc3339.text(wall_us()),
            clock_right=self.core.clock.is_right,
            ingest=IngestFigures(
                frames_total=figures.frames_total,
                frames_per_s=round(self._frames_per_s, 1),
                commit_ms=round(store.median_commit_ms(), 2),
                queue_bytes=figures.queue_bytes,
                queue_cap_bytes=store.queue_cap_bytes,
                duplicates_total=figures.duplicates_total,
                dead_letters_total=figures.dead_letters_total,
                refused_total=broker.counters.refused_topics_total,
            ),
            mqtt=MqttFigures(len(self.door.peers)),
            bridge=BridgeFigures("off", None) if bridge is None else BridgeFigures(bridge.state, bridge.reason),
            devices=count_devices(self.core.registry, self._online),
            alerts=count_alerts(self.alerts.counts()),
        )

    def readiness(self) -> dict[str, str | None]:
        """Returns each part with the reason why it is not ready, None if it is."""
        configuration, bridge = self.configuration, self.bridge
        parts: dict[str, str | None] = {"store": self.core.store.status.failure, "clock": self.core.clock.doubt}
        if configuration.mqtts.enabled or configuration.https.enabled:
            parts["tls"] = self.tls_failure
        if bridge is not None:
            parts["bridge"] = None if bridge.state == "connected" else (bridge.reason or bridge.state)
        return parts

    def counters(self) -> Counters:
        """Returns the broker's totals."""
        return self.door.broker.counters

    def totals(self) -> TotalsByName:
        """Returns what else is counted, for /metrics."""
        core = self.core
        totals: TotalsByName = {
            "failed_commits": ("Commits that the disk refused", core.store.status.failed_commits_total),
            "dead_letters_dropped": ("Oldest dead letters dropped at their cap", core.dead_letters.dropped_total),
            "kept_frames_dropped": ("Oldest kept frames dropped at their cap", core.kept_frames.dropped_total),
            "alert_readings_thinned": ("Readings that a busy alert engine took together", self.alerts.thinned_total),
            "retained_refused": ("Messages not retained at the cap", self.door.broker.retained.refused),
            "connections_refused": (
                "Connections over mqtt.max_connections",
                self.door.connections_refused_total,
            ),
        }
        if self.bridge is not None:
            counters = self.bridge.counters
            totals |= {
                "bridge_received": ("Messages taken from the broker", counters.received_total),
                "bridge_redelivered": ("Messages that the broker sent again", counters.redelivered_total),
                "bridge_connections": ("Connections made to the broker", counters.connections_total),
                "bridge_canaries_lost": ("Messages to ourselves that did not come back", counters.canaries_lost_total),
            }
        return totals

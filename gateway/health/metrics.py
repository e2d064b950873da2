"""The gateway's figures for Prometheus, read from the parts when they are scraped."""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from devices.mqtt.server.counters import Counters
from gateway.health.figures import Status

TotalsByName = dict[str, tuple[str, float]]


class GatewayCollector(Collector):
    """`totals`: further counters, name (without `schoolgate_` and `_total`) to help and value."""

    def __init__(
        self, status: Callable[[], Status], broker: Callable[[], Counters], totals: Callable[[], TotalsByName]
    ) -> None:
        self._status = status
        self._broker = broker
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        status, broker = self._status(), self._broker()
        ingest = status.ingest
        counters: TotalsByName = {
            "frames": ("Frames committed", ingest.frames_total),
            "duplicates": ("Repeated messages, stored once", ingest.duplicates_total),
            "dead_letters": ("Frames that could not be decoded", ingest.dead_letters_total),
            "mqtt_connects": ("Accepted CONNECTs", broker.connects_total),
            "mqtt_sign_ins_failed": ("Refused sign-ins", broker.sign_ins_failed_total),
            "mqtt_refused_topics": ("Publishes and subscriptions without permission", broker.refused_topics_total),
            "mqtt_packet_errors": ("Connections closed for what they sent", broker.packet_errors_total),
            "mqtt_queue_dropped": ("Messages dropped from full queues of absent clients", broker.queue_dropped_total),
            "mqtt_qos0_dropped": ("QoS 0 messages not sent to clients that do not read", broker.qos0_dropped_total),
            "mqtt_expired": ("Messages that expired before they were sent", broker.expired_total),
            **self._totals(),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(f"schoolgate_{name}", text, value=value)
        gauges: TotalsByName = {
            "frames_per_second": ("Frames committed a second, over the last seconds", ingest.frames_per_s),
            "commit_milliseconds": ("Median duration of the recent commits", ingest.commit_ms),
            "ingest_queue_bytes": ("Bytes that wait for a commit", ingest.queue_bytes),
            "ingest_queue_cap_bytes": ("At this many the doors slow their peers down", ingest.queue_cap_bytes),
            "mqtt_connections": ("Open MQTT connections", status.mqtt.connections),
            "devices_active": ("Devices in the registry that may talk", status.devices.active),
            "devices_online": ("Devices that are connected", status.devices.online),
            "devices_seen": ("Devices that talk and are not adopted", status.devices.seen),
            "alerts_firing": ("Alerts that fire and nobody has acknowledged", status.alerts.firing),
            "clock_right": ("1 if the gateway believes its own clock", float(status.clock_right)),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"schoolgate_{name}", text, value=value)

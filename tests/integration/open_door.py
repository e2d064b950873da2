"""A gateway whose MQTT door lets everybody do everything: what conformance is checked against."""

from pathlib import Path

from tests.gateway_process import GatewayProcess

ANONYMOUS = '["#"]'


def open_door(data: Path, **settings: str) -> GatewayProcess:
    """Returns a gateway, not started; `settings` as mqtt_max_inflight="5"."""
    more = {name.replace("_", ".", 1): value for name, value in settings.items()}
    return GatewayProcess(data, {"mqtt.anonymous_topics": ANONYMOUS} | more)

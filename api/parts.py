"""What the API needs of the gateway."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from devices.registry import Registry
from gateway.alerts.stage import AlertStage
from gateway.health.figures import Status
from gateway.live.hub import Hub
from gateway.store.store import Store

DIST: Final = Path(__file__).parent / "web" / "dist"
"""The console as it was built."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts, and what the API has others do. Everything is called on the event loop.

    `publish_command(device_id, name, payload)`: sends a command, which is stored already, to the device.
    `readiness`: every part by name, with the reason why it is not ready, or None.
    """

    store: Store
    registry: Registry
    hub: Hub
    alerts: AlertStage
    now_us: Callable[[], int]
    school_key: bytes
    version: str
    node: str
    publish_command: Callable[[str, str, bytes], None]
    status: Callable[[], Status]
    readiness: Callable[[], Mapping[str, str | None]]
    metrics: CollectorRegistry
    dist: Path = DIST

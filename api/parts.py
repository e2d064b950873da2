"""What the API needs of the gateway: one field a room."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.alerts.stage import AlertStage
from gateway.fleet.room import Fleet
from gateway.health.report import Report
from gateway.live.hub import Hub
from gateway.store.store import Store

DIST: Final = Path(__file__).parent / "web" / "dist"
"""The console as it was built."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The open rooms. Everything is called on the event loop. `school_key`: what card numbers are digested with."""

    store: Store
    fleet: Fleet
    alerts: AlertStage
    live: Hub
    health: Report
    school_key: bytes
    now_us: Callable[[], int]
    dist: Path = DIST

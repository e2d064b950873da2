"""One device as the ingest sees it: its series' numbers, what it has sent already, when it was last heard."""

from dataclasses import dataclass, field
from typing import TypeAlias

from devices.registry import Device, DeviceState
from gateway.ingest.seen import SeenRanges

MAX_SERIES = 256
"""A device that invents measurement names is stopped at this many."""

MAX_BOOTS_IN_MEMORY = 8
MAX_LAYOUTS = 64

Layout: TypeAlias = tuple[tuple[int, int, int, int, int], ...]
"""For each group that a message has values of: its number, and which of the message's values belong in its places;
-1: none."""


@dataclass(slots=True, eq=False)
class Source:
    """Mutable, owned by the writer's thread. May be ahead of the disk until the commit, see `Ingest.forget`."""

    device: Device
    series: dict[str, int] = field(default_factory=dict)
    layouts: dict[tuple[str, ...], Layout] = field(default_factory=dict)  # by a message's measurements, in their order
    windows: dict[str, SeenRanges] = field(default_factory=dict)
    changed_boots: set[str] = field(default_factory=set)
    is_active: bool = field(init=False)
    is_online: bool | None = None
    ahead_us: int | None = None  # how far its last stamp was ahead of the moment of receipt, in this transaction
    last_seen_us: int = 0
    clock_right_us: int = 0
    written_us: int = 0  # when device_status was last written
    due_hour: int | None = None  # the hour that is noted for rolling up, for all series
    is_touched: bool = False  # in this transaction
    must_write: bool = False  # its online state changed in this transaction

    def __post_init__(self) -> None:
        self.is_active = self.device.state is DeviceState.ACTIVE

"""What one transaction of the writer committed, for the stages after it. Times are µs since 1970 UTC."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog

from devices.payloads.values import CredentialKind, Direction
from devices.registry import DeviceState
from foundation.clock import Clock

log = structlog.get_logger("store")

Reading: TypeAlias = tuple[int, int, int, float, int]
"""series_id, at_us, frame_no, value, clock."""

Pack: TypeAlias = tuple[int, int, int, int, float | None, float | None, float | None, float | None]
"""group_no, at_us, frame_no, clock, and the values of the group's series, None where the message had none."""


@dataclass(frozen=True, slots=True)
class Series:
    """One measurement of one device."""

    id: int
    device_id: str
    measurement: str


@dataclass(frozen=True, slots=True)
class TapRow:
    """One tap as committed; `person_id` is the holder of the card at that moment, None for an unknown card."""

    id: int
    device_id: str
    at_us: int
    received_us: int
    clock: Clock
    credential_ref: str
    kind: CredentialKind
    direction: Direction | None
    person_id: str | None


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """A device was seen for the first time (None), came online (True) or went offline (False). `state`: the
    registry's. That it was adopted or revoked does not come this way: people do that, not frames."""

    device_id: str
    state: DeviceState
    is_online: bool | None
    at_us: int


@dataclass(slots=True)
class Committed:
    """Rows as stored, in commit order. `retained_packs` are of unknown age (retained, or late without a stamp): they
    may fill a last value and reset no timer. `frame_no` grows by one a frame over the life of the database.
    """

    committed_us: int
    last_frame_no: int
    packs: list[Pack] = field(default_factory=list)
    retained_packs: list[Pack] = field(default_factory=list)
    taps: list[TapRow] = field(default_factory=list)
    device_changes: list[DeviceChange] = field(default_factory=list)
    new_series: list[Series] = field(default_factory=list)
    dead_letters: int = 0
    duplicates: int = 0
    frames: int = 0

    def extend(self, later: "Committed") -> None:
        """Takes in what a later transaction committed."""
        self.committed_us = later.committed_us
        self.last_frame_no = later.last_frame_no
        self.packs += later.packs
        self.retained_packs += later.retained_packs
        self.taps += later.taps
        self.device_changes += later.device_changes
        self.new_series += later.new_series
        self.dead_letters += later.dead_letters
        self.duplicates += later.duplicates
        self.frames += later.frames


class Stages:
    """Who is told of every commit, on the event loop, in the order in which they were added."""

    def __init__(self) -> None:
        self._stages: list[Callable[[Committed], None]] = []

    def add(self, stage: Callable[[Committed], None]) -> None:
        """Has `stage` told from the next commit on; it returns at once."""
        self._stages.append(stage)

    def tell(self, committed: Committed) -> None:
        """Tells all of them; one that raises is logged, and keeps no other from being told."""
        for stage in self._stages:
            try:
                stage(committed)
            except Exception as error:
                log.error("stage_failed", exc_info=error)

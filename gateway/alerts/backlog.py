"""What was committed and not yet evaluated: bounded, whatever comes in. Pure."""

from collections.abc import Set
from dataclasses import dataclass, field

from devices.registry import DeviceState
from gateway.committed import Committed, Reading
from gateway.readings.tables import PACKED

LIMIT = 5_000
"""Readings that may wait; beyond it they are thinned out, which is much cheaper than evaluating them."""


@dataclass(slots=True)
class Batch:
    """Commits in one piece. `now_us`: when the last of them was made. `heard_us`: the newest tap of a
    device. `present`: devices whose connection opened. `states`: the registry states that devices were said
    to be in."""

    now_us: int = 0
    last_frame_no: int = 0
    readings: list[Reading] = field(default_factory=list)
    heard_us: dict[str, int] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    states: dict[str, DeviceState] = field(default_factory=dict)


class Backlog:
    """Gathers commits while the stage is busy.

    Over the limit, of every series only the newest, the lowest and the highest reading stay, in the order
    they came: a limit that was passed is still seen to have been passed, and the end is right; durations
    may begin a little later. Readings older than the series' newest are dropped then: they would change
    nothing. So it holds at most `limit` readings, or six for each series if that is more.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = self._room = limit
        self._batch = Batch()
        self.thinned_total = 0

    def add(self, committed: Committed, unwatched: Set[int]) -> bool:
        """Takes a commit without the readings of `unwatched` series and without what was retained, whose age
        nobody knows. Returns whether it holds anything to evaluate."""
        batch = self._batch
        batch.last_frame_no = max(batch.last_frame_no, committed.last_frame_no)
        readings = [
            (series_id, pack[1], pack[2], value, pack[3])
            for pack in committed.packs
            for series_id, value in enumerate(pack[4:], pack[0] * PACKED)
            if value is not None and series_id not in unwatched
        ]
        if not (readings or committed.taps or committed.device_changes):
            return False
        batch.now_us = committed.committed_us
        batch.readings += readings
        for tap in committed.taps:
            batch.heard_us[tap.device_id] = max(tap.at_us, batch.heard_us.get(tap.device_id, tap.at_us))
        for change in committed.device_changes:
            batch.states[change.device_id] = change.state
            if change.is_online:
                batch.present.add(change.device_id)
        if len(batch.readings) > self._room:
            before = len(batch.readings)
            batch.readings = thinned(batch.readings)
            self.thinned_total += before - len(batch.readings)
            self._room = max(self._limit, 2 * len(batch.readings))
        return True

    def take(self) -> Batch:
        """Returns all that was added since the last call."""
        batch, self._batch = self._batch, Batch(self._batch.now_us, self._batch.last_frame_no)
        self._room = self._limit
        return batch


def thinned(readings: list[Reading]) -> list[Reading]:
    """Returns the newest, the lowest and the highest reading of each series, in the order given; at equal
    values the first one."""
    newest: dict[int, int] = {}  # series to index, as in the other two
    lowest: dict[int, int] = {}
    highest: dict[int, int] = {}
    for index, (series_id, at_us, _, value, _) in enumerate(readings):
        last = newest.get(series_id)
        if last is None:
            newest[series_id] = lowest[series_id] = highest[series_id] = index
            continue
        if at_us < readings[last][1]:
            continue
        newest[series_id] = index
        if value < readings[lowest[series_id]][3]:
            lowest[series_id] = index
        if value > readings[highest[series_id]][3]:
            highest[series_id] = index
    kept = {*newest.values(), *lowest.values(), *highest.values()}
    return [reading for index, reading in enumerate(readings) if index in kept]

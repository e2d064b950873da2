"""The ring of recent events that the live feed is read from, and their text as Server-Sent Events.

Readings stay in the packs that were committed and are encoded when somebody wants them, once for all who want
them whole. An event's id is `<run>.<number>`: `run` is greater in every run of the gateway, and numbers grow
with every event of a run, so ids grow for ever and an id of an earlier run is known to be one. A pack takes a number
for every value that it has room for.
"""

import enum
import re
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import msgspec

from foundation import rfc3339
from foundation.clock import CLOCK_LABELS, SECOND_US
from gateway.committed import Pack, Series
from gateway.readings.tables import PACKED

CAPACITY: Final = 40_000
"""Numbers in the ring."""

SLICE: Final = 80
"""Packs that are encoded at once."""

FULL_CHUNK: Final = 64 << 10

_ID: Final = re.compile(r"([0-9]{1,19})\.([0-9]{1,19})", re.ASCII)


class Kind(enum.StrEnum):
    """Of an event; what its data is."""

    READING = "reading"
    TAP = "tap"
    ALERT = "alert"
    DEVICE = "device"
    STATUS = "status"


@dataclass(slots=True)
class _Entry:
    """Numbers `first` to `last`, of one kind: `packs`, encoded on demand, or the `text` of a single one."""

    first: int
    last: int
    kind: Kind
    device_id: str | None
    packs: Sequence[Pack] | None
    text: bytes | None


class EventRing:
    """`series` says what a series' number means; it must know it before the series' first reading comes."""

    def __init__(self, run_no: int, series: Callable[[int], Series], capacity: int = CAPACITY) -> None:
        self._run_no = run_no
        self._series = series
        self._capacity = capacity
        self._entries: deque[_Entry] = deque()
        self._heads: dict[int, tuple[str, str]] = {}
        self.last = 0
        """Number of the newest event; a reader's place is the number of the last event that it is past."""

    @property
    def cursor(self) -> bytes:
        """The id of the newest event."""
        return b"%d.%d" % (self._run_no, self.last)

    def add_packs(self, packs: Sequence[Pack]) -> None:
        """Takes in readings, an event each."""
        for start in range(0, len(packs), SLICE):
            part = packs[start : start + SLICE] if len(packs) > SLICE else packs
            self._add(Kind.READING, PACKED * len(part), None, part, None)

    def add(self, kind: Kind, shown: object, device_id: str | None) -> None:
        """Takes in one event. `device_id`: which device it is about."""
        data = msgspec.json.encode(shown)
        text = b"event: %s\nid: %d.%d\ndata: %s\n\n" % (kind.encode(), self._run_no, self.last + 1, data)
        self._add(kind, 1, device_id, None, text)

    def _add(
        self, kind: Kind, number: int, device_id: str | None, packs: Sequence[Pack] | None, text: bytes | None
    ) -> None:
        entries = self._entries
        entries.append(_Entry(self.last + 1, self.last + number, kind, device_id, packs, text))
        self.last += number
        while len(entries) > 1 and self.last - entries[0].first >= self._capacity:
            entries.popleft()

    def lose(self) -> None:
        """Forgets everything; no place before this can be read on from."""
        self._entries.clear()
        self.last += 1  # stands for what is lost: nobody has seen it

    def place_of(self, event_id: str) -> int | None:
        """Returns the place right after the event with this id, None if it cannot be read on from."""
        found = _ID.fullmatch(event_id)
        if found is None or int(found[1]) != self._run_no:
            return None
        number = int(found[2])
        return number if self._oldest - 1 <= number <= self.last else None

    @property
    def _oldest(self) -> int:
        return self._entries[0].first if self._entries else self.last + 1

    def read_after(self, place: int, kinds: Collection[Kind], device_id: str | None) -> tuple[bytes, int] | None:
        """Returns about FULL_CHUNK of the events after `place`, and the place to go on from; None if the ring
        does not hold them all any more."""
        if place < self._oldest - 1:
            return None
        pieces: list[bytes] = []
        size = 0
        for index in range(self._index_after(place), len(self._entries)):
            entry = self._entries[index]
            if entry.kind in kinds:
                piece = self._text(entry, place, device_id)
                pieces.append(piece)
                size += len(piece)
            place = entry.last
            if size >= FULL_CHUNK:
                break
        return b"".join(pieces), place

    def _index_after(self, place: int) -> int:
        low, high = 0, len(self._entries)
        while low < high:
            middle = (low + high) // 2
            if self._entries[middle].last <= place:
                low = middle + 1
            else:
                high = middle
        return low

    def _text(self, entry: _Entry, place: int, device_id: str | None) -> bytes:
        if entry.packs is None:
            return (entry.text or b"") if device_id in (None, entry.device_id) else b""
        if device_id is not None or place >= entry.first:
            return self._encode(entry.packs, entry.first, place, device_id)
        if entry.text is None:
            entry.text = self._encode(entry.packs, entry.first, place, None)
        return entry.text

    def _encode(self, packs: Sequence[Pack], first: int, place: int, device_id: str | None) -> bytes:
        """Returns the readings whose numbers are past `place`."""
        start = f"event: reading\nid: {self._run_no}."
        heads = self._heads
        second_text = rfc3339.text_of_second
        pieces: list[str] = []
        for pack_first, (group_no, at_us, _, clock, *values) in zip(count(first, PACKED), packs, strict=False):
            second, micro = divmod(at_us, SECOND_US)
            at = f"{second_text(second)}.{micro:06d}Z"
            label = CLOCK_LABELS[clock]
            for offset, value in enumerate(values):
                number, series_id = pack_first + offset, group_no * PACKED + offset
                if value is None or number <= place:
                    continue
                device, head = heads.get(series_id) or self._head(series_id)
                if device_id is None or device == device_id:
                    pieces.append(f'{start}{number}\ndata: {head}{at}","value":{value!r},"clock":"{label}"}}\n\n')
        return "".join(pieces).encode()

    def _head(self, series_id: int) -> tuple[str, str]:
        """Returns a series' device, and the JSON of its readings up to the time."""
        entry = self._series(series_id)
        names = msgspec.json.encode({"device": entry.device_id, "measurement": entry.measurement}).decode()
        found = self._heads[series_id] = (entry.device_id, f'{names[:-1]},"at":"')
        return found

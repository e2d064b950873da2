"""A school's days: who is in which room, who taps a card where and when, and what goes wrong. Pure and seeded."""

import random
from dataclasses import dataclass

from firmware_sim import building, timetable
from firmware_sim.building import Device, Room
from firmware_sim.pupils import Pupil, enrolled
from firmware_sim.timetable import FIRST_BELL, LAST_BELL, Phase, Timetable, at, period_at

_ABSENT_SHARE = 0.05
_DOUBLE_TAP_SHARE = 0.02
_STRANGER_TAPS = 3
_LUNCH_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Tap:
    """A card at a reader. `direction` is in, out, or None where a reader cannot know (the canteen)."""

    second: float
    reader_id: str
    credential: str
    kind: str
    direction: str | None


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that goes wrong every day from `starts` to `ends`. `is_line_cut`: the device loses its network;
    otherwise what it measures goes wrong."""

    device_id: str
    starts: float
    ends: float
    title: str
    is_line_cut: bool = False

    def is_on(self, second: float) -> bool:
        return self.starts <= second < self.ends


INCIDENTS = (
    Incident("reader-004", at("07:49"), at("08:04"), "the network cable of the reader at the East door is out", True),
    Incident("freezer-001", at("12:05"), at("12:35"), "the cold store's freezer stands open"),
    Incident("leak-006", at("13:50"), at("14:05"), "a tap in the workshop runs over"),
)


class School:
    """Everything that a seed decides: pupils, devices, timetable, and each day's taps."""

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.pupils: list[Pupil] = enrolled(seed)
        self.sensors: list[Device] = building.sensors()
        self.readers: list[Device] = building.readers()
        self.rooms: dict[str, Room] = {room.name: room for room in building.rooms()}
        self.timetable = Timetable(seed, building.homes(), building.SPECIAL_ROOMS)
        self._reader_at = {reader.room: reader.id for reader in self.readers}
        self._homes = set(building.homes().values())

    @property
    def devices(self) -> list[Device]:
        return self.readers + self.sensors

    def room(self, device: Device) -> Room:
        """Where a device hangs; a door counts as a room that fills with those who pass."""
        return self.rooms.get(device.room) or Room(device.room, 60, 10.0)

    def people_in(self, room: str, second: float) -> int:
        """How many people are in a room, or pass a door, at a second of the day."""
        period = period_at(second)
        taught = room in self._homes or room in building.SPECIAL_ROOMS
        if period.lesson is not None:
            if taught:
                return 24 if self.timetable.group_in(room, period.lesson) is not None else 0
            return {"Canteen": 6, "Library": 14, "Staff room": 8, "Office": 4}.get(room, 0)
        share = _BETWEEN_LESSONS[period.phase]
        if taught:
            return round(24 * share.classrooms)
        if room in building.ENTRANCES:
            return round(60 * share.doors)
        return round(
            {"Canteen": 320, "Hall": 160, "Library": 25, "Staff room": 26, "Office": 5}.get(room, 0) * share.common
        )

    def taps_of(self, day: int) -> list[Tap]:
        """A day's taps, in order of time: in, at lunch, out; with absences, latecomers, double taps, strangers."""
        rng = random.Random(f"{self.seed}/taps/{day}")
        taps: list[Tap] = []
        for pupil in self.pupils:
            if rng.random() < _ABSENT_SHARE:
                continue
            door = rng.choice(building.ENTRANCES)
            arrives = FIRST_BELL - 60 * rng.gauss(22 * pupil.punctual - 3, 5)
            arrives = max(at("07:25"), arrives)
            taps.append(self._tap(arrives, door, pupil, "in"))
            if rng.random() < _DOUBLE_TAP_SHARE:
                taps.append(self._tap(arrives + rng.uniform(1, 3), door, pupil, "in"))
            if rng.random() < _LUNCH_SHARE:
                lunch = at("11:50") + 60 * rng.triangular(1, 50, 12)
                taps.append(self._tap(lunch, "Canteen", pupil, None))
            leaves = LAST_BELL + 60 * rng.triangular(0.5, 35, 5)
            taps.append(self._tap(leaves, rng.choice(building.ENTRANCES), pupil, "out"))
        for number in range(_STRANGER_TAPS):
            second = rng.uniform(at("08:20"), at("14:30"))
            taps.append(
                Tap(second, self._reader_at["Main gate 1"], f"0400000000{day % 100:02d}{number:02d}", "uid", "in")
            )
        taps.sort(key=lambda tap: tap.second)
        return taps

    def _tap(self, second: float, door: str, pupil: Pupil, direction: str | None) -> Tap:
        return Tap(second, self._reader_at[door], pupil.card.credential, pupil.card.kind, direction)


@dataclass(frozen=True, slots=True)
class _Share:
    """How full classrooms, doors and common rooms are, 0 to 1."""

    classrooms: float
    doors: float
    common: float


_BETWEEN_LESSONS = {
    Phase.CLOSED: _Share(0.0, 0.0, 0.0),
    Phase.ARRIVAL: _Share(0.25, 0.5, 0.2),
    Phase.BREAK: _Share(0.35, 0.2, 0.3),
    Phase.LUNCH: _Share(0.1, 0.2, 1.0),
    Phase.LEAVING: _Share(0.1, 0.6, 0.15),
    Phase.LESSON: _Share(1.0, 0.0, 0.0),
}


@dataclass(frozen=True, slots=True)
class SimulatedTime:
    """A day (0 is the first) and a second of it."""

    day: int
    second: float

    def __str__(self) -> str:
        return f"day {self.day + 1} {timetable.clock(self.second)}"


@dataclass(frozen=True, slots=True)
class SchoolClock:
    """Real seconds into simulated time. The day runs from `starts` to `ends`; a looping one then begins again."""

    speed: float
    starts: float = at("07:25")
    ends: float = at("16:15")
    is_looping: bool = False

    def time_at(self, elapsed_s: float) -> SimulatedTime | None:
        """The simulated time after `elapsed_s` real seconds, or None when the last day is over."""
        length = self.ends - self.starts
        day, second = divmod(elapsed_s * self.speed, length)
        if day and not self.is_looping:
            return None
        return SimulatedTime(int(day), self.starts + second)

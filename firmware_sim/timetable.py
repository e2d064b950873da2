"""The school's day: bells, lessons, breaks, and which class is in which room. Pure; times are seconds of the day."""

import enum
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


class Phase(enum.Enum):
    """What the school is doing between two bells."""

    CLOSED = "closed"
    ARRIVAL = "arrival"
    LESSON = "lesson"
    BREAK = "break"
    LUNCH = "lunch"
    LEAVING = "leaving"


def at(clock: str) -> float:
    """Seconds of the day of "HH:MM"."""
    hours, minutes = clock.split(":")
    return int(hours) * 3600.0 + int(minutes) * 60.0


def clock(second: float) -> str:
    """Returns "HH:MM" of a second of the day."""
    minutes = int(second // 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


@dataclass(frozen=True, slots=True)
class Period:
    """From one bell to the next. `lesson` counts from 0; None where there is no lesson."""

    starts: float
    phase: Phase
    lesson: int | None = None

    @property
    def title(self) -> str:
        return f"lesson {self.lesson + 1}" if self.lesson is not None else self.phase.value


DAY: tuple[Period, ...] = (
    Period(0.0, Phase.CLOSED),
    Period(at("07:20"), Phase.ARRIVAL),
    Period(at("08:00"), Phase.LESSON, 0),
    Period(at("08:50"), Phase.BREAK),
    Period(at("08:55"), Phase.LESSON, 1),
    Period(at("09:45"), Phase.BREAK),
    Period(at("10:05"), Phase.LESSON, 2),
    Period(at("10:55"), Phase.BREAK),
    Period(at("11:00"), Phase.LESSON, 3),
    Period(at("11:50"), Phase.LUNCH),
    Period(at("12:50"), Phase.LESSON, 4),
    Period(at("13:40"), Phase.BREAK),
    Period(at("13:45"), Phase.LESSON, 5),
    Period(at("14:35"), Phase.BREAK),
    Period(at("14:40"), Phase.LESSON, 6),
    Period(at("15:30"), Phase.LEAVING),
    Period(at("16:10"), Phase.CLOSED),
)
LESSONS = sum(1 for period in DAY if period.lesson is not None)
FIRST_BELL = at("08:00")
LAST_BELL = at("15:30")
_STARTS = [period.starts for period in DAY]


def period_at(second: float) -> Period:
    """The period of the day that `second` falls into."""
    return DAY[bisect_right(_STARTS, second) - 1]


def bells_between(after: float, until: float) -> list[Period]:
    """The periods whose bell rings in (after, until]."""
    return [period for period in DAY if after < period.starts <= until]


class Timetable:
    """Which class has which room, for every lesson of a day. No room holds two classes.

    A class has its own room; in each lesson every special room (gym, laboratory, …) goes to another class.
    """

    def __init__(self, seed: int, homes: dict[str, str], special_rooms: Sequence[str]) -> None:
        self._group_in: list[dict[str, str]] = []
        groups = sorted(homes)
        for lesson in range(LESSONS):
            rooms = dict(homes)
            rng = random.Random(f"{seed}/lesson/{lesson}")
            guests = rng.sample(groups, min(len(special_rooms), len(groups)))
            rooms.update(zip(guests, special_rooms, strict=False))
            self._group_in.append({room: group for group, room in rooms.items()})

    def group_in(self, room: str, lesson: int) -> str | None:
        """The class that has `room` in a lesson, None if it is empty then."""
        return self._group_in[lesson].get(room)

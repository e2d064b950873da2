"""The simulated school: bells, pupils, building, taps, time."""

from collections import Counter
from itertools import pairwise

import pytest

from firmware_sim import building
from firmware_sim.building import Kind
from firmware_sim.pupils import classes, enrolled
from firmware_sim.school import INCIDENTS, School, SchoolClock, SimulatedTime
from firmware_sim.timetable import (
    DAY,
    FIRST_BELL,
    LAST_BELL,
    LESSONS,
    Phase,
    at,
    bells_between,
    clock,
    period_at,
)


@pytest.fixture(scope="module")
def school() -> School:
    return School(seed=1)


def test_the_day_has_seven_lessons_in_order() -> None:
    assert LESSONS == 7
    assert [period.lesson for period in DAY if period.lesson is not None] == list(range(7))
    assert [period.starts for period in DAY] == sorted(period.starts for period in DAY)


@pytest.mark.parametrize(
    ("time", "phase"),
    [
        ("00:00", Phase.CLOSED),
        ("07:59", Phase.ARRIVAL),
        ("08:00", Phase.LESSON),
        ("08:50", Phase.BREAK),
        ("12:00", Phase.LUNCH),
        ("15:30", Phase.LEAVING),
        ("23:59", Phase.CLOSED),
    ],
)
def test_a_bell_begins_its_period(time: str, phase: Phase) -> None:
    assert period_at(at(time)).phase is phase


def test_a_bell_rings_once_however_the_time_is_cut() -> None:
    steps = [at("07:00") + 37.3 * n for n in range(1000)]
    rung = [p for before, now in pairwise(steps) for p in bells_between(before, now)]
    assert rung == bells_between(steps[0], steps[-1])


def test_a_time_of_day_is_read_back() -> None:
    assert clock(at("07:05")) == "07:05"


def test_a_thousand_pupils_have_names_classes_and_cards_of_their_own() -> None:
    pupils = enrolled(seed=1)
    assert len({pupil.name for pupil in pupils}) == 1000
    assert len({pupil.card.credential for pupil in pupils}) == 1000
    assert set(Counter(pupil.group for pupil in pupils).values()) == {25}
    assert {pupil.card.kind for pupil in pupils} == {"uid", "nfc", "qr"}


def test_the_same_seed_makes_the_same_school_and_another_one_another() -> None:
    assert enrolled(seed=1) == enrolled(seed=1)
    assert enrolled(seed=1) != enrolled(seed=2)
    assert School(3).taps_of(0) == School(3).taps_of(0)
    assert School(3).taps_of(0) != School(3).taps_of(1)


def test_two_hundred_sensors_of_ten_kinds_hang_in_rooms_that_exist(school: School) -> None:
    assert len(school.sensors) == 200
    assert len({device.id for device in school.devices}) == 208
    assert len({device.kind for device in school.sensors}) == 10
    places = set(school.rooms) | set(building.DOORS)
    assert all(device.room in places for device in school.devices)


def test_every_class_has_a_room_in_every_lesson_and_no_room_two_classes(school: School) -> None:
    for lesson in range(LESSONS):
        taught = [group for room in school.rooms if (group := school.timetable.group_in(room, lesson)) is not None]
        assert sorted(taught) == sorted(classes())


def test_nobody_is_in_a_classroom_at_night_and_a_class_is_in_lessons(school: School) -> None:
    room = next(room for room in school.rooms if school.timetable.group_in(room, 0) == "5a")
    assert school.people_in(room, at("03:00")) == 0
    assert school.people_in(room, at("08:20")) == 24
    assert school.people_in("Canteen", at("12:10")) > 300


def test_pupils_tap_in_before_they_tap_out_and_most_come_in_time(school: School) -> None:
    taps = school.taps_of(0)
    assert [tap.second for tap in taps] == sorted(tap.second for tap in taps)
    known = {pupil.card.credential for pupil in school.pupils}
    first_in = {tap.credential: tap.second for tap in reversed(taps) if tap.direction == "in"}
    last_out = {tap.credential: tap.second for tap in taps if tap.direction == "out"}
    assert all(first_in[card] < last_out[card] for card in known & last_out.keys())
    assert all(second >= LAST_BELL for second in last_out.values())
    present = known & first_in.keys()
    assert 900 < len(present) < 990
    late = sum(first_in[card] > FIRST_BELL for card in present)
    assert 1 <= late < 60


def test_a_canteen_reader_knows_no_direction_and_strangers_tap_too(school: School) -> None:
    taps = school.taps_of(0)
    canteen = next(reader.id for reader in school.readers if reader.room == "Canteen")
    assert {tap.direction for tap in taps if tap.reader_id == canteen} == {None}
    known = {pupil.card.credential for pupil in school.pupils}
    assert [tap for tap in taps if tap.credential not in known]


def test_incidents_happen_to_devices_that_exist_within_the_day(school: School) -> None:
    ids = {device.id for device in school.devices}
    assert all(incident.device_id in ids and incident.starts < incident.ends for incident in INCIDENTS)
    rooms = {device.id: device.room for device in school.devices}
    assert rooms["leak-006"] == "Workshop"
    assert rooms["freezer-001"] == "Cold store"
    assert rooms["reader-004"] == "East door"


def test_a_minute_passes_in_a_second_at_speed_sixty() -> None:
    fast = SchoolClock(speed=60, starts=at("07:25"), ends=at("16:15"))
    assert fast.time_at(0) == SimulatedTime(0, at("07:25"))
    assert fast.time_at(35) == SimulatedTime(0, at("08:00"))


def test_a_day_ends_unless_it_loops() -> None:
    length_s = (at("16:15") - at("07:25")) / 60
    assert SchoolClock(60).time_at(length_s + 1) is None
    assert SchoolClock(60, is_looping=True).time_at(2 * length_s + 1) == SimulatedTime(2, at("07:26"))


def test_readers_hang_at_every_door(school: School) -> None:
    assert [reader.room for reader in school.readers] == list(building.DOORS)
    assert {reader.kind for reader in school.readers} == {Kind.READER}

"""What the simulated sensors measure follows the school day."""

import statistics

import pytest

from firmware_sim.building import Device, Kind
from firmware_sim.school import School
from firmware_sim.sensors import Moment, model_of
from firmware_sim.timetable import Phase, at, period_at

UNITS = ("_c", "_pct", "_ppm", "_ppb", "_lx", "_db", "_w", "_kwh", "_kpa", "_dbm", "_s", "motion", "_open", "_leak")


@pytest.fixture(scope="module")
def school() -> School:
    return School(seed=1)


def device(school: School, name: str) -> Device:
    return next(device for device in school.devices if device.id == name)


def day_of(school: School, name: str, *, incident: tuple[str, str] | None = None) -> dict[str, dict[float, float]]:
    """All measurements of a device between 07:00 and 17:00: name, then second of the day, then value."""
    sensor = device(school, name)
    model = model_of(sensor, school.room(sensor), school.seed)
    measured: dict[str, dict[float, float]] = {}
    second = at("07:00")
    while second < at("17:00"):
        is_incident = incident is not None and at(incident[0]) <= second < at(incident[1])
        people = school.people_in(sensor.room, second)
        moment = Moment(second, sensor.interval_s, people, period_at(second).phase, is_incident)
        for measurement, value in model.step(moment).items():
            measured.setdefault(measurement, {})[second] = value
        second += sensor.interval_s
    return measured


def between(values: dict[float, float], start: str, end: str) -> list[float]:
    return [value for second, value in values.items() if at(start) <= second < at(end)]


def test_every_kind_measures_numbers_with_the_unit_in_the_name(school: School) -> None:
    kinds: set[Kind] = set()
    for sensor in school.devices:
        if sensor.kind not in kinds:
            kinds.add(sensor.kind)
            values = model_of(sensor, school.room(sensor), 1).step(Moment(at("09:00"), 60, 24, Phase.LESSON))
            assert values
            assert all(isinstance(value, int | float) for value in values.values())
            assert all(name.endswith(UNITS) for name in values)
    assert kinds == set(Kind)


def test_the_same_seed_measures_the_same_day(school: School) -> None:
    assert day_of(school, "climate-003") == day_of(school, "climate-003")


def test_co2_rises_in_a_lesson_and_falls_in_the_long_break(school: School) -> None:
    co2 = day_of(school, "air-010")["co2_ppm"]
    assert statistics.mean(between(co2, "08:40", "08:50")) > statistics.mean(between(co2, "08:00", "08:05")) + 150
    assert statistics.mean(between(co2, "10:00", "10:05")) < statistics.mean(between(co2, "08:40", "08:50")) - 150


def test_only_a_room_that_cannot_be_aired_passes_a_thousand_ppm(school: School) -> None:
    assert max(day_of(school, "air-001")["co2_ppm"].values()) > 1000
    assert max(day_of(school, "air-010")["co2_ppm"].values()) < 1000


def test_power_follows_the_people_and_energy_only_grows(school: School) -> None:
    meter = day_of(school, "energy-001")
    assert statistics.mean(between(meter["power_w"], "08:10", "08:40")) > 10 * min(meter["power_w"].values())
    energy = list(meter["energy_kwh"].values())
    assert energy == sorted(energy)
    assert energy[-1] - energy[0] > 1


def test_a_freezer_warms_while_it_stands_open_and_cools_again(school: School) -> None:
    calm = day_of(school, "freezer-001")["temperature_c"]
    assert max(calm.values()) < -17
    opened = day_of(school, "freezer-001", incident=("12:05", "12:35"))["temperature_c"]
    assert max(between(opened, "12:20", "12:40")) > -10
    assert between(opened, "16:00", "17:00")[-1] < -17


def test_water_is_where_it_should_not_be_only_while_a_pipe_leaks(school: School) -> None:
    leak = day_of(school, "leak-006", incident=("13:50", "14:20"))["water_leak"]
    assert set(leak.values()) == {0, 1}
    assert set(between(leak, "07:00", "13:00")) == {0}


def test_it_is_louder_in_the_canteen_at_lunch_than_in_a_lesson(school: School) -> None:
    sound = next(s for s in school.sensors if s.kind is Kind.NOISE and s.room == "Canteen")
    level = day_of(school, sound.id)["sound_db"]
    assert statistics.mean(between(level, "12:00", "12:40")) > statistics.mean(between(level, "10:10", "10:50")) + 10

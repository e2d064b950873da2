"""What the sensors measure: one small model for each kind, following the people in its room. Pure and seeded.

A model is stepped with the moment it measures; the same steps with the same seed give the same values.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from firmware_sim.building import Device, Kind, Room
from firmware_sim.timetable import Phase

OUTDOOR_CO2_PPM = 420.0
_CO2_PER_SEAT_PPM_H = 2000.0
"""A pupil breathes out 16 litres of CO2 an hour into 8 m³ of room."""

_OPEN_WINDOWS = 8.0
"""Air changes an hour that open windows add in the breaks; a stuffy room gets half of them."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a sensor sees: the second of the day, seconds since it last measured, who is around, and whether its
    incident (an open freezer, a burst pipe) is happening."""

    second: float
    elapsed_s: float
    people: int
    phase: Phase
    is_incident: bool = False


class Model(Protocol):
    """One sensor's world. `step` returns measurements by name, units in the name."""

    def step(self, moment: Moment) -> dict[str, float]: ...


def model_of(device: Device, room: Room, seed: int) -> Model:
    """A fresh model of what `device` measures in `room`, as the night left it."""
    return _MODELS[device.kind](room, random.Random(f"{seed}/{device.id}"))


def _daylight(second: float) -> float:
    """0 at night, 1 at noon, between 07:30 and 16:30."""
    return max(0.0, math.sin(math.pi * (second / 3600 - 7.5) / 9))


class Air:
    """CO2 and TVOC: people fill the room with it, air changes take it out, open windows faster."""

    def __init__(self, room: Room, rng: random.Random) -> None:
        self._room = room
        self._rng = rng
        self._co2_ppm = OUTDOOR_CO2_PPM + rng.uniform(10, 60)
        self._is_smelly = "lab" in room.name or room.name in ("Art room", "Workshop")

    def step(self, moment: Moment) -> dict[str, float]:
        room = self._room
        airing = room.airing
        if moment.phase in (Phase.BREAK, Phase.LUNCH, Phase.LEAVING):
            airing += _OPEN_WINDOWS if airing > 4 else _OPEN_WINDOWS / 2
        balance_ppm = OUTDOOR_CO2_PPM + _CO2_PER_SEAT_PPM_H * moment.people / room.seats / airing
        left = math.exp(-airing * moment.elapsed_s / 3600)
        self._co2_ppm = balance_ppm + (self._co2_ppm - balance_ppm) * left
        tvoc_ppb = 60 + 0.35 * (self._co2_ppm - OUTDOOR_CO2_PPM)
        if self._is_smelly and moment.people:
            tvoc_ppb += 240
        return {
            "co2_ppm": round(max(400.0, self._co2_ppm + self._rng.gauss(0, 6))),
            "tvoc_ppb": round(max(0.0, tvoc_ppb + self._rng.gauss(0, 8))),
        }


class Climate:
    """Temperature and humidity: the heating runs by day, people warm and dampen the room."""

    def __init__(self, room: Room, rng: random.Random) -> None:
        self._rng = rng
        self._seats = max(room.seats, 1)
        self._day_c = {"Server room": 24.5, "Boiler room": 26.0}.get(room.name, rng.uniform(20.2, 21.4))
        self._temperature_c = self._day_c - 1.5
        self._humidity_pct = rng.uniform(38, 44)

    def step(self, moment: Moment) -> dict[str, float]:
        filled = moment.people / self._seats
        target_c = self._day_c + 2.0 * filled + 0.8 * _daylight(moment.second)
        left = math.exp(-moment.elapsed_s / 3000)
        self._temperature_c = target_c + (self._temperature_c - target_c) * left
        self._humidity_pct = 41 + 12 * filled + (self._humidity_pct - 41 - 12 * filled) * left
        return {
            "temperature_c": round(self._temperature_c + self._rng.gauss(0, 0.05), 2),
            "humidity_pct": round(min(95.0, max(15.0, self._humidity_pct + self._rng.gauss(0, 0.3))), 1),
        }


class Light:
    """Illuminance: daylight through the windows, lamps where people are."""

    def __init__(self, room: Room, rng: random.Random) -> None:
        self._rng = rng
        self._window_lx = rng.uniform(180, 520)

    def step(self, moment: Moment) -> dict[str, float]:
        lamps_lx = 340.0 if moment.people else 0.0
        daylight_lx = self._window_lx * _daylight(moment.second) * self._rng.uniform(0.85, 1.0)
        return {"illuminance_lx": round(lamps_lx + daylight_lx)}


class Noise:
    """Sound level: loud in breaks and at lunch, quiet when nobody is there."""

    def __init__(self, room: Room, rng: random.Random) -> None:
        self._rng = rng
        self._is_quiet = room.name == "Library"

    def step(self, moment: Moment) -> dict[str, float]:
        if not moment.people:
            level_db = 31.0
        elif self._is_quiet:
            level_db = 41.0
        elif moment.phase is Phase.LESSON:
            level_db = 54.0
        else:
            level_db = 72.0
        return {"sound_db": round(level_db + self._rng.gauss(0, 2.5 if moment.people else 0.8), 1)}


class Motion:
    def __init__(self, room: Room, rng: random.Random) -> None:
        self._rng = rng

    def step(self, moment: Moment) -> dict[str, float]:
        return {"motion": 1 if moment.people and self._rng.random() < 0.93 else 0}


class Energy:
    """A meter: power follows the people (and the cooks, and the servers), energy only grows."""

    def __init__(self, room: Room, rng: random.Random) -> None:
        self._rng = rng
        self._standing_w = {"Server room": 1850.0, "Canteen": 420.0, "Kitchen": 260.0}.get(room.name, 18.0)
        self._is_cooking = room.name in ("Canteen", "Kitchen")
        self._energy_kwh = round(rng.uniform(800, 9000), 1)

    def step(self, moment: Moment) -> dict[str, float]:
        power_w = self._standing_w
        if moment.people:
            power_w += 280 + 22 * min(moment.people, 25)
        if self._is_cooking and 9.5 <= moment.second / 3600 <= 12.5:
            power_w += 6800
        power_w *= self._rng.uniform(0.96, 1.04)
        self._energy_kwh += power_w * moment.elapsed_s / 3_600_000
        return {"power_w": round(power_w, 1), "energy_kwh": round(self._energy_kwh, 3)}


class Door:
    """A contact: entrances stand open while the school comes and goes."""

    def __init__(self, room: Room, rng: random.Random) -> None:
        self._rng = rng

    def step(self, moment: Moment) -> dict[str, float]:
        often = 0.6 if moment.phase in (Phase.ARRIVAL, Phase.LEAVING) else 0.2
        share = often if moment.people else 0.02
        return {"door_open": 1 if self._rng.random() < share else 0}


class Leak:
    def __init__(self, room: Room, rng: random.Random) -> None:
        self._battery_pct = rng.uniform(62, 99)

    def step(self, moment: Moment) -> dict[str, float]:
        self._battery_pct = max(5.0, self._battery_pct - moment.elapsed_s / 86_400 * 0.05)
        return {"water_leak": int(moment.is_incident), "battery_pct": round(self._battery_pct, 1)}


class Freezer:
    """-19 °C, a compressor's saw-tooth; half a degree a minute warmer while its door stands open."""

    def __init__(self, room: Room, rng: random.Random) -> None:
        self._rng = rng
        self._phase_s = rng.uniform(0, 1500)
        self._excess_c = 0.0

    def step(self, moment: Moment) -> dict[str, float]:
        if moment.is_incident:
            self._excess_c = min(16.0, self._excess_c + moment.elapsed_s / 60 * 0.5)
        else:
            self._excess_c *= math.exp(-moment.elapsed_s / 900)
        swing_c = 0.7 * math.sin(2 * math.pi * (moment.second + self._phase_s) / 1500)
        return {"temperature_c": round(-19 + swing_c + self._excess_c + self._rng.gauss(0, 0.05), 2)}


class Boiler:
    """Flow and return temperature and pressure: full heat in the morning, less when the school is warm."""

    def __init__(self, room: Room, rng: random.Random) -> None:
        self._rng = rng
        self._flow_c = 48.0

    def step(self, moment: Moment) -> dict[str, float]:
        target_c = 64.0 if moment.phase is not Phase.CLOSED else 48.0
        target_c -= 6 * _daylight(moment.second)
        self._flow_c = target_c + (self._flow_c - target_c) * math.exp(-moment.elapsed_s / 1200)
        flow_c = self._flow_c + self._rng.gauss(0, 0.3)
        return {
            "flow_temperature_c": round(flow_c, 1),
            "return_temperature_c": round(flow_c - 13 + self._rng.gauss(0, 0.3), 1),
            "pressure_kpa": round(160 + self._rng.gauss(0, 0.6), 1),
        }


class Reader:
    """A reader's own health, between the taps."""

    def __init__(self, room: Room, rng: random.Random) -> None:
        self._rng = rng
        self._signal_dbm = rng.uniform(-68, -48)
        self._uptime_s = 0.0

    def step(self, moment: Moment) -> dict[str, float]:
        self._uptime_s += moment.elapsed_s
        return {"rssi_dbm": round(self._signal_dbm + self._rng.gauss(0, 1.5)), "uptime_s": round(self._uptime_s)}


_MODELS: dict[Kind, Callable[[Room, random.Random], Model]] = {
    Kind.AIR: Air,
    Kind.CLIMATE: Climate,
    Kind.LIGHT: Light,
    Kind.NOISE: Noise,
    Kind.MOTION: Motion,
    Kind.ENERGY: Energy,
    Kind.DOOR: Door,
    Kind.LEAK: Leak,
    Kind.FREEZER: Freezer,
    Kind.BOILER: Boiler,
    Kind.READER: Reader,
}

"""What stands in the school: rooms, 200 sensors and 8 readers. Pure; the same building every time."""

import enum
from dataclasses import dataclass

from firmware_sim.pupils import classes


class Kind(enum.StrEnum):
    """What a device is. The value is its kind in the gateway's registry."""

    AIR = "air_quality"
    CLIMATE = "climate"
    LIGHT = "light"
    NOISE = "noise"
    MOTION = "motion"
    ENERGY = "energy_meter"
    DOOR = "door_contact"
    LEAK = "leak_detector"
    FREEZER = "freezer"
    BOILER = "boiler"
    READER = "reader"


INTERVAL_S = {
    Kind.AIR: 60,
    Kind.CLIMATE: 120,
    Kind.LIGHT: 120,
    Kind.NOISE: 60,
    Kind.MOTION: 60,
    Kind.ENERGY: 60,
    Kind.DOOR: 120,
    Kind.LEAK: 600,
    Kind.FREEZER: 120,
    Kind.BOILER: 120,
    Kind.READER: 60,
}
"""How often a device of each kind reports, in simulated seconds."""


_PREFIX = {
    Kind.AIR: "air",
    Kind.CLIMATE: "climate",
    Kind.LIGHT: "light",
    Kind.NOISE: "noise",
    Kind.MOTION: "motion",
    Kind.ENERGY: "energy",
    Kind.DOOR: "door",
    Kind.LEAK: "leak",
    Kind.FREEZER: "freezer",
    Kind.BOILER: "boiler",
}
_TITLE = {
    Kind.AIR: "Air",
    Kind.CLIMATE: "Climate",
    Kind.LIGHT: "Light",
    Kind.NOISE: "Noise",
    Kind.MOTION: "Motion",
    Kind.ENERGY: "Energy",
    Kind.DOOR: "Door",
    Kind.LEAK: "Leak",
    Kind.FREEZER: "Freezer",
    Kind.BOILER: "Boiler",
}


@dataclass(frozen=True, slots=True)
class Room:
    """`seats`: how many people fill it. `airing`: air changes an hour with closed windows."""

    name: str
    seats: int
    airing: float


@dataclass(frozen=True, slots=True)
class Device:
    """A sensor or reader: where it hangs, and how it signs in."""

    id: str
    kind: Kind
    name: str
    room: str

    @property
    def interval_s(self) -> int:
        return INTERVAL_S[self.kind]


SPECIAL_ROOMS = (
    "Gym",
    "Physics lab",
    "Chemistry lab",
    "Biology lab",
    "Music room",
    "Art room",
    "Workshop",
    "Kitchen",
)
COMMON_ROOMS = ("Canteen", "Library", "Staff room", "Hall", "Office", "Server room", "Boiler room", "Cold store")
DOORS = (
    "Main gate 1",
    "Main gate 2",
    "Main gate 3",
    "East door",
    "West door",
    "Sports door",
    "Bicycle cellar",
    "Canteen",
)
ENTRANCES = DOORS[:-1]

STUFFY_ROOMS = 4
"""The first classrooms have windows that do not open: in a full lesson their air passes 1,000 ppm CO2."""


def homes() -> dict[str, str]:
    """The room of each class."""
    return {group: f"Room {101 + i % 20 + 100 * (i // 20)}" for i, group in enumerate(classes())}


def rooms() -> list[Room]:
    """Every room with sensors: 40 classrooms, special rooms, common rooms."""
    classrooms = [
        Room(name, 25, 2.2 if i < STUFFY_ROOMS else 5.0 + i % 4 * 0.8) for i, name in enumerate(homes().values())
    ]
    special = [Room(name, 25, 9.0 if name == "Gym" else 6.0) for name in SPECIAL_ROOMS]
    common = [
        Room("Canteen", 400, 9.0),
        Room("Library", 40, 5.0),
        Room("Staff room", 30, 4.5),
        Room("Hall", 300, 8.0),
        Room("Office", 6, 4.0),
        Room("Server room", 0, 6.0),
        Room("Boiler room", 0, 3.0),
        Room("Cold store", 0, 1.0),
    ]
    return classrooms + special + common


def sensors() -> list[Device]:
    """The 200 sensors."""
    taught = [*homes().values(), *SPECIAL_ROOMS]
    peopled = [*taught, "Canteen", "Library", "Staff room", "Hall"]
    placed: list[tuple[Kind, list[str]]] = [
        (Kind.AIR, peopled),
        (Kind.CLIMATE, [*taught[:20], *SPECIAL_ROOMS, *COMMON_ROOMS[:7]]),
        (Kind.LIGHT, [*taught[:34], "Hall"]),
        (Kind.NOISE, [*taught[:10], "Gym", "Canteen", "Library", "Hall"]),
        (Kind.MOTION, [*taught[:16], "Canteen", "Library", "Staff room", "Hall"]),
        (Kind.ENERGY, [*taught[:10], *SPECIAL_ROOMS, "Canteen", "Server room"]),
        (Kind.DOOR, [*ENTRANCES, "Server room", "Cold store", "Boiler room", "Chemistry lab", "Office"]),
        (Kind.LEAK, ["Boiler room", "Kitchen", "Server room", "Chemistry lab", "Canteen", "Workshop"]),
        (Kind.FREEZER, ["Cold store", "Kitchen", "Canteen", "Biology lab"]),
        (Kind.BOILER, ["Boiler room", "Gym"]),
    ]
    return [
        Device(f"{_PREFIX[kind]}-{number:03d}", kind, f"{_TITLE[kind]}, {room}", room)
        for kind, where in placed
        for number, room in enumerate(where, start=1)
    ]


def readers() -> list[Device]:
    """The 8 card readers: seven at the entrances, one in the canteen."""
    return [
        Device(f"reader-{number:03d}", Kind.READER, f"Reader, {door}", door)
        for number, door in enumerate(DOORS, start=1)
    ]

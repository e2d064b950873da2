"""Devices that announce themselves by Home Assistant MQTT discovery, as Zigbee2MQTT does for its own. Pure.

One bridge signs in for all of them; nobody has adopted them, so a gateway shows them as seen.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

BRIDGE_ID = "ha-bridge"
BRIDGE_GRANTS = ("homeassistant/#", "zigbee2mqtt/#")
BRIDGE_STATE = ("zigbee2mqtt/bridge/state", b'{"state":"online"}')


@dataclass(frozen=True, slots=True)
class Entity:
    """One value of a device: its key in the state's JSON, and what Home Assistant is told of it."""

    component: str
    key: str
    device_class: str
    unit: str | None


@dataclass(frozen=True, slots=True)
class ZigbeeDevice:
    """`is_terse`: announces itself in abbreviations, with `~` for the start of its topics."""

    address: str
    name: str
    maker: str
    model: str
    entities: tuple[Entity, ...]
    is_terse: bool = False

    @property
    def state_topic(self) -> str:
        return f"zigbee2mqtt/{self.name}"


_CLIMATE = (
    Entity("sensor", "temperature", "temperature", "°C"),
    Entity("sensor", "humidity", "humidity", "%"),
    Entity("sensor", "battery", "battery", "%"),
)
_PLUG = (Entity("sensor", "power", "power", "W"), Entity("sensor", "energy", "energy", "kWh"))
_CONTACT = (Entity("binary_sensor", "contact", "door", None), Entity("sensor", "battery", "battery", "%"))

DEVICES = (
    ZigbeeDevice("0x00158d0001a2b3c4", "greenhouse_climate", "Aqara", "WSDCGQ11LM", _CLIMATE),
    ZigbeeDevice("0x00158d0001a2b3d7", "archive_climate", "Aqara", "WSDCGQ11LM", _CLIMATE, is_terse=True),
    ZigbeeDevice("0xa4c1380f21c0de55", "copier_plug", "TuYa", "TS011F", _PLUG),
    ZigbeeDevice("0x00158d00045f6a12", "bicycle_shed_door", "Aqara", "MCCGQ11LM", _CONTACT, is_terse=True),
)


def announcements() -> list[tuple[str, bytes]]:
    """Topics and payloads of every entity's configuration, to be published retained."""
    return [
        (
            f"homeassistant/{entity.component}/{device.address}/{entity.key}/config",
            json.dumps(_terse(device, entity) if device.is_terse else _plain(device, entity)).encode(),
        )
        for device in DEVICES
        for entity in device.entities
    ]


def state(device: ZigbeeDevice, rng: random.Random) -> tuple[str, bytes]:
    """Topic and payload of a device's present values."""
    values: dict[str, object] = {"linkquality": rng.randrange(60, 255)}
    for entity in device.entities:
        values[entity.key] = _VALUES[entity.key](rng)
    return device.state_topic, json.dumps(values).encode()


_VALUES: dict[str, Callable[[random.Random], object]] = {
    "temperature": lambda rng: round(rng.gauss(19.5, 0.3), 2),
    "humidity": lambda rng: round(rng.gauss(48, 1.0), 2),
    "battery": lambda rng: 87,
    "power": lambda rng: round(max(0.0, rng.gauss(240, 150)), 1),
    "energy": lambda rng: 312.7,
    "contact": lambda rng: rng.random() < 0.85,
}


def _plain(device: ZigbeeDevice, entity: Entity) -> dict[str, object]:
    config: dict[str, object] = {
        "name": entity.key.capitalize(),
        "unique_id": f"{device.address}_{entity.key}_zigbee2mqtt",
        "object_id": f"{device.name}_{entity.key}",
        "state_topic": device.state_topic,
        "value_template": f"{{{{ value_json.{entity.key} }}}}",
        "device_class": entity.device_class,
        "availability": [{"topic": BRIDGE_STATE[0], "value_template": "{{ value_json.state }}"}],
        "device": {
            "identifiers": [f"zigbee2mqtt_{device.address}"],
            "manufacturer": device.maker,
            "model": device.model,
            "name": device.name,
        },
    }
    return config | _of_component(entity, "unit_of_measurement", "payload_on", "payload_off")


def _terse(device: ZigbeeDevice, entity: Entity) -> dict[str, object]:
    config: dict[str, object] = {
        "~": device.state_topic,
        "name": entity.key.capitalize(),
        "uniq_id": f"{device.address}_{entity.key}_zigbee2mqtt",
        "stat_t": "~",
        "val_tpl": f"{{{{ value_json.{entity.key} }}}}",
        "dev_cla": entity.device_class,
        "dev": {
            "ids": [f"zigbee2mqtt_{device.address}"],
            "mf": device.maker,
            "mdl": device.model,
            "name": device.name,
        },
    }
    return config | _of_component(entity, "unit_of_meas", "pl_on", "pl_off")


def _of_component(entity: Entity, unit: str, on: str, off: str) -> dict[str, object]:
    """What a sensor says besides (its unit), and a binary sensor (its two payloads; a closed contact is off)."""
    if entity.unit is not None:
        return {unit: entity.unit, "state_class": "measurement"}
    return {on: False, off: True}

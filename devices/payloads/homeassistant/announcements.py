"""Home Assistant's MQTT discovery: how Zigbee2MQTT, Tasmota and ESPHome say what they are. Pure.

    <prefix>/<component>/[<node_id>/]<object_id>/config     one entity
    <prefix>/device/[<node_id>/]<object_id>/config          a device with its `components`

The payload is a JSON object, its keys in long or short form; an empty one withdraws what was announced there.
Unknown keys and components are no error: a device whose entities give no values is still a device. What
cannot be read of an entity (a template beyond `templates`, an unusual topic) is said in `Entity.unreadable`.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from devices.errors import DecodeError
from devices.payloads.homeassistant.abbreviations import DEVICE_KEYS, KEYS, expand
from devices.payloads.homeassistant.components import (
    LONGEST_TOPIC,
    LONGEST_WORDS,
    entities_of,
    is_plain,
    payload_of,
    template_of,
    words,
)
from devices.payloads.homeassistant.entities import Availability, AvailabilityMode, Entity
from devices.payloads.measurements import slug

PREFIX: Final = "homeassistant"
LARGEST_BYTES: Final = 262_144
MOST_ENTITIES: Final = 256
"""Of one announcement."""
MOST_AVAILABILITIES: Final = 16

_json: Final = msgspec.json.Decoder(dict[str, object])


@dataclass(frozen=True, slots=True)
class DiscoveryTopic:
    """A topic that announces; `node_id` is empty where there is none."""

    topic: str
    component: str
    node_id: str
    object_id: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a discovery topic says of a device. Several announcements make up one device, by `device_id`.

    `device_id` is a legal level of an MQTT topic and part of an address: `ha-` and the device's first
    identifier. Texts are empty where the announcement has none.
    """

    topic: str
    device_id: str
    name: str
    manufacturer: str = ""
    model: str = ""
    sw_version: str = ""
    suggested_area: str = ""
    entities: tuple[Entity, ...] = ()
    availability: tuple[Availability, ...] = ()
    availability_mode: AvailabilityMode = AvailabilityMode.LATEST


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What was announced on `topic` is no more."""

    topic: str


_LEVELS: Final = re.compile(r"(\w+)/(?:([a-zA-Z0-9_-]+)/)?([a-zA-Z0-9_-]+)/config", re.ASCII)


def recognise(topic: str, prefix: str = PREFIX) -> DiscoveryTopic | None:
    """Returns what a topic announces; None for one that is not of discovery, such as `<prefix>/status`."""
    if not topic.startswith(f"{prefix}/") or len(topic) > LONGEST_TOPIC:
        return None
    found = _LEVELS.fullmatch(topic, len(prefix) + 1)
    return None if found is None else DiscoveryTopic(topic, found[1], found[2] or "", found[3])


def decode_config(topic: DiscoveryTopic, payload: bytes) -> Announcement | Withdrawal:
    """Returns what is announced. Raises `DecodeError` for what is not a JSON object of at most 256 KiB."""
    if not payload.strip():
        return Withdrawal(topic.topic)
    if len(payload) > LARGEST_BYTES:
        raise DecodeError(f"announcement: larger than {LARGEST_BYTES} bytes")
    try:
        config = expand(_json.decode(payload), KEYS)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError("announcement: not a JSON object") from error
    if config.get("migrate_discovery") is True:  # the device moves on to the per-device form
        return Withdrawal(topic.topic)
    block = config.get("device")
    device = expand(block, DEVICE_KEYS) if isinstance(block, dict) else {}
    identity = _identity(device) or topic.node_id or words(config, "unique_id") or topic.object_id
    own_ids = _own_ids(topic, device)
    parts = [(component, key, _with_base(part)) for component, key, part in _parts(topic, config) if component]
    entities = tuple(
        entity
        for component, key, part in parts
        for entity in entities_of(component, key, part, _qualifier(key, part, own_ids))
    )
    if len(entities) > MOST_ENTITIES:
        raise DecodeError(f"announcement: more than {MOST_ENTITIES} entities")
    return Announcement(
        topic.topic,
        device_id_of(identity),
        words(device, "name") or ("" if device else words(config, "name")),
        words(device, "manufacturer"),
        words(device, "model"),
        words(device, "sw_version"),
        words(device, "suggested_area"),
        entities,
        _availabilities([part for _, _, part in parts] or [_with_base(config)]),
        _mode(config),
    )


_MAC: Final = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5,7}")
_ILLEGAL: Final = re.compile(r"[^a-z0-9_-]+")


def device_id_of(identity: str) -> str:
    """Returns the id of the device with this identifier, always the same: `0x00158D00` is `ha-0x00158d00`.

    A hardware address loses its separators. Where more than the case has to change, 8 digits of a hash keep
    different identifiers apart.
    """
    low = identity.lower()
    if _MAC.fullmatch(low):
        return f"ha-{low.translate(str.maketrans('', '', ':-'))}"
    legal = _ILLEGAL.sub("-", low)
    if legal == low and len(legal) <= 60:
        return f"ha-{legal}"
    mark = hashlib.blake2s(identity.encode(), digest_size=4).hexdigest()
    return f"ha-{legal[:48].strip('-')}-{mark}"


def _identity(device: Mapping[str, object]) -> str:
    """Returns the device block's first identifier, or the address of its first connection; may be empty."""
    identifiers = device.get("identifiers")
    first = identifiers[0] if isinstance(identifiers, list) and identifiers else identifiers
    if isinstance(first, str | int) and str(first).strip():
        return str(first).strip()
    connections = device.get("connections")
    connection = connections[0] if isinstance(connections, list) and connections else None
    if isinstance(connection, list) and len(connection) == 2 and isinstance(connection[1], str):
        return connection[1].strip()
    return ""


_SHARED: Final = (
    "availability",
    "availability_mode",
    "availability_template",
    "availability_topic",
    "payload_available",
    "payload_not_available",
    "state_topic",
    "~",
)
"""What components of the per-device form take from the whole if they do not have it themselves."""


def _parts(topic: DiscoveryTopic, config: Mapping[str, object]) -> list[tuple[str, str, dict[str, object]]]:
    """Returns (component, key, configuration) of each entity that is announced."""
    if topic.component != "device":
        return [(topic.component, topic.object_id, dict(config))]
    components = config.get("components")
    if not isinstance(components, dict):
        return []
    if len(components) > MOST_ENTITIES:
        raise DecodeError(f"announcement: more than {MOST_ENTITIES} components")
    shared = {key: config[key] for key in _SHARED if key in config}
    parts = []
    for key, component in components.items():
        if len(key) > LONGEST_WORDS:
            raise DecodeError(f"announcement: a component's key is longer than {LONGEST_WORDS} characters")
        if isinstance(component, dict):
            part = expand(component, KEYS)
            if len(part) > 1:  # the platform alone takes the component away
                parts.append((words(part, "platform"), key, shared | part))
    return parts


def _with_base(config: Mapping[str, object]) -> dict[str, object]:
    """Returns the configuration with `~` written out, at the start or the end of what is a topic."""
    base = config.get("~")
    if isinstance(base, str) and len(base) > LONGEST_TOPIC:
        raise DecodeError(f"announcement: ~ is longer than {LONGEST_TOPIC} characters")
    availability = config.get("availability")
    entries = availability if isinstance(availability, list) else [availability]
    if len(entries) > MOST_AVAILABILITIES:
        raise DecodeError(f"announcement: more than {MOST_AVAILABILITIES} topics of availability")
    expanded = {key: _based(value, base) if key.endswith("topic") else value for key, value in config.items()}
    expanded["availability"] = [
        {**entry, "topic": _based(entry.get("topic"), base)}
        for entry in (expand(entry, KEYS) for entry in entries if isinstance(entry, dict))
    ]
    return expanded


def _based(topic: object, base: object) -> object:
    if not isinstance(topic, str) or not isinstance(base, str):
        return topic
    if topic.startswith("~"):
        topic = base + topic[1:]
    return topic[:-1] + base if topic.endswith("~") else topic


def _own_ids(topic: DiscoveryTopic, device: Mapping[str, object]) -> tuple[str, ...]:
    """Returns the words that stand for the device itself, and say nothing in the name of a measurement."""
    own_ids = {slug(_identity(device)), slug(topic.node_id), slug(words(device, "name"))}
    if topic.component == "device":
        own_ids.add(slug(topic.object_id))
    return tuple(sorted(own_ids - {""}, key=len, reverse=True))


def _qualifier(key: str, config: Mapping[str, object], own_ids: Sequence[str]) -> str:
    """Returns what tells an entity from the device's others, in words for the name of its measurement.

    That is its id, if it starts with the device's (Tasmota's `35EBF6_ENERGY_Total`), else its name, which
    ESPHome makes its id from, else its id (Zigbee2MQTT gives no name to what has a device class).
    """
    by_id = slug(key)
    for own in own_ids:
        if by_id.startswith(f"{own}_"):
            return by_id[len(own) + 1 :]
    by_name = slug(words(config, "name"))
    for own in own_ids:
        if by_name.startswith(f"{own}_"):
            return by_name[len(own) + 1 :]
    if by_name and by_name not in own_ids:
        return by_name
    return "" if by_id in own_ids else by_id


def _availabilities(parts: Sequence[Mapping[str, object]]) -> tuple[Availability, ...]:
    """Returns the topics of availability, each once, of all parts."""
    found: dict[str, Availability] = {}
    for config in parts:
        entries = _entries(config.get("availability"))
        if isinstance(config.get("availability_topic"), str):
            entries.append(
                {
                    **config,
                    "topic": config["availability_topic"],
                    "value_template": config.get("availability_template"),
                }
            )
        for entry in entries:
            topic = entry.get("topic")
            if not isinstance(topic, str) or not is_plain(topic) or topic in found:
                continue
            template, unreadable = template_of(entry.get("value_template"))
            found[topic] = Availability(
                topic,
                payload_of(entry, (("payload_available",), "online")),
                payload_of(entry, (("payload_not_available",), "offline")),
                template,
                unreadable,
            )
            if len(found) > MOST_AVAILABILITIES:
                raise DecodeError(f"announcement: more than {MOST_AVAILABILITIES} topics of availability")
    return tuple(found.values())


def _entries(availability: object) -> list[dict[str, object]]:
    return [one for one in availability if isinstance(one, dict)] if isinstance(availability, list) else []


def _mode(config: Mapping[str, object]) -> AvailabilityMode:
    named = config.get("availability_mode")
    for mode in AvailabilityMode:
        if named == mode.value:
            return mode
    return AvailabilityMode.LATEST

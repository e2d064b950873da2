"""Entities that Home Assistant discovery announces, and what messages on their topics say. Pure.

A message whose entity is unknown, unavailable, none or not a number gives no value, never a zero.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from devices.errors import DecodeError
from devices.payloads.credentials import kind_of, normalise_credential
from devices.payloads.homeassistant.template_values import UNDEFINED, NoValue, float_of, text_of
from devices.payloads.homeassistant.templates import Scalar, Template
from devices.payloads.measurements import LONGEST_NAME, Measurement, slug
from devices.payloads.values import StateMessage, Tap, Telemetry

LARGEST_BYTES: Final = 1_048_576
"""Of a state message; Zigbee2MQTT's own is some hundred kilobytes."""

_NO_DATA: Final = frozenset({"", "unknown", "unavailable", "none", "null"})
_json: Final = msgspec.json.Decoder()


class Reads(enum.Enum):
    """What becomes of an entity's value."""

    NUMBER = "number"
    STATE = "state"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class Entity:
    """One value of a device. `key` tells it from the others of its announcement and stays the same.

    `topic`: where its messages come; `template`: how its value is found in them, None for the whole payload.
    `measurement`: how it is stored (a tag's has no name). `on` and `off`: what a two-state entity says for
    1.0 and 0.0. `expire_after_s`: as announced, None for never; nothing here ends a value.
    `unreadable`: why nothing can be read of it, None if it can.
    """

    key: str
    name: str
    component: str
    topic: str
    reads: Reads
    measurement: Measurement
    template: Template | None = None
    on: str = "ON"
    off: str = "OFF"
    expire_after_s: float | None = None
    unreadable: str | None = None


class AvailabilityMode(enum.Enum):
    """How the topics of a device's availability go together."""

    ALL = "all"
    ANY = "any"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Availability:
    """A topic that says whether the device is there. `unreadable` as in `Entity`."""

    topic: str
    available: str = "online"
    not_available: str = "offline"
    template: Template | None = None
    unreadable: str | None = None


def decode_state_message(entities: Sequence[Entity], payload: bytes) -> StateMessage:
    """Returns what one message says about the `entities` of one device that read its topic.

    The payload is read as JSON once, for all of them. Raises `DecodeError` for one that is too large or not UTF-8, or
    where a tag's credential is none; for one that is not JSON, though every template reads JSON, only if nothing could
    be read at all.
    """
    readable = [entity for entity in entities if entity.unreadable is None]
    needs_json = [entity.template is not None and entity.template.needs_json for entity in readable]
    text = _text(payload)
    value_json = _value_json(payload) if any(needs_json) else UNDEFINED
    values: dict[str, float] = {}
    taps: list[Tap] = []
    for entity in readable:
        said = text if entity.template is None else entity.template.render(text, value_json)
        if entity.reads is Reads.TAG:
            taps += _taps(said)
            continue
        value = _number(entity, said) if entity.reads is Reads.NUMBER else _state(entity, said)
        if value is not None:
            values[entity.measurement.name] = value
    if not values and not taps:
        if value_json is UNDEFINED and readable and all(needs_json) and text.strip().lower() not in _NO_DATA:
            raise DecodeError("state: not JSON, though the announcement says so")
        return StateMessage()
    return StateMessage(Telemetry(values) if values else None, tuple(taps))


def decode_availability(availability: Availability, payload: bytes) -> bool | None:
    """Returns whether the device is there; None if the message says neither.

    Raises `DecodeError` for a payload that is too large or not UTF-8.
    """
    if availability.unreadable is not None:
        return None
    text = _text(payload)
    said: Scalar = text
    if availability.template is not None:
        value_json = _value_json(payload) if availability.template.needs_json else UNDEFINED
        said = availability.template.render(text, value_json)
    word = _word(said)
    if word == availability.available:
        return True
    return False if word == availability.not_available else None


def is_available(mode: AvailabilityMode, said: Sequence[bool | None]) -> bool | None:
    """Returns whether a device is there by what its topics said; None if they have not said enough.

    `said`: the last word of each topic, None for a topic that has not spoken; for `LATEST` in the order in
    which they spoke.
    """
    known = [one for one in said if one is not None]
    if mode is AvailabilityMode.LATEST:
        return known[-1] if known else None
    deciding = mode is AvailabilityMode.ANY
    if deciding in known:
        return deciding
    return (not deciding) if known and len(known) == len(said) else None


def distinct(entities: Iterable[Entity]) -> tuple[Entity, ...]:
    """Returns a device's entities so that no two different values have one name; the order is by key.

    Entities that read the same from the same topic (a sensor and a number of Zigbee2MQTT) are one value, and
    the first stands for them. Of others with one name all but the first get their key behind it.
    """
    kept: list[Entity] = []
    taken: dict[str, Entity] = {}
    for entity in sorted(entities, key=lambda one: one.key):
        if entity.reads is Reads.TAG or entity.unreadable is not None:
            kept.append(entity)
            continue
        other = taken.get(entity.measurement.name)
        if other is not None:
            if _source(entity) == _source(other):
                continue
            entity = _renamed(entity, taken)
        taken[entity.measurement.name] = entity
        kept.append(entity)
    return tuple(kept)


def _source(entity: Entity) -> tuple[object, ...]:
    """Returns what decides which value an entity gives of a message."""
    template = None if entity.template is None else entity.template.source
    return (entity.topic, template, entity.reads, entity.on, entity.off)


def _renamed(entity: Entity, taken: Iterable[str]) -> Entity:
    names = frozenset(taken)
    words = slug(entity.key)
    number = 1
    while True:
        ending = f"_{words}"[: LONGEST_NAME // 2] if number == 1 else f"_{number}"
        name = f"{entity.measurement.name[: LONGEST_NAME - len(ending)]}{ending}".rstrip("_")
        if name not in names:
            return replace(entity, measurement=replace(entity.measurement, name=name))
        number += 1


def _text(payload: bytes) -> str:
    if len(payload) > LARGEST_BYTES:
        raise DecodeError(f"state: larger than {LARGEST_BYTES} bytes")
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise DecodeError("state: not UTF-8") from error


def _value_json(payload: bytes) -> object:
    try:
        return _json.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        return UNDEFINED


def _word(said: Scalar) -> str:
    try:
        return text_of(said).strip()
    except NoValue:
        return ""


def _number(entity: Entity, said: Scalar) -> float | None:
    if said is None:
        return None
    try:
        return entity.measurement.convert(float_of(said))
    except NoValue:
        return None


def _state(entity: Entity, said: Scalar) -> float | None:
    if said is None:
        return None
    word = _word(said)
    if word == entity.on:
        return 1.0
    return 0.0 if word == entity.off else None


def _taps(said: Scalar) -> list[Tap]:
    """Returns the tap; none for a message of the reader that is about something else."""
    if said is None or isinstance(said, bool):
        return []
    credential = _word(said)
    if credential.lower() in _NO_DATA:
        return []
    kind = kind_of(credential)
    return [Tap(normalise_credential(credential, kind), kind)]

"""The components of Home Assistant's discovery that give values, as a table, and what they become. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from devices.errors import DecodeError
from devices.payloads import measurements
from devices.payloads.homeassistant.entities import Entity, Reads
from devices.payloads.homeassistant.templates import Template
from devices.payloads.measurements import Measurement

LONGEST_TOPIC: Final = 1024
LONGEST_WORDS: Final = 256


@dataclass(frozen=True, slots=True)
class _Facet:
    """One value of a component: under which keys its topic and template are, and how it is read.

    `on`, `off`: keys in the order in which they count, and what holds if there is none. `device_class`:
    instead of the announced one. `word`: what 1.0 means, as in `measurements.of_state`, or what goes before
    the name.
    """

    reads: Reads
    topic: str = "state_topic"
    template: str = "value_template"
    on: tuple[tuple[str, ...], str] = (("payload_on",), "ON")
    off: tuple[tuple[str, ...], str] = (("payload_off",), "OFF")
    device_class: str = ""
    word: str = ""


_SWITCH: Final = _Facet(
    Reads.STATE,
    on=(("state_on", "payload_on"), "ON"),
    off=(("state_off", "payload_off"), "OFF"),
    word="on",
)

_FACETS: Final[Mapping[str, tuple[_Facet, ...]]] = MappingProxyType(
    {
        "sensor": (_Facet(Reads.NUMBER),),
        "number": (_Facet(Reads.NUMBER),),
        "binary_sensor": (_Facet(Reads.STATE),),
        "switch": (_SWITCH,),
        "light": (_Facet(Reads.STATE, template="state_value_template", word="on"),),
        "fan": (_Facet(Reads.STATE, template="state_value_template", word="on"),),
        "siren": (replace(_SWITCH, template="state_value_template"),),
        "lock": (
            _Facet(
                Reads.STATE,
                on=(("state_locked",), "LOCKED"),
                off=(("state_unlocked",), "UNLOCKED"),
                word="locked",
            ),
        ),
        "climate": (
            _Facet(
                Reads.NUMBER,
                "current_temperature_topic",
                "current_temperature_template",
                device_class="temperature",
            ),
            _Facet(
                Reads.NUMBER,
                "temperature_state_topic",
                "temperature_state_template",
                device_class="temperature",
                word="target",
            ),
            _Facet(
                Reads.NUMBER,
                "current_humidity_topic",
                "current_humidity_template",
                device_class="humidity",
            ),
        ),
        "tag": (_Facet(Reads.TAG, "topic"),),
    }
)
"""The components that give values; the others are known to be there, no more."""

_NOT_NUMBERS: Final = frozenset({"date", "enum", "timestamp"})


def entities_of(component: str, key: str, config: Mapping[str, object], qualifier: str) -> list[Entity]:
    """Returns the entities of one component. `key`: its id; `qualifier`: as in `measurements.of_number`."""
    found = []
    device_class = words(config, "device_class")
    for number, facet in enumerate(_FACETS.get(component, ())):
        topic = config.get(facet.topic)
        if not isinstance(topic, str) or not topic:
            continue
        template, unreadable = template_of(_template_source(component, facet, config))
        if not is_plain(topic):
            topic, unreadable = "", "the topic is too long or has a wildcard"
        elif facet.reads is Reads.NUMBER and device_class in _NOT_NUMBERS:
            unreadable = f"a {device_class} is not a number"
        found.append(
            Entity(
                key=f"{component}/{key}" if number == 0 else f"{component}/{key}/{number}",
                name=words(config, "name"),
                component=component,
                topic=topic,
                reads=facet.reads,
                measurement=_measurement(component, facet, config, qualifier),
                template=template,
                on=payload_of(config, facet.on),
                off=payload_of(config, facet.off),
                expire_after_s=_seconds(config.get("expire_after")),
                unreadable=unreadable,
            )
        )
    return found


def _measurement(component: str, facet: _Facet, config: Mapping[str, object], qualifier: str) -> Measurement:
    device_class = facet.device_class or words(config, "device_class") or None
    if facet.reads is Reads.TAG:
        return Measurement("")
    if facet.reads is Reads.STATE:
        if component == "binary_sensor":
            return measurements.of_state(device_class, qualifier)
        is_bare = qualifier in ("", component) and facet.word != "on"
        return measurements.of_state(None, "" if is_bare else qualifier or component, facet.word)
    unit = words(config, "unit_of_measurement")
    if component == "climate":
        unit = "%" if device_class == "humidity" else words(config, "temperature_unit") or "C"
        qualifier = "_".join(word for word in ("" if qualifier == component else qualifier, facet.word) if word)
    return measurements.of_number(device_class, qualifier, unit)


def _template_source(component: str, facet: _Facet, config: Mapping[str, object]) -> object:
    if component == "light" and config.get("schema") == "json":
        return "{{ value_json.state }}"
    if component == "light" and config.get("schema") == "template":
        return config.get("state_template")
    return config.get(facet.template)


def template_of(source: object) -> tuple[Template | None, str | None]:
    """Returns the template and why it cannot be read, one of them None; both for none announced."""
    if source is None or source == "":
        return None, None
    if not isinstance(source, str):
        return None, "template: not a text"
    from devices.payloads.homeassistant.template_compiler import compile_template  # loads Jinja, so only here

    try:
        return compile_template(source), None
    except DecodeError as error:
        return None, error.reason


def payload_of(config: Mapping[str, object], wanted: tuple[tuple[str, ...], str]) -> str:
    """Returns what a state is called: `payload_on: true` is `True`, as a template writes it."""
    keys, otherwise = wanted
    for key in keys:
        value = config.get(key)
        if isinstance(value, str | int | float) and len(str(value)) <= LONGEST_WORDS:
            return str(value).strip()
    return otherwise


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < 10**9 else None


def is_plain(topic: str) -> bool:
    """Returns whether a topic is one topic, of a length that we keep."""
    return 0 < len(topic) <= LONGEST_TOPIC and not any(mark in topic for mark in "+#\x00")


def words(config: Mapping[str, object], key: str) -> str:
    """Returns the text, or the number as text, at the key; empty if there is neither."""
    value = config.get(key)
    if isinstance(value, str):
        return value.strip()[:LONGEST_WORDS]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value)[:LONGEST_WORDS] if is_number else ""

"""Any announcement and any message on its topics give values or `DecodeError`."""

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from devices.errors import DecodeError
from devices.payloads.homeassistant.abbreviations import DEVICE_KEYS, KEYS
from devices.payloads.homeassistant.announcements import Announcement, decode_config, recognise
from devices.payloads.homeassistant.entities import Reads, decode_availability, decode_state_message, distinct
from devices.payloads.measurements import of_number, of_state
from devices.payloads.units import DIMENSIONS, QUANTITIES, STATES

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
DEVICE_ID = re.compile(r"ha-[a-z0-9_-]{1,61}")

units = st.sampled_from(sorted({unit for one in DIMENSIONS.values() for unit in one.spellings} | {"°C", "µg/m³", "°"}))
words = st.text(max_size=12) | units | st.sampled_from(sorted({*QUANTITIES, *STATES, "~/a", "a/~", "#", "a" * 2000}))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8
)
sources = st.sampled_from(
    [
        "{{ value_json.a }}",
        "{{ value }}",
        "{{ value_json.a | float * 2 }}",
        "{{ x }}",
        "{{ value_json[0].a }}",
        "{% if value_json.a %}ON{% else %}OFF{% endif %}",
        "{{",
    ]
)
topics = st.sampled_from(["a/b", "~/state", "state/~", "~"])
keys = st.sampled_from(sorted({*KEYS, *KEYS.values(), "~", "schema"}))
device_keys = st.sampled_from(sorted({*DEVICE_KEYS, *DEVICE_KEYS.values(), "name"}))
devices = st.dictionaries(device_keys, documents, max_size=5)
configs = st.tuples(
    st.dictionaries(keys, documents, max_size=6),
    st.fixed_dictionaries(
        {},
        optional={
            "stat_t": topics,
            "state_topic": topics,
            "t": topics,
            "curr_temp_t": topics,
            "val_tpl": sources,
            "dev_cla": words,
            "unit_of_meas": units | words,
            "name": words,
            "dev": devices | documents,
            "avty": st.lists(st.fixed_dictionaries({"t": topics}, optional={"val_tpl": sources}), max_size=3)
            | documents,
            "pl_on": scalars,
            "p": st.sampled_from(["sensor", "binary_sensor", "switch", "tag", "climate", "light", "number", "lock"]),
        },
    ),
).map(lambda parts: parts[0] | parts[1])
announcements = configs | st.tuples(configs, st.dictionaries(words, configs | documents, max_size=3)).map(
    lambda parts: parts[0] | {"cmps": parts[1]}
)
discovery_topics = st.sampled_from(
    [
        f"homeassistant/{component}/{rest}/config"
        for component in ("sensor", "binary_sensor", "switch", "tag", "climate", "light", "device", "camera", "number")
        for rest in ("node/object", "object")
    ]
)
messages = (
    st.binary(max_size=60) | documents.map(lambda one: json.dumps(one).encode()) | st.just(b'{"a": 5, "b": "ON"}')
)


@settings(max_examples=300, deadline=None)
@given(
    discovery_topics,
    (announcements | documents).map(lambda one: json.dumps(one).encode()) | st.binary(max_size=60),
    st.lists(messages, min_size=1, max_size=3),
)
def test_any_announcement_and_any_message_give_values_or_a_decode_error(
    topic: str, config: bytes, payloads: list[bytes]
) -> None:
    recognised = recognise(topic)
    assert recognised is not None
    try:
        found = decode_config(recognised, config)
    except DecodeError:
        return
    assert found == decode_config(recognised, config)
    if not isinstance(found, Announcement):
        return
    assert DEVICE_ID.fullmatch(found.device_id)
    for entity in found.entities:
        assert (entity.reads is Reads.TAG) or NAME.fullmatch(entity.measurement.name)
        assert not set("+#") & set(entity.topic)
    entities = distinct(found.entities)
    names = [one.measurement.name for one in entities if one.reads is not Reads.TAG and one.unreadable is None]
    assert len(set(names)) == len(names)
    assert all(NAME.fullmatch(name) for name in names)
    for payload in payloads:
        try:
            said = decode_state_message(entities, payload)
        except DecodeError as error:
            assert error.reason.isascii()
        else:
            assert said.telemetry is None or set(said.telemetry.values) <= set(names)
        for availability in found.availability:
            try:
                assert decode_availability(availability, payload) in (True, False, None)
            except DecodeError as error:
                assert error.reason.isascii()


@given(st.text(max_size=80))
def test_any_topic_is_of_discovery_or_not(topic: str) -> None:
    for one in (topic, f"homeassistant/{topic}", f"homeassistant/sensor/{topic}/config"):
        found = recognise(one)
        assert found is None or found.object_id.isascii()


qualifiers = st.from_regex(r"[a-z0-9]{0,30}(_[a-z0-9]{1,30}){0,4}", fullmatch=True)


@settings(max_examples=200, deadline=None)
@given(st.none() | st.sampled_from(sorted({*QUANTITIES, *STATES})) | words, qualifiers, units | words)
def test_every_name_made_is_legal(device_class: str | None, qualifier: str, unit: str) -> None:
    assert NAME.fullmatch(of_number(device_class, qualifier, unit).name)
    assert NAME.fullmatch(of_state(device_class, qualifier, "on").name)

"""What messages on the topics of entities say, and how entities and availability go together."""

from dataclasses import replace

import pytest

from devices.errors import DecodeError
from devices.payloads.homeassistant.entities import (
    LARGEST_BYTES,
    Availability,
    AvailabilityMode,
    Entity,
    Reads,
    decode_availability,
    decode_state_message,
    distinct,
    is_available,
)
from devices.payloads.homeassistant.template_compiler import compile_template
from devices.payloads.measurements import Measurement
from devices.payloads.values import StateMessage, Tap, Telemetry


def number(name: str, source: str | None = None, key: str = "sensor/x") -> Entity:
    template = None if source is None else compile_template(source)
    return Entity(key, name, "sensor", "t", Reads.NUMBER, Measurement(name), template)


def value_of(entity: Entity, payload: bytes) -> float | None:
    telemetry = decode_state_message((entity,), payload).telemetry
    return None if telemetry is None else telemetry.values[entity.measurement.name]


PLAIN = number("temperature_c")
STATE = Entity("binary_sensor/x", "", "binary_sensor", "t", Reads.STATE, Measurement("motion"))
TAG = Entity("tag/x", "", "tag", "t", Reads.TAG, Measurement(""))


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"21.5", 21.5),
        (b" -3\n", -3.0),
        (b"1e2", 100.0),
        (b"", None),
        (b"unknown", None),
        (b"unavailable", None),
        (b"None", None),
        (b"nan", None),
        (b"inf", None),
        (b"1_000", None),
        (b"warm", None),
        (b"1e999", None),
    ],
)
def test_a_plain_payload_is_a_number_or_no_data(payload: bytes, value: float | None) -> None:
    assert value_of(PLAIN, payload) == value


@pytest.mark.parametrize(
    ("payload", "value"), [(b"ON", 1.0), (b"OFF", 0.0), (b"on", None), (b"None", None), (b"", None)]
)
def test_a_two_state_entity_says_one_of_its_words_or_no_data(payload: bytes, value: float | None) -> None:
    assert value_of(STATE, payload) == value


def test_a_value_is_converted_to_the_unit_of_its_name() -> None:
    assert value_of(replace(PLAIN, measurement=Measurement("voltage_v", 0.001)), b"3012") == 3.012


@pytest.mark.parametrize(
    ("payload", "taps"),
    [
        (b"94:d8:fc:5f", (Tap("94D8FC5F", "uid"),)),
        (b"0c8f5a7e-51f6-4b6e-9df6-3c5f0d9f2b11", (Tap("0c8f5a7e-51f6-4b6e-9df6-3c5f0d9f2b11", "nfc"),)),
        (b" ", ()),
        (b"None", ()),
    ],
)
def test_a_tag_is_a_tap_unless_there_is_none(payload: bytes, taps: tuple[Tap, ...]) -> None:
    assert decode_state_message([TAG], payload) == StateMessage(None, taps)


def test_a_tag_has_no_value() -> None:
    assert value_of(TAG, b"94d8fc5f") is None


def test_an_endless_tag_is_refused_without_being_quoted() -> None:
    with pytest.raises(DecodeError) as caught:
        decode_state_message([TAG], b"9" * 300)
    assert "9999" not in caught.value.reason


def test_entities_of_one_topic_are_read_from_one_message() -> None:
    entities = [number("a", "{{ value_json.a }}"), number("b", "{{ value_json.b }}"), replace(PLAIN, unreadable="x")]
    assert decode_state_message(entities, b'{"a": 1, "b": "2.5"}').telemetry == Telemetry({"a": 1.0, "b": 2.5})


@pytest.mark.parametrize("payload", [b"", b"unavailable", b" None ", b"{}", b'{"a": null}', b'{"b": 2}'])
def test_a_message_without_data_is_no_error(payload: bytes) -> None:
    assert decode_state_message([number("a", "{{ value_json.a }}")], payload) == StateMessage()


@pytest.mark.parametrize("payload", [b"offline!", b'{"a": NaN}', b'{"a":1', b'{"a":' + b"[" * 9000])
def test_a_message_that_should_be_json_and_is_not_is_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError, match="not JSON"):
        decode_state_message([number("a", "{{ value_json.a }}")], payload)


def test_a_template_that_does_without_json_may_get_any_text() -> None:
    either = number("a", "{{ value_json.a if value_json is defined else value }}")
    assert value_of(either, b"7") is None  # a number is JSON, and has no key
    assert value_of(number("a", "{{ value }}"), b"warm") is None
    assert value_of(either, b"7.") == 7.0  # no JSON


@pytest.mark.parametrize("payload", [b"\xff", b"1" * (LARGEST_BYTES + 1)])
def test_bytes_that_are_no_text_or_too_many_are_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_state_message([PLAIN], payload)
    with pytest.raises(DecodeError):
        decode_availability(Availability("t"), payload)


def test_an_availability_that_cannot_be_read_says_nothing() -> None:
    assert decode_availability(Availability("t", unreadable="template"), b"online") is None


@pytest.mark.parametrize(
    ("mode", "said", "is_there"),
    [
        (AvailabilityMode.ALL, [True, True], True),
        (AvailabilityMode.ALL, [True, None], None),
        (AvailabilityMode.ALL, [None, False], False),
        (AvailabilityMode.ANY, [None, True], True),
        (AvailabilityMode.ANY, [False, None], None),
        (AvailabilityMode.ANY, [False, False], False),
        (AvailabilityMode.LATEST, [True, False], False),
        (AvailabilityMode.LATEST, [None, True], True),
        (AvailabilityMode.LATEST, [None], None),
        (AvailabilityMode.ALL, [], None),
        (AvailabilityMode.ANY, [], None),
    ],
)
def test_topics_of_availability_go_together_by_their_mode(
    mode: AvailabilityMode, said: list[bool | None], is_there: bool | None
) -> None:
    assert is_available(mode, said) is is_there


def test_two_entities_that_read_the_same_are_one_value() -> None:
    sensor, setting = number("a", "{{ value_json.a }}", "sensor/a"), number("a", "{{ value_json.a }}", "number/a")
    assert distinct([sensor, setting]) == (setting,)


def test_two_different_values_never_share_a_name_in_whatever_order_they_were_announced() -> None:
    entities = [number("a", f"{{{{ value_json.x{key} }}}}", f"sensor/{key}") for key in range(3)]
    found = distinct(entities)
    assert [one.measurement.name for one in found] == ["a", "a_sensor_1", "a_sensor_2"]
    assert distinct(reversed(entities)) == found


def test_names_stay_legal_and_different_when_they_are_long() -> None:
    entities = [number("a" * 64, f"{{{{ value_json.x{key} }}}}", "sensor/" + "b" * 40 + str(key)) for key in range(5)]
    names = [one.measurement.name for one in distinct(entities)]
    assert len(set(names)) == 5
    assert all(len(name) <= 64 for name in names)


def test_tags_and_unreadable_entities_are_kept_as_they_are() -> None:
    unreadable = replace(PLAIN, unreadable="template")
    assert set(distinct([TAG, unreadable, PLAIN])) == {TAG, unreadable, PLAIN}

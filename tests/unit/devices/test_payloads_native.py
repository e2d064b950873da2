"""The native format: telemetry, taps, status, acknowledgements and their topics."""

import json

import pytest

from devices.errors import DecodeError
from devices.payloads.native import (
    Kind,
    NativeTopic,
    decode_command_ack,
    decode_status,
    decode_tap,
    decode_telemetry,
    parse_topic,
)
from devices.payloads.values import Status, Tap, Telemetry

NOON_US = 1_795_435_200_000_000  # 2026-11-23T12:00:00Z


def telemetry(**document: object) -> Telemetry:
    return decode_telemetry(json.dumps(document).encode())


def tap(**document: object) -> Tap:
    return decode_tap(json.dumps({"credential": "04A1B2C3", "kind": "uid"} | document).encode())


def test_a_full_telemetry_message_gives_its_values_stamp_boot_and_seq() -> None:
    found = telemetry(
        at="2026-11-23T13:00:00.5+01:00",
        boot="b1",
        seq=12,
        values={"temperature_c": 21.5, "humidity_pct": 40},
    )
    assert found == Telemetry(
        values={"temperature_c": 21.5, "humidity_pct": 40.0}, stamp_us=NOON_US + 500_000, boot="b1", seq=12
    )
    assert all(type(value) is float for value in found.values.values())


def test_a_message_of_values_alone_is_enough() -> None:
    assert telemetry(values={"co2_ppm": 700}) == Telemetry(values={"co2_ppm": 700.0})


def test_booleans_are_one_and_zero_and_null_is_no_data() -> None:
    found = telemetry(values={"motion": True, "door_open": False, "temperature_c": None})
    assert found.values == {"motion": 1.0, "door_open": 0.0}


def test_a_message_in_which_all_is_null_has_no_values_and_is_no_error() -> None:
    assert telemetry(values={"temperature_c": None}).values == {}


def test_unknown_keys_are_ignored() -> None:
    assert telemetry(values={"co2_ppm": 1}, firmware="1.2", more={"deep": [1, {"x": None}]}).values == {"co2_ppm": 1.0}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("Temperature_C", "temperature_c"), ("soil-moisture", "soil_moisture"), ("pm2.5 ug/m3", "pm2_5_ug_m3")],
)
def test_capitals_and_separators_in_names_are_normalised(sent: str, stored: str) -> None:
    assert telemetry(values={sent: 1.5}).values == {stored: 1.5}


@pytest.mark.parametrize("name", ["", "9lives", "_x", "температура", "a" * 65, "a+b", "a\nb"])
def test_a_name_that_cannot_be_normalised_is_named_in_the_reason(name: str) -> None:
    with pytest.raises(DecodeError) as caught:
        telemetry(values={name: 1})
    assert ascii(name[:64])[1:-1] in caught.value.reason.replace("\\\\", "\\")


def test_one_measurement_in_two_spellings_is_refused() -> None:
    with pytest.raises(DecodeError, match="twice"):
        telemetry(values={"co2_ppm": 1, "CO2_ppm": 2})


@pytest.mark.parametrize(("value", "what"), [("21.5", "a text"), ({}, "an object"), ([1], "a list")])
def test_a_value_of_another_type_is_refused_by_its_name(value: object, what: str) -> None:
    with pytest.raises(DecodeError, match=rf"values\.temperature_c: {what}"):
        telemetry(values={"co2_ppm": 1, "temperature_c": value})


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 5000])
def test_a_number_out_of_range_is_refused_by_its_name(number: str) -> None:
    with pytest.raises(DecodeError, match=r"values\.temperature_c: number out of range"):
        decode_telemetry(b'{"values":{"temperature_c":%s}}' % number.encode())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_not_json(number: str) -> None:
    with pytest.raises(DecodeError, match="not JSON"):
        decode_telemetry(b'{"values":{"temperature_c":%s}}' % number.encode())


def test_an_integer_beyond_64_bits_becomes_floating_point() -> None:
    assert telemetry(values={"count": 10**30}).values == {"count": 1e30}


@pytest.mark.parametrize("count", [0, 65])
def test_none_and_more_than_64_measurements_are_refused(count: int) -> None:
    with pytest.raises(DecodeError, match="1 to 64"):
        telemetry(values={f"m{number}": 1 for number in range(count)})
    with pytest.raises(DecodeError, match="1 to 64"):
        telemetry(at=False, values={f"m{number}": 1 for number in range(count)})


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    assert decode_telemetry(b'{"values":{"a":1,"a":2}}').values == {"a": 2.0}


@pytest.mark.parametrize(
    ("at", "stamp_us"),
    [
        (NOON_US // 1000, NOON_US),
        (NOON_US / 1000 + 0.5, NOON_US + 500),
        ("2026-11-23t12:00:00.123456789z", NOON_US + 123_457),
        (None, None),
        (0, 0),
    ],
)
def test_at_is_rfc_3339_or_epoch_milliseconds(at: object, stamp_us: int | None) -> None:
    assert telemetry(at=at, values={"a": 1}).stamp_us == stamp_us
    assert tap(at=at).stamp_us == stamp_us


@pytest.mark.parametrize(
    "at", [-1, 10**15, 10**40, "0000-00-00T00:00:00Z", "2165-25-45T27:85:85Z", "1969-12-31T23:59:59Z"]
)
def test_an_impossible_clock_costs_the_stamp_and_never_the_message(at: object) -> None:
    assert telemetry(at=at, values={"a": 1}) == Telemetry(values={"a": 1.0})
    assert tap(at=at).stamp_us is None


def test_a_stamp_beyond_any_number_costs_the_stamp_too() -> None:
    assert decode_telemetry(b'{"at":1e999,"values":{"a":true}}') == Telemetry(values={"a": 1.0})


@pytest.mark.parametrize("at", ["2026-11-23T12:00:00", "noon", "", "2026-11-23", True, {}, [1]])
def test_what_is_no_time_with_its_zone_is_refused(at: object) -> None:
    with pytest.raises(DecodeError, match=r"at: "):
        telemetry(at=at, values={"a": 1})
    with pytest.raises(DecodeError, match=r"at: "):
        tap(at=at)


def test_a_stamp_that_needs_a_second_look_keeps_everything_else() -> None:
    found = telemetry(at="2026-12-31T23:59:60Z", boot=7, seq=1, values={"a": 1, "b": None, "c": True, "d": False})
    assert found == Telemetry({"a": 1.0, "c": 1.0, "d": 0.0}, 1_798_761_600_000_000, "7", 1)


@pytest.mark.parametrize("half", [{"seq": 5}, {"boot": "b1"}, {"boot": None, "seq": 5}, {"boot": "b1", "seq": None}])
def test_boot_and_seq_count_only_together(half: dict[str, object]) -> None:
    found = telemetry(values={"a": 1}, **half)
    assert (found.boot, found.seq) == (None, None)
    assert (tap(**half).boot, tap(**half).seq) == (None, None)


def test_a_boot_may_be_a_number() -> None:
    assert telemetry(values={"a": 1}, boot=17, seq=0).boot == "17"
    assert tap(boot=17, seq=0).boot == "17"


@pytest.mark.parametrize(
    "wrong",
    [
        {"boot": ""},
        {"boot": "x" * 65},
        {"boot": "a\x00b"},
        {"boot": "a\nb"},
        {"boot": 1.5},
        {"seq": -1},
        {"seq": 2**63},
        {"seq": 1.5},
        {"seq": "1"},
        {"seq": True},
    ],
)
def test_a_boot_or_seq_out_of_bounds_is_refused(wrong: dict[str, object]) -> None:
    field = next(iter(wrong))
    with pytest.raises(DecodeError, match=field):
        telemetry(**({"boot": "b1", "seq": 1, "values": {"a": 1}} | wrong))
    with pytest.raises(DecodeError, match=field):
        tap(**({"boot": "b1", "seq": 1} | wrong))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"21.5",
        b"{}",
        b'{"values":null}',
        b'{"values":[1]}',
        b'{"values":{"a":1}',
        b'{"values":{"a":1}}x',
        b'\xef\xbb\xbf{"values":{"a":1}}',
        b'{"values":{"\xff":1}}',
        b'{"values":{"\\ud800":1}}',
        b'{"values":{"a":1},"x":' + b"[" * 30_000,
        b'{"values":{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}}",
        b'{"values":{"a":1}}' + b" " * 65_536,
    ],
)
def test_what_is_not_telemetry_is_a_decode_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_telemetry(payload)


def test_a_tap_gives_its_credential_in_one_spelling() -> None:
    found = tap(credential=" 04:a1:b2:c3\r\n", direction="in", at=NOON_US // 1000, boot="b", seq=3)
    assert found == Tap("04A1B2C3", "uid", "in", NOON_US, "b", 3)


@pytest.mark.parametrize("direction", ["in", "out", None])
def test_a_tap_has_a_direction_or_none(direction: str | None) -> None:
    assert tap(direction=direction).direction == direction


@pytest.mark.parametrize("kind", ["nfc", "qr"])
def test_other_kinds_than_uid_keep_their_letters(kind: str) -> None:
    assert tap(credential="Pupil: 17-a\n", kind=kind).credential == "Pupil: 17-a"


@pytest.mark.parametrize(
    "wrong",
    [
        {"credential": ""},
        {"credential": " :- "},
        {"credential": "4" * 257},
        {"credential": 17},
        {"credential": None},
        {"kind": "rfid"},
        {"kind": None},
        {"direction": "sideways"},
        {"direction": 1},
    ],
)
def test_a_wrong_tap_is_refused_and_its_reason_names_the_field(wrong: dict[str, object]) -> None:
    with pytest.raises(DecodeError, match=next(iter(wrong))):
        tap(**wrong)


def test_a_tap_without_credential_or_kind_is_refused() -> None:
    with pytest.raises(DecodeError, match="needs credential"):
        decode_tap(b'{"kind":"uid"}')
    with pytest.raises(DecodeError, match="needs kind"):
        decode_tap(b'{"credential":"04A1B2C3"}')


SECRET = "04DEADBEEF99"


@pytest.mark.parametrize(
    "payload",
    [
        b'{"credential":["%s"],"kind":"uid"}',
        b'{"credential":{"%s":1},"kind":"uid"}',
        b'{"credential":"x","kind":"%s"}',
        b'{"credential":"x","kind":"uid","direction":"%s"}',
        b'{"credential":"x","kind":"uid","at":"%s"}',
        b'{"credential":"x","kind":"uid","boot":"%s\\n","seq":1}',
        b'{"credential":"x","kind":"uid","seq":"%s"}',
        b'{"credential":"%s',
        b"%s",
        b'{"credential":"%s\xff","kind":"uid"}',
        b'{"%s":1}',
    ],
)
def test_no_reason_quotes_a_tap(payload: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_tap(payload.replace(b"%s", SECRET.encode()))
    assert SECRET not in caught.value.reason


def test_a_tap_does_not_show_its_credential_when_it_is_printed() -> None:
    assert SECRET not in repr(tap(credential=SECRET))


@pytest.mark.parametrize(("payload", "is_online"), [(b"online", True), (b"offline", False), (b" Online\n", True)])
def test_a_status_is_online_or_offline(payload: bytes, is_online: bool) -> None:
    assert decode_status(payload) == Status(is_online)


@pytest.mark.parametrize("payload", [b"", b"on", b'"online"', b"\xff", b" " * 100_000])
def test_any_other_status_is_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_status(payload)


def test_an_acknowledgement_may_say_anything_short() -> None:
    assert decode_command_ack("reboot", b"\x00ok").payload == b"\x00ok"
    with pytest.raises(DecodeError):
        decode_command_ack("reboot", bytes(65_537))


@pytest.mark.parametrize(
    ("topic", "found"),
    [
        ("sg/room-1/telemetry", NativeTopic("room-1", Kind.TELEMETRY)),
        ("sg/door/tap", NativeTopic("door", Kind.TAP)),
        ("sg/door/status", NativeTopic("door", Kind.STATUS)),
        ("sg/door/cmd/open/ack", NativeTopic("door", Kind.COMMAND_ACK, "open")),
    ],
)
def test_native_topics_say_whose_they_are_and_what_they_carry(topic: str, found: NativeTopic) -> None:
    assert parse_topic(topic) == found


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "sg",
        "sg/x",
        "sg//telemetry",
        "sg/x/ack",
        "sg/x/cmd/open",
        "sg/x/cmd//ack",
        "sg//cmd/open/ack",
        "sg/x/telemetry/y",
        "SG/x/telemetry",
        "zigbee2mqtt/x",
        "/sg/x/telemetry",
    ],
)
def test_other_topics_are_not_native(topic: str) -> None:
    assert parse_topic(topic) is None

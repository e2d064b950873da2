"""Stamps: RFC 3339 and epoch milliseconds to µs since 1970."""

import msgspec
import pytest

from devices.errors import DecodeError
from devices.payloads import stamps


@pytest.mark.parametrize(
    ("text", "stamp_us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00.000001+01:00", 1),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
        ("2016-12-31T23:59:60.25+00:00", 1_483_228_800_250_000),
        ("2024-02-29 12:00:00z", 1_709_208_000_000_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999_000),
        ("2026-11-23T12:00:00.12345678901234567890Z", 1_795_435_200_123_457),
    ],
)
def test_rfc_3339_in_its_spellings(text: str, stamp_us: int) -> None:
    assert stamps.from_text(text) == stamp_us


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T00:00:00+99:99",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:60Z",
    ],
)
def test_a_moment_that_is_not_in_the_calendar_is_no_stamp(text: str) -> None:
    assert stamps.from_text(text) is None


@pytest.mark.parametrize(
    "text",
    ["", "Z", "20240101T000000Z", "2024-01-01T00:00Z", "2024-01-01T00:00:00,5Z", "٢٠٢٤-01-01T00:00:00Z"],
)
def test_what_has_not_the_form_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        stamps.from_text(text)


def test_a_time_without_its_zone_is_refused_and_the_reason_says_so() -> None:
    with pytest.raises(DecodeError, match="zone"):
        stamps.from_text("2024-01-01T00:00:00")


@pytest.mark.parametrize(("at", "stamp_us"), [(0, 0), (1.5, 1500), (stamps.LAST_MS, 253_402_300_799_999_000)])
def test_epoch_milliseconds(at: float, stamp_us: int) -> None:
    assert stamps.from_epoch_ms(at) == stamp_us


@pytest.mark.parametrize("at", [-1, -0.5, stamps.LAST_MS + 1, 1e300, float("nan"), float("inf")])
def test_milliseconds_outside_1970_to_9999_are_no_stamp(at: float) -> None:
    assert stamps.from_epoch_ms(at) is None


@pytest.mark.parametrize(
    ("raw", "stamp_us"), [(b"null", None), (b"1500", 1_500_000), (b'"1970-01-01T00:00:01\\u005a"', 1_000_000)]
)
def test_a_stamp_out_of_json(raw: bytes, stamp_us: int | None) -> None:
    assert stamps.from_json(msgspec.Raw(raw)) == stamp_us

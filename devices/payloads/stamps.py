"""A device's time as it came: RFC 3339 or epoch milliseconds, to µs since 1970 UTC.

A message is never refused because its clock is wrong. A time that cannot be one (the 45th of a month, year 0,
a number beyond year 9999) is therefore no stamp at all, None; only what is not a time in form, or a local
time without its zone, is a `DecodeError`.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from devices.errors import DecodeError

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS: Final = 253_402_300_799_999
"""The last millisecond of year 9999."""

_RFC_3339: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_LONGEST_STAMP: Final = 64
_text: Final = msgspec.json.Decoder(str)
_number: Final = msgspec.json.Decoder(float)


def from_datetime(at: datetime) -> int | None:
    """Returns the moment in µs, None before 1970. Raises `DecodeError` for a time without a zone."""
    if at.tzinfo is None:
        raise DecodeError("at: a time needs its zone (Z or an offset)")
    since = at - EPOCH
    if since.days < 0:
        return None
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_epoch_ms(at: float) -> int | None:
    """Returns milliseconds since 1970, whole or not, in µs; None outside the years 1970 to 9999."""
    if not 0 <= at <= LAST_MS:
        return None
    return round(at * 1000)


def from_rfc3339(at: str) -> int | None:
    """Returns a time such as `2026-11-23T08:00:00.5+01:00` in µs; None where the calendar has no such moment.

    Any number of fractional digits; a lower case `t` or `z` and a space for the `T`, RFC 3339 §5.6; a leap
    second is the first of the next minute.
    """
    found = _RFC_3339.fullmatch(at) if len(at) <= _LONGEST_STAMP else None
    if found is None:
        raise DecodeError("at: neither an RFC 3339 time nor epoch milliseconds")
    day, minute, second, fraction, zone = found.groups()
    if zone is None:
        raise DecodeError("at: a time needs its zone (Z or an offset)")
    is_leap = second == "60"
    try:
        whole = datetime.fromisoformat(f"{day}T{minute}:{'59' if is_leap else second}{zone.upper()}")
        return from_datetime(whole + timedelta(seconds=is_leap + float(fraction or 0)))
    except (ValueError, OverflowError):
        return None


def from_json(raw: msgspec.Raw) -> int | None:
    """Returns the stamp that a JSON value holds; None for null."""
    text = bytes(raw)
    if text == b"null":
        return None
    if text.startswith(b'"'):
        return from_rfc3339(_text.decode(text))
    try:
        return from_epoch_ms(_number.decode(text))
    except msgspec.ValidationError as error:
        if "out of range" in str(error):  # a number, but beyond what a double holds
            return None
        raise DecodeError("at: neither an RFC 3339 time nor epoch milliseconds") from error

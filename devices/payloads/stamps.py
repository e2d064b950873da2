"""A device's time as it came: RFC 3339 or epoch milliseconds, to µs since 1970 UTC.

A message is never refused because its clock is wrong. A time that cannot be one (the 45th of a month, year 0,
a number beyond year 9999) is therefore no stamp at all, None; only what is not a time in form, or a local
time without its zone, is a `DecodeError`.
"""

from typing import Final

import msgspec

from devices.errors import DecodeError
from foundation import rfc3339
from foundation.errors import Invalid

LAST_MS: Final = rfc3339.LAST_US // 1000
"""The last millisecond of year 9999."""

_text: Final = msgspec.json.Decoder(str)
_number: Final = msgspec.json.Decoder(float)


def from_epoch_ms(at: float) -> int | None:
    """Returns milliseconds since 1970, whole or not, in µs; None outside the years 1970 to 9999."""
    if not 0 <= at <= LAST_MS:
        return None
    return round(at * 1000)


def from_text(at: str) -> int | None:
    """Returns an RFC 3339 time in µs; None where the calendar has no such moment."""
    try:
        return rfc3339.moment_of(at)
    except Invalid as error:
        raise DecodeError(f"at: {error.reason}") from error


def from_json(raw: msgspec.Raw) -> int | None:
    """Returns the stamp that a JSON value holds; None for null."""
    text = bytes(raw)
    if text == b"null":
        return None
    if text.startswith(b'"'):
        return from_text(_text.decode(text))
    try:
        return from_epoch_ms(_number.decode(text))
    except msgspec.ValidationError as error:
        if "out of range" in str(error):  # a number, but beyond what a double holds
            return None
        raise DecodeError("at: neither an RFC 3339 time nor epoch milliseconds") from error

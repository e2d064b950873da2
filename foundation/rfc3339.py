"""Times at the edge: µs since 1970 UTC to and from RFC 3339, always with microseconds and `Z`. Pure."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final

from pydantic import WithJsonSchema

from foundation.clock import SECOND_US
from foundation.errors import Invalid

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A time as the outside reads it: `2026-11-23T08:00:00.123456Z`. The type carries its JSON schema."""

NO_ZONE: Final = "a time needs its zone (Z or an offset)"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_US: Final = 253_402_300_799_999_999
"""The last microsecond of year 9999."""

_FORM: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_LONGEST: Final = 64

_YEAR: Final = "(?:197[1-9]|19[89][0-9]|20[0-9]{2})"
_LEAP_YEAR: Final = "(?:19(?:7[26]|8[048]|9[26])|20(?:[02468][048]|[13579][26]))"
_DAY: Final = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
PATTERN: Final = (
    f"^(?:{_YEAR}-{_DAY}|{_LEAP_YEAR}-02-29)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    "(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])$"
)
"""What `parse` takes: the years 1971 to 2099, RFC 3339 §5.6, upper case, without leap seconds."""


@lru_cache(maxsize=8192)
def text_of_second(second: int) -> str:
    """Returns a whole second since 1970 as `2026-11-23T08:00:00`. Raises ValueError beyond year 9999."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def text(at_us: int) -> str:
    """Returns the moment as `2026-11-23T08:00:00.123456Z`, no earlier than 1970 and no later than 9999."""
    second, micro = divmod(min(max(at_us, 0), LAST_US), SECOND_US)
    return f"{text_of_second(second)}.{micro:06d}Z"


def text_or_none(at_us: int | None) -> str | None:
    return None if at_us is None else text(at_us)


def moment_of(text: str) -> int | None:
    """Returns an RFC 3339 time in µs since 1970; None where the calendar has no such moment, or it lies before 1970.

    Takes more than `PATTERN`: any number of fractional digits; a lower case `t` or `z` and a space for the `T`,
    RFC 3339 §5.6; a leap second, which is the first of the next minute. Raises Invalid for what is no time in form.
    """
    found = _FORM.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise Invalid("neither an RFC 3339 time nor epoch milliseconds")
    day, minute, second, fraction, zone = found.groups()
    if zone is None:
        raise Invalid(NO_ZONE)
    is_leap = second == "60"
    try:
        whole = datetime.fromisoformat(f"{day}T{minute}:{'59' if is_leap else second}{zone.upper()}")
        return since_1970(whole + timedelta(seconds=is_leap + float(fraction or 0)))
    except (ValueError, OverflowError):
        return None


def since_1970(at: datetime) -> int | None:
    """Returns an aware moment in µs since 1970, None before that."""
    since = at - _EPOCH
    if since.days < 0:
        return None
    return (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds


def parse(text: str) -> int:
    """Returns the moment in µs since 1970. Raises Invalid for what is no RFC 3339 time with its zone."""
    at_us = moment_of(text)
    if at_us is None:
        raise Invalid("there is no such moment in the calendar, or it lies before 1970")
    return at_us

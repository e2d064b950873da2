"""Times at the edge."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation import rfc3339
from foundation.errors import Invalid

LAST_US = 253_402_300_799_999_999


@given(st.integers(min_value=0, max_value=LAST_US))
def test_reading_a_written_time_gives_the_same_time(at_us: int) -> None:
    assert rfc3339.parse(rfc3339.text(at_us)) == at_us


@given(st.from_regex(re.compile(rfc3339.PATTERN), fullmatch=True))
def test_every_time_that_fits_the_pattern_can_be_read(moment: str) -> None:
    assert rfc3339.parse(moment.removesuffix("\n")) >= 0


@pytest.mark.parametrize(
    ("moment", "at_us"),
    [
        ("1971-01-01T00:00:00Z", 31_536_000_000_000),
        ("2026-11-23T08:00:00Z", 1_795_420_800_000_000),
        ("2026-11-23T09:00:00.5+01:00", 1_795_420_800_500_000),
        ("2024-02-29T00:00:00.123456789Z", 1_709_164_800_123_457),
    ],
)
def test_times_are_read_in_any_zone_and_precision(moment: str, at_us: int) -> None:
    assert rfc3339.parse(moment) == at_us
    assert re.fullmatch(rfc3339.PATTERN, moment)


@pytest.mark.parametrize(
    "moment", ["", "yesterday", "2026-11-23", "2026-11-23T08:00:00", "2026-13-01T00:00:00Z", "1\x00"]
)
def test_what_is_no_time_is_refused(moment: str) -> None:
    with pytest.raises(Invalid):
        rfc3339.parse(moment)
    assert not re.fullmatch(rfc3339.PATTERN, moment)


@pytest.mark.parametrize("day", ["2023-02-29", "2025-04-31", "2100-01-01", "1970-12-31"])
def test_days_that_do_not_exist_or_lie_far_off_do_not_fit_the_pattern(day: str) -> None:
    assert not re.fullmatch(rfc3339.PATTERN, f"{day}T00:00:00Z")


def test_a_datetime_of_any_zone_is_the_same_moment() -> None:
    moment = datetime(2026, 11, 23, 12, 0, 0, 7, tzinfo=UTC)
    assert rfc3339.since_1970(moment) == 1_795_435_200_000_007
    assert rfc3339.since_1970(moment.astimezone(timezone(timedelta(hours=-9)))) == 1_795_435_200_000_007
    assert rfc3339.since_1970(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))) is None

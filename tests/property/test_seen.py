"""The set of ranges agrees with a plain set of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.ingest.seen import MAX_RANGES, SeenRanges

NUMBERS = st.lists(st.integers(0, 60) | st.integers(0, 2**63 - 1), max_size=200)


@given(NUMBERS)
def test_a_number_is_new_exactly_the_first_time(numbers: list[int]) -> None:
    ranges, plain = SeenRanges(), set[int]()
    for number in numbers:
        assert ranges.add(number) == (number not in plain)
        plain.add(number)
        assert number in ranges


@given(NUMBERS)
def test_bytes_and_back_lose_nothing(numbers: list[int]) -> None:
    ranges = SeenRanges()
    for number in numbers:
        ranges.add(number)
    again = SeenRanges.from_bytes(ranges.to_bytes())
    assert again.to_bytes() == ranges.to_bytes()
    assert all(not again.add(number) for number in numbers)


@given(st.permutations(range(40)))
def test_in_whatever_order_numbers_come_they_end_as_one_range(numbers: list[int]) -> None:
    ranges = SeenRanges()
    for number in numbers:
        ranges.add(number)
    assert len(ranges.to_bytes()) == 16


def test_with_too_many_gaps_the_oldest_range_is_forgotten() -> None:
    ranges = SeenRanges()
    for number in range(0, 2 * MAX_RANGES + 2, 2):
        assert ranges.add(number)
    assert len(ranges.to_bytes()) == 16 * MAX_RANGES
    assert 0 not in ranges
    assert 2 in ranges

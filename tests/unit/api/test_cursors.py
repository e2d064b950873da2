"""Cursors: what is written is read back, and nothing else fits."""

import re
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import cursors

NUMBERS = st.integers(min_value=0, max_value=2**63 - 1)
TEXTS = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), min_size=1, max_size=200)


def pattern_of(parameter: Any) -> re.Pattern[str]:
    """Returns the pattern that the OpenAPI document gives for a cursor's form."""
    query = get_args(parameter)[1]
    return re.compile(next(part.pattern for part in query.metadata if hasattr(part, "pattern")))


FORMS = {
    "AfterNumber": (cursors.AfterNumber, cursors.number),
    "AfterTwoNumbers": (cursors.AfterTwoNumbers, cursors.two_numbers),
    "AfterThreeNumbers": (cursors.AfterThreeNumbers, cursors.three_numbers),
    "AfterText": (cursors.AfterText, cursors.text),
    "AfterTwoTexts": (cursors.AfterTwoTexts, cursors.two_texts),
    "AfterNumberAndText": (cursors.AfterNumberAndText, cursors.number_and_text),
}


@given(NUMBERS, NUMBERS, NUMBERS)
def test_numbers_are_read_back(first: int, second: int, third: int) -> None:
    assert cursors.number(cursors.write([first])) == first
    assert cursors.two_numbers(cursors.write([first, second])) == (first, second)
    assert cursors.three_numbers(cursors.write([first, second, third])) == (first, second, third)


@given(TEXTS, TEXTS, NUMBERS)
def test_texts_are_read_back_and_fit_their_pattern(first: str, second: str, number: int) -> None:
    one, two, mixed = cursors.write([first]), cursors.write([first, second]), cursors.write([number, first])
    assert cursors.text(one) == first
    assert cursors.two_texts(two) == (first, second)
    assert cursors.number_and_text(mixed) == (number, first)
    assert pattern_of(cursors.AfterText).fullmatch(one)
    assert pattern_of(cursors.AfterTwoTexts).fullmatch(two)
    assert pattern_of(cursors.AfterNumberAndText).fullmatch(mixed)


@pytest.mark.parametrize("form", FORMS)
def test_whatever_fits_the_pattern_can_be_read(form: str) -> None:
    parameter, read = FORMS[form]

    @given(st.from_regex(pattern_of(parameter), fullmatch=True))
    def check(cursor: str) -> None:
        assert read(cursor.removesuffix("\n")) is not None

    check()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("broken", ["", "x", "0", "-", "ff" * 8, "80" + "0" * 14, "c080", "eda080", "00", "É"])
def test_what_is_broken_fits_no_pattern(form: str, broken: str) -> None:
    assert not pattern_of(FORMS[form][0]).fullmatch(broken)

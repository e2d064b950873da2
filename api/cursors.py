"""Cursors of lists: where the next page starts, as text that callers hand back as it is.

A cursor is positions joined by `-`: a number as 16 hexadecimal digits, a text as those of its UTF-8 bytes. Its exact
form stands in the OpenAPI document as a pattern, so a broken cursor is a 400 like every other field that is not as
described, and whatever fits the pattern is a position.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Query

_NUMBER: Final = "[0-7][0-9a-f]{15}"
_CHARACTER: Final = (  # UTF-8 without U+0000, RFC 3629 §4
    "(?:0[1-9a-f]|[1-7][0-9a-f]|c[2-9a-f][89ab][0-9a-f]|d[0-9a-f][89ab][0-9a-f]"
    "|e0[ab][0-9a-f][89ab][0-9a-f]|e[1-9a-cef](?:[89ab][0-9a-f]){2}|ed[89][0-9a-f][89ab][0-9a-f]"
    "|f0[9ab][0-9a-f](?:[89ab][0-9a-f]){2}|f[123](?:[89ab][0-9a-f]){3}|f48[0-9a-f](?:[89ab][0-9a-f]){2})"
)
_TEXT: Final = f"{_CHARACTER}{{1,200}}"
_WHAT: Final = "`next` of the page before"

AfterNumber = Annotated[str | None, Query(pattern=f"^{_NUMBER}$", description=_WHAT)]
AfterTwoNumbers = Annotated[str | None, Query(pattern=f"^{_NUMBER}-{_NUMBER}$", description=_WHAT)]
AfterThreeNumbers = Annotated[str | None, Query(pattern=f"^{_NUMBER}-{_NUMBER}-{_NUMBER}$", description=_WHAT)]
AfterText = Annotated[str | None, Query(pattern=f"^{_TEXT}$", description=_WHAT)]
AfterTwoTexts = Annotated[str | None, Query(pattern=f"^{_TEXT}-{_TEXT}$", description=_WHAT)]
AfterNumberAndText = Annotated[str | None, Query(pattern=f"^{_NUMBER}-{_TEXT}$", description=_WHAT)]


def write(position: Sequence[int | str]) -> str:
    """Returns a position as a cursor. Numbers are 0 ≤ n < 2^63, texts are not empty."""
    return "-".join(f"{part:016x}" if isinstance(part, int) else part.encode().hex() for part in position)


def number(cursor: str | None) -> int | None:
    """Returns the number in a cursor of the form `AfterNumber`."""
    return None if cursor is None else int(cursor, 16)


def two_numbers(cursor: str | None) -> tuple[int, int] | None:
    """Returns the numbers in a cursor of the form `AfterTwoNumbers`."""
    if cursor is None:
        return None
    first, second = cursor.split("-")
    return int(first, 16), int(second, 16)


def three_numbers(cursor: str | None) -> tuple[int, int, int] | None:
    """Returns the numbers in a cursor of the form `AfterThreeNumbers`."""
    if cursor is None:
        return None
    first, second, third = cursor.split("-")
    return int(first, 16), int(second, 16), int(third, 16)


def text(cursor: str | None) -> str | None:
    """Returns the text in a cursor of the form `AfterText`."""
    return None if cursor is None else bytes.fromhex(cursor).decode()


def two_texts(cursor: str | None) -> tuple[str, str] | None:
    """Returns the texts in a cursor of the form `AfterTwoTexts`."""
    if cursor is None:
        return None
    first, second = cursor.split("-")
    return bytes.fromhex(first).decode(), bytes.fromhex(second).decode()


def number_and_text(cursor: str | None) -> tuple[int, str] | None:
    """Returns what is in a cursor of the form `AfterNumberAndText`."""
    if cursor is None:
        return None
    first, second = cursor.split("-")
    return int(first, 16), bytes.fromhex(second).decode()

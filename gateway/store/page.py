"""One page of a list, and where the next one starts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
P = TypeVar("P")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[T, P]):
    """`next`: the position of the last item, to ask for what comes after it; None if nothing does."""

    items: list[T]
    next: P | None


def page_of(rows: Sequence[Row], limit: int, shown: Callable[[Row], T], position: Callable[[Row], P]) -> Page[T, P]:
    """Returns the page that a query for `limit` + 1 rows gave."""
    items = [shown(row) for row in rows[:limit]]
    return Page(items, position(rows[limit - 1]) if len(rows) > limit else None)

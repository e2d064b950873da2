"""Answers: records as JSON, encoded by msgspec, which is what keeps long lists quick."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from pydantic import BaseModel
from starlette.responses import Response

from api import cursors
from gateway.store.page import Page

T = TypeVar("T")
P = TypeVar("P")


class Listing(BaseModel, Generic[T]):
    """A page of a list. `next` goes into `after` to get the next page; null if this is the last one.

    For the OpenAPI document; what is sent is made by `paged`.
    """

    items: list[T]
    next: str | None


class Answer(Response):
    """Any record as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 a codec
        return msgspec.json.encode(content)


def paged(page: Page[T, P], position: Callable[[P], Sequence[int | str]]) -> Answer:
    """Returns a page as `Listing` describes it. `position`: what the cursor is written from."""
    cursor = None if page.next is None else cursors.write(position(page.next))
    return Answer({"items": page.items, "next": cursor})

"""Files as answers: read from the disk as they are sent, whole or in ranges (RFC 9110 §13, §14).

Starlette's `FileResponse` sends files and ranges; here is what it leaves to others: conditions, ranges that are to be
ignored rather than refused, `HEAD`, problems as answers, and a reader that takes nothing.
"""

import asyncio
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.types import Message, Receive, Scope, Send

from api import problems
from foundation.errors import NotFound

log = structlog.get_logger("api")

CHUNK_BYTES: Final = 256 << 10
MAX_RANGES: Final = 16
"""Of more, the whole file is sent (RFC 9110 §14.2 allows to ignore what looks like an attack)."""

STUCK_S: Final = 60.0
"""A reader that takes nothing for so long is cut off."""

ABOUT_CONTENT: Final = frozenset({"content-length", "content-type", "accept-ranges"})
"""What an answer without content leaves out (RFC 9110 §15.4.5)."""

_RANGE: Final = re.compile(r"(\d*)-(\d*)", re.ASCII)

Span = tuple[int, int]
"""First byte and the one after the last."""


class FileAnswer(FileResponse):
    """A file. The route is for `GET` and `HEAD`: two decorators, the second with `include_in_schema=False`."""

    chunk_size = CHUNK_BYTES

    def __init__(
        self, path: Path, found: os.stat_result, media_type: str, etag: str | None, headers: Mapping[str, str]
    ) -> None:
        own = {} if etag is None else {"ETag": etag}
        super().__init__(path, headers={**headers, **own}, media_type=media_type, stat_result=found)
        self._bytes = found.st_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope)
        if _names(asked.get("if-none-match"), self.headers["etag"]):
            await self._without_content(304)(scope, receive, send)
            return
        ranges = self._ranges(scope, asked)
        if ranges == []:
            refusal = problems.answer(416, "the file ends before the range begins", self._whole_range())
            await refusal(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name not in (b"range", b"if-range")]
        if ranges is not None:
            headers.append((b"range", _written(ranges)))

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(STUCK_S):
                await send(message)

        try:
            await super().__call__({**scope, "headers": headers}, receive, send_in_time)
        except TimeoutError:
            log.info("file_reader_stuck", path=scope["path"])  # the server closes the connection

    def _ranges(self, scope: Scope, asked: Headers) -> list[Span] | None:
        """Returns what is wanted of the file, nothing if it has none of that, None if it is wanted whole."""
        wanted = asked.get("range")
        if wanted is None or scope["method"] != "GET":  # RFC 9110 §14.2: other methods have no ranges
            return None
        condition = asked.get("if-range")  # RFC 9110 §13.1.5: compared as they are, and weak ones are no match
        if condition is not None and condition not in (self.headers["etag"], self.headers["last-modified"]):
            return None
        return None if (condition or "").startswith("W/") else spans(wanted, self._bytes)

    def _without_content(self, status: int) -> Response:
        headers = {name: value for name, value in self.headers.items() if name not in ABOUT_CONTENT}
        return Response(status_code=status, headers=headers)

    def _whole_range(self) -> dict[str, str]:
        return {"Content-Range": f"bytes */{self._bytes}"}


async def file_answer(
    path: Path, media_type: str, *, etag: str | None = None, headers: Mapping[str, str] | None = None
) -> FileAnswer:
    """Returns the file as an answer. `etag`: with its quotes, strong; without one it is made of size and time.

    Raises NotFound if there is no such file.
    """
    try:
        found = await asyncio.to_thread(path.stat)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"file {path.name}") from error
    if not stat.S_ISREG(found.st_mode):
        raise NotFound(f"file {path.name}")
    return FileAnswer(path, found, media_type, etag, headers or {})


def spans(header: str, size_bytes: int) -> list[Span] | None:
    """Returns the ranges that `Range` asks for and the file has; None if the header is to be ignored: another unit,
    none that is well formed, or more than `MAX_RANGES` (RFC 9110 §14.1.1, §14.2)."""
    unit, _, text = header.partition("=")
    parts = [part.strip() for part in text.split(",")]
    if unit.strip().lower() != "bytes" or len(parts) > MAX_RANGES:
        return None
    found: list[Span] = []
    for part in parts:
        match = _RANGE.fullmatch(part)
        if match is None or part == "-" or len(part) > 40:
            return None
        first, last = match.groups()
        if not first:
            span = (max(0, size_bytes - int(last)), size_bytes)
        else:
            span = (int(first), min(int(last) + 1, size_bytes) if last else size_bytes)
            if last and int(last) < int(first):
                return None
        if span[0] < span[1]:
            found.append(span)
    return found


def _written(ranges: list[Span]) -> bytes:
    return b"bytes=" + ",".join(f"{first}-{end - 1}" for first, end in ranges).encode()


def _names(condition: str | None, etag: str) -> bool:
    """True if `If-None-Match` names this version; compared weakly (RFC 9110 §13.1.2)."""
    if condition is None:
        return False
    named = [one.strip().removeprefix("W/") for one in condition.split(",")]
    return condition.strip() == "*" or etag.removeprefix("W/") in named

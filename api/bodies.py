"""What a route takes as a request's body: how many bytes, of which kind, and whether whole or as they come.

A route says it by a dependency, `MaxBody` or `Streamed`; one that says nothing takes JSON of `MAX_BODY` bytes. The
route refuses by what the request announces, before its handler runs; the edge counts what comes.
"""

import hashlib
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from api.problems import Problem

MAX_BODY: Final = 1 << 20
JSON: Final = ("application/json",)
BYTES: Final = {"type": "string", "format": "binary"}
UNITS: Final = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


@dataclass(frozen=True, slots=True)
class _Declared:
    max_bytes: int


@dataclass(frozen=True, slots=True)
class MaxBody(_Declared):
    """The limit of a route that takes JSON: `dependencies=[Depends(MaxBody(4 << 20))]`."""

    async def __call__(self) -> None:
        """Does nothing: the route and the edge go by the number."""


@dataclass(frozen=True, slots=True)
class Streamed(_Declared):
    """A body that is not JSON and never whole in memory: `body: Annotated[Upload, Depends(Streamed(512 << 20, …))]`.

    `media_types`: as `Accept` has them, so `image/*` and `*/*` are some.
    """

    media_types: tuple[str, ...]

    async def __call__(self, request: Request) -> "Upload":
        """Returns the body for the handler to read."""
        return Upload(request)


class Upload:
    """A body as it comes: `async for piece in upload`, once. A piece is what the server had, some 100 KiB at most.

    Reading it raises Problem 413 beyond the limit, and 400 if the caller is gone before the end.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._max_bytes = sys.maxsize
        self._is_whole = False
        self._digest = hashlib.blake2b(digest_size=32) if "idempotency-key" in request.headers else None

    @property
    def media_type(self) -> str:
        """`Content-Type` with its parameters, such as the boundary of a multipart body; may be empty."""
        return self._request.headers.get("content-type", "")

    def limit(self, max_bytes: int) -> None:
        """Takes less than the route does, where that depends on more than the route. Raises Problem 413."""
        self._max_bytes = max_bytes
        refuse_announced(self._request.scope, max_bytes)

    @property
    def digest(self) -> bytes:
        """A digest of the whole body, for a request with an `Idempotency-Key`. Raises ValueError before the end."""
        if not self._is_whole or self._digest is None:
            raise ValueError("the body has no digest: it was not read to its end, or nobody needs one")
        return self._digest.digest()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read_bytes = 0
        try:
            async for piece in self._request.stream():
                read_bytes += len(piece)
                if read_bytes > self._max_bytes:
                    raise too_long(self._max_bytes)
                if self._digest is not None:
                    self._digest.update(piece)
                if piece:
                    yield piece
        except ClientDisconnect as error:
            raise Problem(400, "the body broke off") from error
        self._is_whole = True


class JsonRequest(Request):
    """A request whose body is read strictly: UTF-8 JSON (RFC 8259) without lone surrogates, NaN or infinities."""

    async def json(self) -> object:
        body = await self.body()
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise Problem(400, f"the body is not JSON: {reason}") from error


class BoundedRoute(APIRoute):
    """A route that holds to what it declares of its body, and whose OpenAPI document says it. Nobody reads a byte
    before `let_in` has returned."""

    max_body: int
    """What the edge goes by."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 as FastAPI's
        super().__init__(*arguments, **options)
        declared = self._declared
        self.max_body = declared.max_bytes
        if declared.max_bytes != MAX_BODY:
            self._describe(413, f"The body is longer than {size(declared.max_bytes)}")
        if isinstance(declared, Streamed):
            content = {media_type: {"schema": BYTES} for media_type in declared.media_types}
            self.openapi_extra = {"requestBody": {"required": True, "content": content}} | (self.openapi_extra or {})
            self._describe(415, f"The body is not {' or '.join(declared.media_types)}")

    async def let_in(self, request: Request) -> None:
        """Returns if the caller may go on. Raises Problem."""
        raise NotImplementedError

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        let_in, declared = self.let_in, self._declared
        max_bytes = declared.max_bytes
        is_streamed = isinstance(declared, Streamed)
        media_types = declared.media_types if isinstance(declared, Streamed) else JSON
        takes_body = is_streamed or self.body_field is not None

        async def bounded(request: Request) -> Response:
            await let_in(request)
            refuse_announced(request.scope, max_bytes)
            if takes_body:
                _check_media_type(request, media_types, is_needed=is_streamed)
            return await handle(JsonRequest(request.scope, request.receive))

        return bounded

    @cached_property
    def _declared(self) -> _Declared:
        for dependant in self.dependant.dependencies:
            if isinstance(dependant.call, _Declared):
                return dependant.call
        return MaxBody(MAX_BODY)

    def _describe(self, status: HTTPStatus | int, description: str) -> None:
        """Has the document say this of a problem, if the route lists it."""
        if status in self.responses:
            self.responses = {**self.responses, status: {**self.responses[status], "description": description}}


def refuse_announced(scope: Scope, max_bytes: int) -> None:
    """Raises Problem 413 if the request says that its body is longer."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            if not value.isdigit() or int(value) > max_bytes:
                raise too_long(max_bytes)
            return


def too_long(max_bytes: int) -> Problem:
    """Returns what is raised of a body that is longer than this.

    The connection stays: closing it under a caller who still sends would lose the answer. The server throws away what
    comes, and ends the connection if that takes long.
    """
    return Problem(413, f"the body is longer than {max_bytes} bytes")


def size(count: int) -> str:
    """Returns a number of bytes for people: `1 MiB`, `1500 bytes`."""
    for unit, name in UNITS:
        if count >= unit and count % unit == 0:
            return f"{count // unit} {name}"
    return f"{count} bytes"


def _check_media_type(request: Request, accepted: tuple[str, ...], *, is_needed: bool) -> None:
    headers = request.headers
    if "transfer-encoding" not in headers and headers.get("content-length", "0") == "0":
        if is_needed:
            raise Problem(400, "the body is missing")
        return
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if accepted is JSON:
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise Problem(415, "the body must be JSON: Content-Type: application/json", {"Accept": "application/json"})
    elif not any(_is_in(media_type, one) for one in accepted):
        names = ", ".join(accepted)
        raise Problem(415, f"the body must be one of these by its Content-Type: {names}", {"Accept": names})


def _is_in(media_type: str, accepted: str) -> bool:
    """True if the media type is this one, or in its range (RFC 9110 §12.5.1)."""
    return accepted in ("*/*", media_type) or (accepted.endswith("/*") and media_type.startswith(accepted[:-1]))

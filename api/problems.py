"""Problem details (RFC 9457) for every error that the API answers, and their part of the OpenAPI document.

400 is a request that the OpenAPI document forbids; 422 is one that it allows and that still cannot be done.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from foundation.errors import Conflict, Invalid, NotFound, Unavailable

log = structlog.get_logger("api")

MEDIA_TYPE: Final = "application/problem+json"
MAX_FAULTS: Final = 20

SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "Problem details, RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}

_MEANINGS: Final[Mapping[int, str]] = {
    400: "The request is not as this document describes it",
    401: "There is no key that works in the request",
    403: "The key's role may not do this",
    404: "Nothing has that name",
    409: "What is there already forbids this",
    413: "The body is longer than 1 MiB",
    415: "The body is not JSON",
    422: "The request is well formed and still cannot be done",
    503: "Not now: try again after Retry-After seconds",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one part of a request, which `field` names: `body.name`, `query.limit`."""

    field: str
    detail: str


class Problem(HTTPException):
    """An error with its answer; `detail` is for the caller to read."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)


def answer(
    status: int, detail: str, headers: Mapping[str, str] | None = None, faults: Sequence[Fault] = ()
) -> Response:
    """Returns the problem as a response."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if faults:
        body["errors"] = list(faults)
    return Response(msgspec.json.encode(body), status, headers, MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Returns these statuses, and `default` for the others, as OpenAPI responses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": _MEANINGS[status], "content": content} for status in statuses
    }
    if 503 in described:
        seconds = {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds", "required": True}
        described[503]["headers"] = {"Retry-After": seconds}
    described["default"] = {"description": "Another problem", "content": content}
    return described


def install(app: FastAPI) -> None:
    """Has every error of the application answered as a problem."""
    refused = (HTTPException, RequestValidationError, WebSocketRequestValidationError)
    for kind in (*refused, NotFound, Conflict, Invalid, Unavailable, OperationalError):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    match error:
        case Problem():
            return answer(error.status_code, error.detail, error.headers)
        case HTTPException():
            meaning = HTTPStatus(error.status_code)
            return answer(error.status_code, meaning.description or meaning.phrase, error.headers)
        case RequestValidationError() | WebSocketRequestValidationError():
            faults = [_fault(entry["loc"], entry["msg"]) for entry in error.errors()[:MAX_FAULTS]]
            return answer(400, "the request is not as the OpenAPI document describes it", faults=faults)
        case NotFound():
            return answer(404, str(error))
        case Conflict():
            return answer(409, error.reason)
        case Invalid():
            return answer(422, error.reason)
        case Unavailable():
            return answer(503, error.reason, {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))})
        case OperationalError():
            log.error("database_not_readable", path=request.url.path, reason=str(error.orig))
            return answer(503, "the database cannot be read now", {"Retry-After": "5"})
    raise error


def _fault(place: Sequence[object], detail: str) -> Fault:
    return Fault(".".join(str(part) for part in place), detail)

"""The outermost layer of the API: limits what comes in, guards what goes out, counts both, lets no exception out."""

import time
from typing import Final

import structlog
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.bodies import MAX_BODY, too_long

log = structlog.get_logger("api")

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})

HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
DEFAULTS: Final = (
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Of answers that say nothing else; pages and published files do."""


class Edge:
    """An ASGI middleware. Every request ends in a response or in a closed connection, never in an exception."""

    def __init__(self, app: ASGIApp, metrics: CollectorRegistry) -> None:
        self._app = app
        labels = ["method", "route", "status"]
        self._requests = Counter("schoolgate_http_requests", "Requests answered", labels, registry=metrics)
        self._seconds = Histogram(
            "schoolgate_http_request_seconds", "Time until the answer began", ["route"], registry=metrics
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = _Call(scope, receive, send)
        started_s = time.perf_counter()
        try:
            await self._app(scope, call.receive, call.send)
        except Exception as error:  # noqa: BLE001 the ASGI edge
            await self._fail(call, error)
        finally:
            route = scope.get("route")
            name = route.path if isinstance(route, APIRoute) else "none"
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._requests.labels(method, name, str(call.status)).inc()
            self._seconds.labels(name).observe((call.began_s or time.perf_counter()) - started_s)

    @staticmethod
    async def _fail(call: "_Call", error: Exception) -> None:
        if call.began_s is not None:
            log.error("response_broken_off", path=call.scope["path"], exc_info=error)
            raise error  # the server closes the connection: the caller sees that the answer is not whole
        log.error("request_failed", method=call.scope["method"], path=call.scope["path"], exc_info=error)
        response = problems.answer(500, "the gateway made a mistake; its log says which")
        await response(call.scope, call.receive, call.send)


class _Call:
    """One request on its way: counts the body's bytes as they are read, and adds headers to the answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.status = 0
        self.began_s: float | None = None
        self._receive = receive
        self._send = send
        self._read_bytes = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read_bytes += len(message.get("body", b""))
            max_bytes = getattr(self.scope.get("route"), "max_body", MAX_BODY)
            if self._read_bytes > max_bytes:
                raise too_long(max_bytes)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.began_s = time.perf_counter()
            present = {name.lower() for name, _ in message["headers"]}
            defaults = [header for header in DEFAULTS if header[0] not in present]
            message["headers"] = [*message["headers"], *HEADERS, *defaults]
        await self._send(message)

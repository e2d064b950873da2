"""The outermost layer of the API: limits what comes in, guards what goes out, counts both, lets no exception out."""

import time
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import structlog
from fastapi.routing import APIRoute, APIWebSocketRoute
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from api import problems
from api.auth import refuse
from api.bodies import MAX_BODY, too_long
from api.sockets import is_of_own_page

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

MISTAKE: Final = "the gateway made a mistake; its log says which"
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011


class Edge:
    """An ASGI middleware. Every request ends in a response or in a closed connection, never in an exception; so does
    every WebSocket, which only the gateway's own pages may open from a browser."""

    def __init__(self, app: ASGIApp, metrics: CollectorRegistry) -> None:
        self._app = app
        labels = ["method", "route", "status"]
        self._requests = Counter("schoolgate_http_requests", "Requests answered", labels, registry=metrics)
        self._seconds = Histogram(
            "schoolgate_http_request_seconds", "Time until the answer began", ["route"], registry=metrics
        )
        self._sockets = Counter("schoolgate_websockets", "WebSockets asked for", ["route", "status"], registry=metrics)
        self._sockets_open = Gauge("schoolgate_websockets_open", "WebSockets open now", ["route"], registry=metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._open(scope, receive, send)
            return
        call = _Call(scope, receive, send)
        started_s = time.perf_counter()
        try:
            await self._app(scope, call.receive, call.send)
        except Exception as error:  # noqa: BLE001 the ASGI edge
            await self._fail(call, error)
        finally:
            name = _route_name(scope)
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._requests.labels(method, name, str(call.status)).inc()
            self._seconds.labels(name).observe((call.began_s or time.perf_counter()) - started_s)

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        opening = _Opening(scope, receive, send, self._sockets, self._sockets_open)
        try:
            if is_of_own_page(scope):
                await self._app(scope, receive, opening.send)
            else:
                refuse(HTTPConnection(scope), "call_refused", "a page of another origin")
                refusal = problems.answer(403, "this page is of another origin than the gateway")
                await refusal(scope, receive, opening.send)
        except WebSocketDisconnect:
            pass  # its handler was told
        except Exception as error:  # the ASGI edge
            log.error("websocket_failed", path=scope["path"], exc_info=error)
            if not opening.is_refused:
                with suppress(WebSocketDisconnect):
                    await problems.answer(500, MISTAKE)(scope, receive, opening.send)
        finally:
            opening.end()

    @staticmethod
    async def _fail(call: "_Call", error: Exception) -> None:
        if call.began_s is not None:
            log.error("response_broken_off", path=call.scope["path"], exc_info=error)
            raise error  # the server closes the connection: the caller sees that the answer is not whole
        log.error("request_failed", method=call.scope["method"], path=call.scope["path"], exc_info=error)
        response = problems.answer(500, MISTAKE)
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
            _add_headers(message)
        await self._send(message)


class _Opening:
    """A WebSocket from the asking to its end: counts what becomes of it, and words every refusal as a problem."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, asked: Counter, now_open: Gauge) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._asked = asked
        self._now_open = now_open
        self._status = 0
        self._is_closed = False

    @property
    def is_refused(self) -> bool:
        """True if it was answered, but not opened."""
        return self._status not in (0, 101)

    async def send(self, message: Message) -> None:
        """Sends on. Raises WebSocketDisconnect if nobody is there any more."""
        try:
            await self._send_on(message)
        except OSError as error:  # as ASGI has it
            raise WebSocketDisconnect(1006) from error

    async def _send_on(self, message: Message) -> None:
        kind = message["type"]
        if self._status == 101:
            await self._send_open(message)
        elif kind == "websocket.close":
            status = 403 if "route" in self._scope else 404
            await problems.answer(status, HTTPStatus(status).description)(self._scope, self._receive, self.send)
        else:
            if kind == "websocket.accept":
                self._decide(101)
                self._now_open.labels(_route_name(self._scope)).inc()
            elif kind == "websocket.http.response.start":
                self._decide(message["status"])
                _add_headers(message)
            await self._send(message)

    async def _send_open(self, message: Message) -> None:
        """A problem comes too late to be an answer: it closes the connection."""
        if message["type"] == "websocket.http.response.start":
            code = INTERNAL_ERROR if message["status"] >= 500 else POLICY_VIOLATION
            message = {"type": "websocket.close", "code": code}
        if message["type"] != "websocket.http.response.body" and not self._is_closed:
            self._is_closed = message["type"] == "websocket.close"
            await self._send(message)

    def end(self) -> None:
        """Counts the connection as over."""
        if self._status == 101:
            self._now_open.labels(_route_name(self._scope)).dec()

    def _decide(self, status: int) -> None:
        self._status = status
        self._asked.labels(_route_name(self._scope), str(status)).inc()


def _route_name(scope: Scope) -> str:
    route = scope.get("route")
    return route.path if isinstance(route, APIRoute | APIWebSocketRoute) else "none"


def _add_headers(message: Message) -> None:
    present = {name.lower() for name, _ in message["headers"]}
    defaults = [header for header in DEFAULTS if header[0] not in present]
    message["headers"] = [*message["headers"], *HEADERS, *defaults]

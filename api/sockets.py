"""WebSockets: who is let in, by what, and what their handlers are given.

Every route of a WebSocket has an `Admission` among its dependencies. Programs show a key in `Authorization`, as
everywhere; a browser can set no header, so it brings a ticket in the address, which another call gave it. The edge sees
to it that a browser's page is the gateway's own.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from fastapi.routing import APIWebSocketRoute
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import HTTPConnection
from starlette.types import Scope
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from api.auth import Holder, let_in, refuse
from api.problems import Problem
from foundation.errors import Unavailable
from gateway.access.keys import Permission

T = TypeVar("T")

NO_TICKET: Final = 4401
KEY_REVOKED: Final = 1008
LET_IN_EVERY_S: Final = 1.0
MAX_TICKET: Final = 200


class Refused(Exception):
    """A ticket that lets nobody in; `code` closes the connection: 4400 to 4499."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Socket(Generic[T]):
    """A connection that is open. Its methods raise WebSocketDisconnect once it is not; a handler lets that out."""

    def __init__(self, websocket: WebSocket, who: T) -> None:
        self.who = who
        self._websocket = websocket
        self._ended: WebSocketDisconnect | None = None

    @property
    def connection(self) -> HTTPConnection:
        """The address, headers and application of it."""
        return self._websocket

    async def receive(self) -> str | bytes:
        """Returns the next message: a str if it is text. Who is not asked for one for seconds is given up, since its
        answers to pings wait behind what it said."""
        self._check()
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"], message.get("reason"))
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    async def send(self, message: str | bytes) -> None:
        """Sends a message; waits while the reader is behind, for as long as the server lets it be."""
        self._check()
        if isinstance(message, str):
            await self._websocket.send_text(message)
        else:
            await self._websocket.send_bytes(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the connection, if it is open."""
        if self._ended is None:
            self._ended = WebSocketDisconnect(code, reason)
            if self._websocket.application_state is WebSocketState.CONNECTED:
                await self._websocket.close(code, reason)

    def _check(self) -> None:
        if self._ended is not None:
            raise self._ended


class Admission:
    """What lets a WebSocket in."""


@dataclass(frozen=True, slots=True)
class ByKey(Admission):
    """A key with these permissions. The connection ends when the key does."""

    subprotocol: str
    needed: tuple[Permission, ...] = ()

    async def __call__(self, websocket: WebSocket) -> AsyncIterator[Socket[Holder]]:
        """Yields the open connection. Raises Problem 400, 401, 403."""
        holder = await let_in(websocket)
        holder.need(websocket, self.needed)
        await _accept(websocket, self.subprotocol)
        socket = Socket(websocket, holder)
        watching = asyncio.create_task(_end_with_key(socket), name="websocket key")
        try:
            yield socket
        finally:
            watching.cancel()
            await asyncio.wait([watching])


@dataclass(frozen=True, slots=True)
class ByTicket(Admission, Generic[T]):
    """`?ticket=`; `find` returns whose it is and raises Refused if it is nobody's.

    A refusal is a connection that opens and closes at once, since a browser's page learns of no other.
    """

    subprotocol: str
    find: Callable[[WebSocket, str], Awaitable[T]]

    async def __call__(self, websocket: WebSocket) -> Socket[T]:
        """Returns the open connection. Raises Problem 400, and WebSocketDisconnect after a refusal."""
        refused: Refused | None = None
        try:
            ticket = websocket.query_params.get("ticket", "")
            if not 0 < len(ticket) <= MAX_TICKET:
                raise Refused(NO_TICKET, "this needs a ticket")
            who = await self.find(websocket, ticket)
        except Refused as error:
            refused = error
        await _accept(websocket, self.subprotocol)
        if refused is None:
            return Socket(websocket, who)
        refuse(websocket, "sign_in_failed", refused.reason)
        await websocket.close(refused.code, refused.reason)
        raise WebSocketDisconnect(refused.code, refused.reason)


def is_guarded(route: APIWebSocketRoute) -> bool:
    """True if something lets in who may use this route, and nobody else."""
    return any(isinstance(dependant.call, Admission) for dependant in route.dependant.dependencies)


def is_of_own_page(scope: Scope) -> bool:
    """True if no browser's page opened this WebSocket, or one that came from this door (RFC 6455 §10.2)."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    if origin is None:
        return True
    scheme, _, place = origin.lower().partition(b"://")
    default_port = {b"http": b":80", b"https": b":443"}.get(scheme)
    if default_port is None:
        return False
    host: bytes = headers.get(b"host", b"").lower()
    return bool(host) and place.removesuffix(default_port) == host.removesuffix(default_port)


async def _accept(websocket: WebSocket, subprotocol: str) -> None:
    if subprotocol not in websocket.scope["subprotocols"]:
        raise Problem(400, f"this speaks the WebSocket subprotocol {subprotocol}: name it in the request")
    await websocket.accept(subprotocol)


async def _end_with_key(socket: Socket[Holder]) -> None:
    with suppress(SQLAlchemyError, Unavailable):  # who cannot be asked for is let in no longer
        while True:
            await asyncio.sleep(LET_IN_EVERY_S)
            if not await socket.who.is_still_let_in():
                break
    with suppress(WebSocketDisconnect):
        await socket.close(KEY_REVOKED, "the key ended")

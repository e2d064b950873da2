"""Who calls, and what they may do.

A key is looked up in the database at most once a second: a key that another process revokes there is refused a
second later, one that is revoked through the API at once.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, cast

from fastapi import Depends
from fastapi.routing import APIRoute, APIWebSocketRoute
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection, Request

from api.bodies import BoundedRoute
from api.parts import Parts
from api.problems import Problem
from api.refusals import Refusals
from gateway.access import keys
from gateway.access.keys import Key, Permission
from gateway.store.store import Store

BELIEVED_S: Final = 1.0

_BEARER: Final = HTTPBearer(auto_error=False, description="An API key, `sg_<id>_<secret>`", scheme_name="Key")


class Gate:
    """Finds the key that a text opens."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, tuple[Key, float]] = {}

    async def key_of(self, text: str) -> Key | None:
        """Returns the key that this text opens now, None if it opens none. Always compares in the same time."""
        parsed = keys.parse(text)
        if parsed is None:
            return None
        key = await self._find(parsed[0])
        return key if keys.opens(key, *parsed) else None

    async def _find(self, key_id: str) -> Key | None:
        known = self._known.get(key_id)
        if known is not None and time.monotonic() - known[1] < BELIEVED_S:
            return known[0]
        key = await self._store.read(lambda connection: keys.find(connection, key_id))
        if key is not None:
            self._known[key_id] = (key, time.monotonic())
        return key

    def forget(self, key_id: str) -> None:
        """Has the key looked up again at the next call."""
        self._known.pop(key_id, None)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who showed a key that opens: whose call or connection it is, and the parts of the gateway that it may use."""

    parts: Parts
    key: Key
    secret: str = field(repr=False)
    gate: Gate

    @property
    def actor(self) -> str:
        """The caller's name in the audit log."""
        return f"key:{self.key.id}"

    async def is_still_let_in(self) -> bool:
        """True until the key is revoked; for calls that last."""
        return await self.gate.key_of(f"sg_{self.key.id}_{self.secret}") is not None

    def need(self, connection: HTTPConnection, needed: tuple[Permission, ...]) -> None:
        """Raises Problem 403, and notes the refusal, if the key lacks one of these permissions."""
        missing = next((permission for permission in needed if permission not in self.key.permissions), None)
        if missing is not None:
            refusals: Refusals = connection.app.state.refusals
            refusals.note(self.actor, "call_refused", f"{_what(connection)} needs {missing}")
            raise Problem(403, f"a key of role {self.key.role} lacks the permission {missing}")


@dataclass(frozen=True, slots=True)
class Caller(Holder):
    """A call that is let in."""

    request: Request


def requires(*needed: Permission) -> Callable[..., Awaitable[Caller]]:
    """Returns the dependency of a route that needs these permissions, or just any key."""

    async def caller(request: Request, _documented: Annotated[object, Depends(_BEARER)]) -> Caller:
        holder = cast(Holder, request.scope["schoolgate.holder"])
        holder.need(request, needed)
        return Caller(holder.parts, holder.key, holder.secret, holder.gate, request)

    return caller


class GuardedRoute(BoundedRoute):
    """A route that lets nobody in without a key, and reads no body before that."""

    async def let_in(self, request: Request) -> None:
        """See `BoundedRoute`. Raises Problem 401."""
        request.scope["schoolgate.holder"] = await let_in(request)


class PublicRoute(BoundedRoute):
    """A route that everybody may call; `api.app.PUBLIC` lists every one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 as FastAPI's
        super().__init__(*arguments, **options)
        self.openapi_extra = {"security": []} | (self.openapi_extra or {})

    async def let_in(self, request: Request) -> None:
        """Lets everybody in."""


async def let_in(connection: HTTPConnection) -> Holder:
    """Returns who calls, by `Authorization`. Raises Problem 401, and notes the refusal."""
    scheme, _, text = connection.headers.get("authorization", "").partition(" ")
    state = connection.app.state
    gate: Gate = state.gate
    if scheme.lower() == "bearer":
        key = await gate.key_of(text.strip())
        if key is not None:
            return Holder(state.parts, key, text.strip().rpartition(f"sg_{key.id}_")[2], gate)
    refuse(connection, "sign_in_failed", "no key" if not text else "a key that opens nothing")
    challenge = "Bearer" if not text else 'Bearer error="invalid_token"'  # RFC 6750 §3
    raise Problem(401, "this needs a key: Authorization: Bearer sg_…", {"WWW-Authenticate": challenge})


def refuse(connection: HTTPConnection, action: str, reason: str) -> None:
    """Notes that somebody without a key was refused."""
    refusals: Refusals = connection.app.state.refusals
    client = connection.client
    refusals.note(
        f"client:{client.host if client is not None else 'unknown'}", action, f"{reason}: {_what(connection)}"
    )


def _what(connection: HTTPConnection) -> str:
    """Returns what is asked for, as the audit log has it: `GET /api/v1/status`."""
    route = connection.scope.get("route")
    path = route.path if isinstance(route, APIRoute | APIWebSocketRoute) else "unknown"
    return f"{connection.scope.get('method', 'WebSocket')} {path}"

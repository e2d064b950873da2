"""The live feed over HTTP: Server-Sent Events (HTML, server-sent events §9.2)."""

import asyncio
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Header, Query
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.auth import Caller, GuardedRoute, requires
from api.fields import DeviceQuery
from api.problems import Problem, documented
from foundation.errors import Unavailable
from gateway.access.keys import Permission
from gateway.live.hub import Kind, Subscription

log = structlog.get_logger("api")

REMIND_S: Final = 15.0
LET_IN_EVERY_S: Final = 1.0
STUCK_S: Final = 60.0
"""A reader that takes nothing for so long is cut off."""

NEEDED: Final = {
    Kind.READING: Permission.READINGS_READ,
    Kind.TAP: Permission.TAPS_READ,
    Kind.ALERT: Permission.ALERTS_READ,
    Kind.DEVICE: Permission.DEVICES_READ,
    Kind.STATUS: Permission.STATUS_READ,
}

ALL_KINDS: Final = ",".join(Kind)
_KIND: Final = "(?:" + "|".join(Kind) + ")"

EVENT: Final = {
    "title": "Event",
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": [*Kind, "reset"]},
        "id": {"type": "string", "pattern": r"^[0-9]+\.[0-9]+$"},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer", "minimum": 0},
    },
}

router = APIRouter(prefix="/api/v1/live", tags=["live"], route_class=GuardedRoute)

Listener = Annotated[Caller, Depends(requires())]
Kinds = Annotated[
    str,
    Query(
        pattern=f"^{_KIND}(?:,{_KIND}){{0,9}}$",
        description="Kinds of events, with commas between; those that the key's role may not read are left out",
    ),
]
LastEventId = Annotated[
    str | None, Header(max_length=64, description="The id of the last event that was read: goes on after that one")
]


class LiveResponse(Response):
    """Sends a subscription's chunks as they come, until the reader, the gateway or the key is gone."""

    media_type = "text/event-stream"

    def __init__(self, subscription: Subscription, caller: Caller) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._subscription = subscription
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tasks = [asyncio.create_task(self._until_gone(receive)), asyncio.create_task(self._tend())]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for chunk in self._subscription:
                async with asyncio.timeout(STUCK_S):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            log.info("live_reader_stuck", key_id=self._caller.key.id)  # the server closes the connection
        finally:
            self._subscription.close()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _until_gone(self, receive: Receive) -> None:
        message: Message = {"type": ""}
        while message["type"] != "http.disconnect":
            message = await receive()
        self._subscription.close()

    async def _tend(self) -> None:
        """Keeps the line open, and ends it when the key is revoked."""
        clock = asyncio.get_running_loop().time
        reminded_s = clock()
        try:
            while await self._caller.is_still_let_in():
                await asyncio.sleep(LET_IN_EVERY_S)
                if clock() - reminded_s >= REMIND_S:
                    reminded_s = clock()
                    self._subscription.remind()
        except (SQLAlchemyError, Unavailable) as error:
            log.warning("live_ended", reason=str(error))
        finally:
            self._subscription.close()


@router.get(
    "",
    response_class=Response,
    responses={
        200: {"description": "Events without end", "content": {"text/event-stream": {"schema": EVENT}}},
        **documented(400, 401, 403, 503),
    },
)
async def listen(
    caller: Listener,
    kinds: Kinds = ALL_KINDS,
    device: DeviceQuery = None,
    last_event_id: LastEventId = None,
) -> LiveResponse:
    """What is committed from now on. An event's data is the same object as the list of its kind gives. `reset`: events
    were lost for this reader, who has to read the lists again. A line comes at least every 15 seconds."""
    wanted = {Kind(kind) for kind in kinds.split(",") if NEEDED[Kind(kind)] in caller.key.permissions}
    if not wanted:
        raise Problem(403, f"a key of role {caller.key.role} may read none of these kinds")
    return LiveResponse(caller.parts.live.subscribe(wanted, device, last_event_id), caller)

"""Dead letters: frames that could not be decoded."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy import Connection
from starlette.responses import Response

from api import cursors
from api.answers import Answer, Listing, paged
from api.auth import Caller, GuardedRoute, requires
from api.cursors import AfterNumber
from api.fields import DeviceQuery, Limit, NumberPath
from api.problems import documented
from gateway.access import audit
from gateway.access.keys import Permission
from gateway.ingest import dead_letters
from gateway.ingest.dead_letters import DeadLetter

router = APIRouter(prefix="/api/v1/dead-letters", tags=["devices"], route_class=GuardedRoute)

Reader = Annotated[Caller, Depends(requires(Permission.DEAD_LETTERS_READ))]
Writer = Annotated[Caller, Depends(requires(Permission.DEAD_LETTERS_WRITE))]


@dataclass(frozen=True, slots=True)
class Replay:
    """Whether the frame is stored now; `reason` says why not, and a new dead letter is kept in that case."""

    replayed: bool
    reason: str | None


@router.get("", response_model=Listing[DeadLetter], responses=documented(400, 401, 403, 503))
async def list_dead_letters(
    caller: Reader, device: DeviceQuery = None, limit: Limit = 100, after: AfterNumber = None
) -> Response:
    """Dead letters, newest first."""
    position = cursors.number(after)
    page = await caller.parts.store.read(lambda connection: dead_letters.page(connection, device, position, limit))
    return paged(page, lambda last: (last,))


@router.get("/{id}", response_model=DeadLetter, responses=documented(400, 401, 403, 404, 503))
async def get_dead_letter(caller: Reader, letter_id: NumberPath) -> Response:
    """One dead letter."""
    return Answer(await caller.parts.store.read(lambda connection: dead_letters.find(connection, letter_id)))


@router.post("/{id}/replay", response_model=Replay, responses=documented(400, 401, 403, 404, 503))
async def replay_dead_letter(caller: Writer, letter_id: NumberPath) -> Response:
    """Tries to decode a frame again, for instance after its device was adopted."""
    reason = await dead_letters.replay(caller.parts.store, letter_id)
    return Answer(Replay(reason is None, reason))


@router.delete("/{id}", status_code=204, responses=documented(400, 401, 403, 404, 503))
async def delete_dead_letter(caller: Writer, letter_id: NumberPath) -> Response:
    """Deletes a dead letter."""

    def remove(connection: Connection) -> None:
        dead_letters.remove(connection, letter_id)
        audit.record(connection, caller.actor, "dead_letter_deleted", str(letter_id), caller.parts.now_us())

    await caller.parts.store.write(remove)
    return Response(status_code=204)

"""API keys."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy import Connection
from starlette.responses import Response

from api import cursors
from api.answers import Listing, paged
from api.auth import Caller, Gate, GuardedRoute, requires
from api.cursors import AfterText
from api.fields import Body, HexPath, IdempotencyKey, Limit, MaybeEmptyName
from api.idempotency import once
from api.problems import documented
from foundation import rfc3339
from gateway.access import audit, keys
from gateway.access.keys import Key, Permission, Role
from gateway.store.page import Page

router = APIRouter(prefix="/api/v1/keys", tags=["keys"], route_class=GuardedRoute)

Admin = Annotated[Caller, Depends(requires(Permission.KEYS_WRITE))]
Scope = Annotated[str, Field(pattern=f"^(?:{'|'.join(Permission)})$")]
RoleLabel = Literal["admin", "operator", "teacher", "issuer", "viewer", "service"]


class NewKey(Body):
    """A key to create. `scopes`: what a key of role `service` may do; keys of other roles have none."""

    role: RoleLabel
    name: MaybeEmptyName = ""
    scopes: Annotated[list[Scope], Field(max_length=len(Permission))] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as it may be shown: without its secret, which only its holder has."""

    id: str
    name: str
    role: RoleLabel
    scopes: list[str]
    created_at: rfc3339.Moment
    revoked_at: rfc3339.Moment | None


@dataclass(frozen=True, slots=True)
class CreatedKey(ListedKey):
    """The key, and its text: it is shown this once."""

    key: str


@router.get("", response_model=Listing[ListedKey], responses=documented(400, 401, 403, 503))
async def list_keys(caller: Admin, limit: Limit = 100, after: AfterText = None) -> Response:
    """Keys in order of their ids, revoked ones too."""
    position = cursors.text(after)
    page = await caller.parts.store.read(lambda connection: keys.page(connection, position, limit))
    return paged(Page([_listed(key) for key in page.items], page.next), lambda last: (last,))


@router.post(
    "", status_code=201, response_model=CreatedKey, responses=documented(400, 401, 403, 409, 413, 415, 422, 503)
)
async def create_key(caller: Admin, key: NewKey, idempotency_key: IdempotencyKey = None) -> Response:
    """Creates a key."""

    def create(connection: Connection) -> CreatedKey:
        now_us = caller.parts.now_us()
        made, text = keys.create(connection, Role(key.role), now_us, name=key.name, scopes=key.scopes)
        audit.record(connection, caller.actor, "key_created", f"{made.id} {made.role}", now_us)
        listed = _listed(made)
        return CreatedKey(
            listed.id, listed.name, listed.role, listed.scopes, listed.created_at, listed.revoked_at, text
        )

    return await once(caller, idempotency_key, create)


@router.delete("/{id}", status_code=204, responses=documented(400, 401, 403, 404, 409, 503))
async def revoke_key(caller: Admin, key_id: HexPath) -> Response:
    """Ends a key. The last admin key cannot be ended."""

    def revoke(connection: Connection) -> None:
        now_us = caller.parts.now_us()
        keys.revoke(connection, key_id, now_us)
        audit.record(connection, caller.actor, "key_revoked", key_id, now_us)

    await caller.parts.store.write(revoke)
    gate: Gate = caller.request.app.state.gate
    gate.forget(key_id)
    return Response(status_code=204)


def _listed(key: Key) -> ListedKey:
    return ListedKey(
        id=key.id,
        name=key.name,
        role=key.role.value,
        scopes=list(key.scopes),
        created_at=rfc3339.text(key.created_us),
        revoked_at=rfc3339.text_or_none(key.revoked_us),
    )

"""Alert rules. What kinds there are, and what a rule of each must be, is said by gateway.alerts.rules."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, get_args

import msgspec
from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.responses import Response

from api import cursors
from api.answers import Answer, paged
from api.auth import Caller, GuardedRoute, requires
from api.cursors import AfterText
from api.fields import Body, IdempotencyKey, Limit, RulePath
from api.idempotency import once_elsewhere
from api.problems import documented
from api.structs import changed_model, new_model, one_of, shown_model
from foundation.errors import NotFound
from gateway.access import audit
from gateway.access.keys import Permission
from gateway.alerts.rules import Rule, decode_rule, encode_rule
from gateway.store.page import page_of

router = APIRouter(prefix="/api/v1/rules", tags=["alerts"], route_class=GuardedRoute)

Reader = Annotated[Caller, Depends(requires(Permission.ALERTS_READ))]
Writer = Annotated[Caller, Depends(requires(Permission.ALERTS_WRITE))]

KINDS: Final = get_args(Rule)
GIVEN: Final = ("id",)
"""What a rule has from the gateway, not from a request."""

if TYPE_CHECKING:
    NewRule: TypeAlias = BaseModel
    ChangedRule: TypeAlias = BaseModel
    ShownRule: TypeAlias = BaseModel
else:  # made from what each kind declares
    NewRule = one_of([new_model(kind, Body, GIVEN) for kind in KINDS], "kind")
    ShownRule = one_of([shown_model(kind) for kind in KINDS], "kind")
    ChangedRule = changed_model(
        "ChangedRule",
        "What to change of a rule; what is left out stays. Its kind cannot change.",
        KINDS,
        Body,
        GIVEN,
    )


class RuleListing(BaseModel):
    """A page of rules, see `Listing`."""

    items: list[ShownRule]
    next: str | None


@router.get("", response_model=RuleListing, responses=documented(400, 401, 403, 503))
async def list_rules(caller: Reader, limit: Limit = 100, after: AfterText = None) -> Response:
    """Rules in order of their ids, disabled ones too."""
    last = cursors.text(after) or ""
    rules = [rule for rule in caller.parts.alerts.rules() if rule.id > last]
    return paged(page_of(rules, limit, lambda rule: rule, lambda rule: rule.id), lambda rule_id: (rule_id,))


@router.post(
    "", status_code=201, response_model=ShownRule, responses=documented(400, 401, 403, 409, 413, 415, 422, 503)
)
async def add_rule(caller: Writer, rule: NewRule, idempotency_key: IdempotencyKey = None) -> Response:
    """Adds a rule; it is in force at once."""

    async def create(rule_id: str) -> bytes:
        return encode_rule(await _put(caller, {**rule.model_dump(exclude_none=True), "id": rule_id}, "rule_added"))

    return await once_elsewhere(caller, idempotency_key, create)


@router.get("/{id}", response_model=ShownRule, responses=documented(400, 401, 403, 404, 503))
async def get_rule(caller: Reader, rule_id: RulePath) -> Response:
    """One rule."""
    return Answer(_find(caller, rule_id))


@router.patch("/{id}", response_model=ShownRule, responses=documented(400, 401, 403, 404, 409, 413, 415, 422, 503))
async def change_rule(caller: Writer, rule_id: RulePath, rule: ChangedRule) -> Response:
    """Changes a rule; it is in force at once, also for alerts that are open."""
    one_at_a_time: asyncio.Lock = caller.request.app.state.rule_lock
    async with one_at_a_time:
        merged = {**msgspec.to_builtins(_find(caller, rule_id)), **rule.model_dump(exclude_unset=True)}
        return Answer(await _put(caller, merged, "rule_changed"))


@router.delete("/{id}", status_code=204, responses=documented(400, 401, 403, 404, 503))
async def delete_rule(caller: Writer, rule_id: RulePath) -> Response:
    """Deletes a rule; its open alerts end."""
    await caller.parts.alerts.delete_rule(rule_id)
    await _note(caller, "rule_deleted", rule_id)
    return Response(status_code=204)


async def _put(caller: Caller, fields: Mapping[str, object], action: str) -> Rule:
    """Puts the rule with these fields in force and returns it. Raises Invalid."""
    rule = decode_rule(msgspec.json.encode(fields))
    await caller.parts.alerts.put_rule(rule)
    await _note(caller, action, rule.id)
    return rule


async def _note(caller: Caller, action: str, rule_id: str) -> None:
    now_us = caller.parts.now_us()
    await caller.parts.store.write(lambda connection: audit.record(connection, caller.actor, action, rule_id, now_us))


def _find(caller: Caller, rule_id: str) -> Rule:
    for rule in caller.parts.alerts.rules():
        if rule.id == rule_id:
            return rule
    raise NotFound(f"rule {rule_id}")

"""People, their cards and their groups."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field
from sqlalchemy import Connection
from starlette.responses import Response

from api import cursors
from api.answers import Answer, Listing, paged
from api.auth import Caller, GuardedRoute, requires
from api.cursors import AfterText, AfterTwoTexts
from api.fields import NO_CONTROLS, Body, CardRef, HexPath, IdempotencyKey, Limit, Name
from api.idempotency import once
from api.problems import documented
from devices.errors import DecodeError
from devices.payloads.credentials import LONGEST, normalise_credential
from foundation.errors import Invalid
from gateway.access import audit
from gateway.access.keys import Permission
from gateway.attendance import taps
from gateway.people import cards, people
from gateway.people.people import Card, CardKind, Group, Person, PersonChange

router = APIRouter(prefix="/api/v1", tags=["people"], route_class=GuardedRoute)

Reader = Annotated[Caller, Depends(requires(Permission.PEOPLE_READ))]
Writer = Annotated[Caller, Depends(requires(Permission.PEOPLE_WRITE))]


class NewPerson(Body):
    """A person to add."""

    name: Name
    group: Name | None = None


class ChangedPerson(Body):
    """What to change of a person; what is left out stays, and `group` null takes them out of their group."""

    name: Annotated[Name, Field()] = ""
    group: Name | None = None


class CardByNumber(Body):
    """A card by the number on it or in it."""

    credential: Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=NO_CONTROLS)]
    kind: CardKind


class CardByRef(Body):
    """A card that has been at a reader, by the `credential_ref` of its taps."""

    ref: CardRef
    kind: CardKind


@router.get("/people", response_model=Listing[Person], responses=documented(400, 401, 403, 503))
async def list_people(
    caller: Reader,
    group: Annotated[Name | None, Query(description="Of this group only")] = None,
    limit: Limit = 100,
    after: AfterTwoTexts = None,
) -> Response:
    """People in order of their names."""
    position = cursors.two_texts(after)
    page = await caller.parts.store.read(lambda connection: people.page(connection, group, position, limit))
    return paged(page, lambda last: last)


@router.post("/people", status_code=201, response_model=Person, responses=documented(400, 401, 403, 413, 415, 422, 503))
async def add_person(caller: Writer, person: NewPerson, idempotency_key: IdempotencyKey = None) -> Response:
    """Adds a person."""

    def create(connection: Connection) -> Person:
        now_us = caller.parts.now_us()
        added = people.create(connection, person.name, person.group, now_us)
        audit.record(connection, caller.actor, "person_added", added.id, now_us)
        return added

    return await once(caller, idempotency_key, create)


@router.get("/people/{id}", response_model=Person, responses=documented(400, 401, 403, 404, 503))
async def get_person(caller: Reader, person_id: HexPath) -> Response:
    """One person."""
    return Answer(await caller.parts.store.read(lambda connection: people.find(connection, person_id)))


@router.patch("/people/{id}", response_model=Person, responses=documented(400, 401, 403, 404, 413, 415, 503))
async def change_person(caller: Writer, person_id: HexPath, person: ChangedPerson) -> Response:
    """Changes a person's name or group."""
    wanted = PersonChange(person.name or None, person.group, "group" in person.model_fields_set)

    def change(connection: Connection) -> Person:
        changed = people.change(connection, person_id, wanted)
        audit.record(connection, caller.actor, "person_changed", person_id, caller.parts.now_us())
        return changed

    return Answer(await caller.parts.store.write(change))


@router.delete("/people/{id}", status_code=204, responses=documented(400, 401, 403, 404, 503))
async def remove_person(caller: Writer, person_id: HexPath) -> Response:
    """Removes a person and their cards. Taps stay, as taps of a card that nobody holds."""

    def remove(connection: Connection) -> None:
        people.remove(connection, person_id)
        audit.record(connection, caller.actor, "person_removed", person_id, caller.parts.now_us())

    await caller.parts.store.write(remove)
    return Response(status_code=204)


@router.post(
    "/people/{id}/cards",
    status_code=201,
    response_model=Card,
    responses=documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
async def add_card(
    caller: Writer,
    person_id: HexPath,
    card: CardByNumber | CardByRef,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Gives a person a card. Taps of it, earlier ones too, are theirs from then on. The number itself is not kept."""

    def create(connection: Connection) -> Card:
        now_us = caller.parts.now_us()
        digest = _digest(connection, caller.parts.school_key, card)
        added = people.add_card(connection, person_id, digest, card.kind, now_us)
        audit.record(connection, caller.actor, "card_added", f"{added.ref} to {person_id}", now_us)
        return added

    return await once(caller, idempotency_key, create)


@router.delete("/people/{id}/cards/{ref}", status_code=204, responses=documented(400, 401, 403, 404, 503))
async def remove_card(caller: Writer, person_id: HexPath, ref: Annotated[CardRef, Path()]) -> Response:
    """Takes a card away from a person."""

    def remove(connection: Connection) -> None:
        people.remove_card(connection, person_id, ref)
        audit.record(connection, caller.actor, "card_removed", f"{ref} from {person_id}", caller.parts.now_us())

    await caller.parts.store.write(remove)
    return Response(status_code=204)


@router.get("/groups", response_model=Listing[Group], responses=documented(400, 401, 403, 503))
async def list_groups(caller: Reader, limit: Limit = 100, after: AfterText = None) -> Response:
    """The groups that people are in, in order of their names."""
    position = cursors.text(after)
    page = await caller.parts.store.read(lambda connection: people.groups(connection, position, limit))
    return paged(page, lambda last: (last,))


def _digest(connection: Connection, school_key: bytes, card: CardByNumber | CardByRef) -> bytes:
    if isinstance(card, CardByRef):
        return taps.digest_of_tap(connection, card.ref)
    try:
        return cards.digest(school_key, normalise_credential(card.credential, card.kind))
    except DecodeError as error:
        raise Invalid(error.reason) from error

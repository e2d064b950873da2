"""People, their groups and their cards.

The cards' numbers are not here: a card is known by the keyed digest of its number, see `cards`.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Row, delete, func, insert, select, tuple_, update

from devices.payloads.values import CredentialKind
from foundation.errors import Conflict, Invalid, NotFound
from gateway.people import cards
from gateway.people.tables import card, person
from gateway.store.page import Page, page_of

CardKind: TypeAlias = CredentialKind
"""A card is of the kind that its reader says."""

MAX_CARDS: Final = 20
"""Cards of one person."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it may be shown: `ref` names it, its number is not kept."""

    ref: str
    kind: CardKind


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may have cards. `group` is a class or a department."""

    id: str
    name: str
    group: str | None
    cards: list[Card]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a card, as a tap shows it."""

    id: str
    name: str
    group: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """A group that somebody is in, and how many are."""

    name: str
    people: int


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What to change: `name` None leaves it; `group` is set if `sets_group`, to None too."""

    name: str | None
    group: str | None
    sets_group: bool


def create(connection: Connection, name: str, group: str | None, now_us: int) -> Person:
    """Adds a person under a new id."""
    person_id = secrets.token_hex(8)
    row = {"id": person_id, "name": name, "group_name": group, "created_us": now_us}
    connection.execute(insert(person).values(row))
    return Person(person_id, name, group, [])


def find(connection: Connection, person_id: str) -> Person:
    """Returns the person. Raises NotFound."""
    row = connection.execute(select(person).where(person.c.id == person_id)).first()
    if row is None:
        raise NotFound(f"person {person_id}")
    return _with_cards(connection, [row])[0]


def page(
    connection: Connection, group: str | None, after: tuple[str, str] | None, limit: int
) -> Page[Person, tuple[str, str]]:
    """Returns people in order of name and id, those after the (name, id) `after`; of one group if given."""
    query = select(person).order_by(person.c.name, person.c.id).limit(limit + 1)
    if group is not None:
        query = query.where(person.c.group_name == group)
    if after is not None:
        query = query.where(tuple_(person.c.name, person.c.id) > after)
    people = _with_cards(connection, connection.execute(query).all())
    return page_of(people, limit, lambda one: one, lambda one: (one.name, one.id))


def change(connection: Connection, person_id: str, wanted: PersonChange) -> Person:
    """Changes a person and returns the result. Raises NotFound."""
    values: dict[str, str | None] = {}
    if wanted.name is not None:
        values["name"] = wanted.name
    if wanted.sets_group:
        values["group_name"] = wanted.group
    if values:
        connection.execute(update(person).where(person.c.id == person_id).values(values))
    return find(connection, person_id)


def remove(connection: Connection, person_id: str) -> None:
    """Removes a person and their cards; taps of those cards become taps of unknown cards. Raises NotFound."""
    if connection.execute(delete(person).where(person.c.id == person_id)).rowcount == 0:
        raise NotFound(f"person {person_id}")
    connection.execute(delete(card).where(card.c.person_id == person_id))


def add_card(connection: Connection, person_id: str, digest: bytes, kind: CardKind, now_us: int) -> Card:
    """Gives a person the card with this digest. The same card twice is one card.

    Raises NotFound, Conflict if somebody else holds the card, Invalid beyond MAX_CARDS.
    """
    holder = find(connection, person_id)
    given = Card(cards.ref(digest), kind)
    row = connection.execute(select(card).where(card.c.ref == given.ref)).first()
    if row is not None:
        if row.person_id != person_id or row.digest != digest:
            raise Conflict(f"card {given.ref} belongs to somebody else: remove it there first")
        return Card(row.ref, row.kind)
    if len(holder.cards) >= MAX_CARDS:
        raise Invalid(f"a person has at most {MAX_CARDS} cards")
    row_values = {
        "digest": digest,
        "ref": given.ref,
        "person_id": person_id,
        "kind": kind,
        "created_us": now_us,
    }
    connection.execute(insert(card).values(row_values))
    return given


def remove_card(connection: Connection, person_id: str, ref: str) -> None:
    """Takes a card away from a person. Raises NotFound."""
    statement = delete(card).where(card.c.person_id == person_id, card.c.ref == ref)
    if connection.execute(statement).rowcount == 0:
        raise NotFound(f"card {ref} of person {person_id}")


def groups(connection: Connection, after: str | None, limit: int) -> Page[Group, str]:
    """Returns the groups in order of name, those after `after`."""
    query = (
        select(person.c.group_name, func.count())
        .where(person.c.group_name.is_not(None))
        .group_by(person.c.group_name)
        .order_by(person.c.group_name)
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(person.c.group_name > after)
    rows = connection.execute(query).all()
    return page_of(rows, limit, lambda row: Group(row[0], row[1]), lambda row: str(row[0]))


def holders(connection: Connection, ids: Iterable[str]) -> Mapping[str, Holder]:
    """Returns those of the people with these ids (a few hundred at most) that exist."""
    query = select(person.c.id, person.c.name, person.c.group_name).where(person.c.id.in_(list(ids)))
    return {row.id: Holder(row.id, row.name, row.group_name) for row in connection.execute(query)}


def _with_cards(connection: Connection, rows: Iterable[Row[Any]]) -> list[Person]:
    people = list(rows)
    by_person: defaultdict[str, list[Card]] = defaultdict(list)
    wanted = card.c.person_id.in_([row.id for row in people])
    for row in connection.execute(select(card).where(wanted).order_by(card.c.created_us, card.c.ref)):
        by_person[row.person_id].append(Card(row.ref, row.kind))
    return [Person(row.id, row.name, row.group_name, by_person[row.id]) for row in people]

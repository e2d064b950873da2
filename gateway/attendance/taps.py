"""Taps as they are shown: newest first, each with whoever holds the card now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, tuple_

from devices.payloads.values import CredentialKind, Direction
from foundation import rfc3339
from foundation.clock import CLOCK_LABELS, Clock, ClockLabel
from foundation.errors import NotFound
from gateway.attendance.tables import tap
from gateway.committed import TapRow
from gateway.people import cards
from gateway.people.people import Holder
from gateway.people.tables import card, person
from gateway.store.page import Page, page_of


@dataclass(frozen=True, slots=True)
class Tap:
    """A card at a reader. `person` is null while nobody holds that card; it fills in when they get it."""

    id: str
    device: str
    at: rfc3339.Moment
    received_at: rfc3339.Moment
    clock: ClockLabel
    person: Holder | None
    credential_ref: str
    direction: Direction | None
    kind: CredentialKind


@dataclass(frozen=True, slots=True)
class TapFilter:
    """Which taps: from_us ≤ at < to_us, of one reader, of one person; None: of all."""

    from_us: int
    to_us: int
    device_id: str | None = None
    person_id: str | None = None


def page(
    connection: Connection, wanted: TapFilter, before: tuple[int, int] | None, limit: int
) -> Page[Tap, tuple[int, int]]:
    """Returns taps, newest first, those before the position `before`: (at_us, id)."""
    query = (
        select(tap, person.c.id.label("person_id"), person.c.name, person.c.group_name)
        .select_from(
            tap.outerjoin(card, card.c.digest == tap.c.credential_digest).outerjoin(
                person, person.c.id == card.c.person_id
            )
        )
        .where(tap.c.at_us >= wanted.from_us, tap.c.at_us < wanted.to_us)
        .order_by(tap.c.at_us.desc(), tap.c.id.desc())
        .limit(limit + 1)
    )
    if wanted.device_id is not None:
        query = query.where(tap.c.device_id == wanted.device_id)
    if wanted.person_id is not None:
        # By the cards' digests, not by the join: so that the index by credential is used.
        held = select(card.c.digest).where(card.c.person_id == wanted.person_id)
        query = query.where(tap.c.credential_digest.in_(list(connection.scalars(held))))
    if before is not None:
        query = query.where(tuple_(tap.c.at_us, tap.c.id) < before)
    return page_of(connection.execute(query).all(), limit, _from_row, lambda row: (row.at_us, row.id))


def _from_row(row: Row[Any]) -> Tap:
    return Tap(
        id=str(row.id),
        device=row.device_id,
        at=rfc3339.text(row.at_us),
        received_at=rfc3339.text(row.received_us),
        clock=CLOCK_LABELS[row.clock],
        person=None if row.person_id is None else Holder(row.person_id, row.name, row.group_name),
        credential_ref=cards.ref(row.credential_digest),
        direction=row.direction,
        kind=row.kind,
    )


def committed_tap(row: TapRow, holders: Mapping[str, Holder]) -> Tap:
    """Returns a tap that was just committed as the list would show it."""
    return Tap(
        id=str(row.id),
        device=row.device_id,
        at=rfc3339.text(row.at_us),
        received_at=rfc3339.text(row.received_us),
        clock=Clock(row.clock).label,
        person=None if row.person_id is None else holders.get(row.person_id),
        credential_ref=row.credential_ref,
        direction=row.direction,
        kind=row.kind,
    )


def digest_of_tap(connection: Connection, ref: str) -> bytes:
    """Returns the digest of a card that was seen at a reader, by its ref. Raises NotFound."""
    first, last = bytes.fromhex(ref), bytes.fromhex(ref) + bytes([255] * 24)
    query = select(tap.c.credential_digest).where(tap.c.credential_digest.between(first, last)).limit(1)
    found = connection.execute(query).scalar()
    if found is None:
        raise NotFound(f"a tap of card {ref}")
    return bytes(found)

"""People, groups, cards, and the taps that they make."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, text

from foundation.errors import Conflict, Invalid, NotFound
from gateway.attendance import taps
from gateway.attendance.tables import tap
from gateway.attendance.taps import TapFilter
from gateway.people import cards, people
from gateway.people.people import Card, Holder, PersonChange
from tests.school_database import START_US, opened

KEY = bytes(32)
ALL = TapFilter(0, 2**62)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with opened(tmp_path) as connection:
        yield connection


def tap_card(connection: Connection, number: str, at_us: int = START_US, device: str = "door-1") -> bytes:
    digest = cards.digest(KEY, number)
    row = {"device_id": device, "at_us": at_us, "received_us": at_us, "clock": 0, "kind": "uid"}
    connection.execute(insert(tap).values(**row, credential_digest=digest))
    return digest


def test_people_are_listed_by_name_page_by_page(connection: Connection) -> None:
    for name in ("Zoë", "Ada", "Émile", "Ada"):
        people.create(connection, name, None, START_US)
    first = people.page(connection, None, None, 3)
    second = people.page(connection, None, first.next, 3)
    assert [one.name for one in (*first.items, *second.items)] == ["Ada", "Ada", "Zoë", "Émile"]
    assert second.next is None


def test_people_of_a_group(connection: Connection) -> None:
    people.create(connection, "Ada", "7b", START_US)
    people.create(connection, "Bob", "8a", START_US)
    assert [one.name for one in people.page(connection, "7b", None, 10).items] == ["Ada"]


def test_groups_are_counted(connection: Connection) -> None:
    for name, group in (("Ada", "7b"), ("Bob", "7b"), ("Cy", "8a"), ("Di", None)):
        people.create(connection, name, group, START_US)
    first = people.groups(connection, None, 1)
    second = people.groups(connection, first.next, 1)
    assert [(one.name, one.people) for one in (*first.items, *second.items)] == [("7b", 2), ("8a", 1)]


def test_a_change_leaves_what_is_not_given(connection: Connection) -> None:
    person = people.create(connection, "Ada", "7b", START_US)
    assert people.change(connection, person.id, PersonChange("Ada L", None, sets_group=False)).group == "7b"
    changed = people.change(connection, person.id, PersonChange(None, None, sets_group=True))
    assert (changed.name, changed.group) == ("Ada L", None)


def test_who_is_not_known_cannot_be_changed_removed_or_given_a_card(connection: Connection) -> None:
    with pytest.raises(NotFound):
        people.change(connection, "0" * 16, PersonChange("X", None, sets_group=False))
    with pytest.raises(NotFound):
        people.remove(connection, "0" * 16)
    with pytest.raises(NotFound):
        people.add_card(connection, "0" * 16, bytes(32), "uid", START_US)
    with pytest.raises(NotFound):
        people.remove_card(connection, "0" * 16, "0" * 16)


def test_a_card_has_one_holder(connection: Connection) -> None:
    ada, bob = (people.create(connection, name, None, START_US) for name in ("Ada", "Bob"))
    digest = cards.digest(KEY, "04A1B2C3")
    card = people.add_card(connection, ada.id, digest, "uid", START_US)
    assert people.add_card(connection, ada.id, digest, "uid", START_US) == card
    with pytest.raises(Conflict):
        people.add_card(connection, bob.id, digest, "uid", START_US)
    people.remove_card(connection, ada.id, card.ref)
    assert people.add_card(connection, bob.id, digest, "uid", START_US) == card
    assert people.find(connection, bob.id).cards == [Card(card.ref, "uid")]


def test_nobody_has_cards_without_end(connection: Connection) -> None:
    ada = people.create(connection, "Ada", None, START_US)
    for number in range(people.MAX_CARDS):
        people.add_card(connection, ada.id, cards.digest(KEY, str(number)), "qr", START_US)
    with pytest.raises(Invalid):
        people.add_card(connection, ada.id, cards.digest(KEY, "one more"), "qr", START_US)


def test_a_tap_gets_its_person_when_the_card_gets_a_holder_and_loses_them_with_the_person(
    connection: Connection,
) -> None:
    digest = tap_card(connection, "04A1B2C3")
    (before,) = taps.page(connection, ALL, None, 10).items
    assert before.person is None
    assert taps.digest_of_tap(connection, before.credential_ref) == digest
    ada = people.create(connection, "Ada", "7b", START_US)
    people.add_card(connection, ada.id, digest, "uid", START_US)
    (after,) = taps.page(connection, ALL, None, 10).items
    assert after.person == Holder(ada.id, "Ada", "7b")
    people.remove(connection, ada.id)
    assert taps.page(connection, ALL, None, 10).items == [before]
    assert people.page(connection, None, None, 10).items == []


def test_a_card_that_was_never_at_a_reader_is_not_known_by_its_ref(connection: Connection) -> None:
    tap_card(connection, "04A1B2C3")
    with pytest.raises(NotFound):
        taps.digest_of_tap(connection, "ffffffffffffffff")


def test_taps_are_listed_newest_first_by_time_device_and_person(connection: Connection) -> None:
    ada = people.create(connection, "Ada", None, START_US)
    people.add_card(connection, ada.id, tap_card(connection, "A", START_US), "uid", START_US)
    tap_card(connection, "B", START_US + 1, "door-2")
    tap_card(connection, "A", START_US + 2, "door-2")
    tap_card(connection, "A", START_US + 2, "door-1")

    def shown(wanted: TapFilter) -> list[str]:
        return [one.id for one in taps.page(connection, wanted, None, 10).items]

    assert shown(ALL) == ["4", "3", "2", "1"]
    assert shown(TapFilter(START_US + 1, START_US + 2)) == ["2"]
    assert shown(TapFilter(0, 2**62, device_id="door-2")) == ["3", "2"]
    assert shown(TapFilter(0, 2**62, person_id=ada.id)) == ["4", "3", "1"]
    assert shown(TapFilter(0, 2**62, person_id="0" * 16)) == []
    first = taps.page(connection, ALL, None, 3)
    assert [one.id for one in taps.page(connection, ALL, first.next, 3).items] == ["1"]


def test_a_persons_taps_are_found_by_their_cards(connection: Connection) -> None:
    query = "SELECT * FROM tap WHERE credential_digest IN (1, 2) AND at_us >= 0 ORDER BY at_us DESC LIMIT 9"
    plan = connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))
    assert any("tap_by_credential" in row[3] for row in plan)


def test_the_taps_of_one_reader_are_looked_up_among_no_others(connection: Connection) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    taps.page(connection, TapFilter(0, 2**62, device_id="door-2"), (START_US, 7), 10)
    [(statement, parameters)] = asked
    plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert plan[0].startswith("SEARCH tap USING INDEX tap_by_device (device_id=? AND at_us")
    assert not any("TEMP B-TREE" in step for step in plan)

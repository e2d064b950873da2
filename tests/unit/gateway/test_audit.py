"""The audit log: the same thing again within a minute is one row."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from foundation.clock import MINUTE_US
from gateway.access import audit
from tests.school_database import START_US, opened


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with opened(tmp_path) as connection:
        yield connection


def test_the_same_thing_within_a_minute_is_counted_in_one_row(connection: Connection) -> None:
    for second in range(0, 50, 10):
        audit.record(connection, "device:lab-1", "topic_refused", "sg/lab-2/tap", START_US + second * 1_000_000)
    audit.record(connection, "device:lab-1", "topic_refused", "sg/lab-2/tap", START_US + 55_000_000, count=100)
    (entry,) = audit.page(connection, None, 10).items
    assert (entry.count, entry.at) == (105, "2026-11-23T08:00:00.000000Z")


def test_a_minute_later_it_is_a_new_row(connection: Connection) -> None:
    audit.record(connection, "device:lab-1", "topic_refused", "x", START_US)
    audit.record(connection, "device:lab-1", "topic_refused", "x", START_US + MINUTE_US)
    assert [entry.count for entry in audit.page(connection, None, 10).items] == [1, 1]


@pytest.mark.parametrize(
    "other", [("device:b", "refused", "x"), ("device:a", "failed", "x"), ("device:a", "refused", "y")]
)
def test_another_actor_action_or_detail_is_another_row(connection: Connection, other: tuple[str, str, str]) -> None:
    audit.record(connection, "device:a", "refused", "x", START_US)
    audit.record(connection, *other, START_US)
    assert len(audit.page(connection, None, 10).items) == 2


def test_a_clock_that_went_back_makes_a_new_row(connection: Connection) -> None:
    audit.record(connection, "gateway", "started", "", START_US)
    audit.record(connection, "gateway", "started", "", START_US - 30_000_000)
    assert len(audit.page(connection, None, 10).items) == 2


def test_entries_are_listed_newest_first_page_by_page(connection: Connection) -> None:
    for number in range(5):
        audit.record(connection, "gateway", "noted", str(number), START_US)
    first = audit.page(connection, None, 3)
    second = audit.page(connection, first.next, 3)
    assert [entry.detail for entry in (*first.items, *second.items)] == ["4", "3", "2", "1", "0"]
    assert second.next is None


def test_a_long_detail_is_cut(connection: Connection) -> None:
    audit.record(connection, "client:1.2.3.4", "refused", "x" * 100_000, START_US)
    assert len(audit.page(connection, None, 1).items[0].detail) == audit.LONGEST_DETAIL

"""Inserts that meet a row with the same key."""

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, create_engine, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from foundation.upsert import put, put_once

metadata = MetaData()
shelf = Table("shelf", metadata, Column("place", Integer, primary_key=True), Column("book", Text), Column("lent", Text))
place = Table("place", metadata, Column("number", Integer, primary_key=True))


@pytest.fixture
def connection() -> Connection:
    connection = create_engine("sqlite://").connect()
    metadata.create_all(connection)
    return connection


def test_the_later_row_replaces_the_earlier_one_in_every_column(connection: Connection) -> None:
    connection.execute(put(shelf, "place").values(place=1, book="Emma", lent="Ada"))
    connection.execute(put(shelf, "place").values(place=1, book="Kim", lent=None))
    assert connection.execute(select(shelf)).all() == [(1, "Kim", None)]


def test_a_row_that_is_all_key_may_come_twice(connection: Connection) -> None:
    for _ in range(2):
        connection.execute(put(place, "number").values(number=7))
    assert connection.execute(select(place)).all() == [(7,)]


def test_what_is_put_once_stays_and_the_second_returns_nothing(connection: Connection) -> None:
    first = put_once(shelf).values(place=1, book="Emma").returning(shelf.c.place)
    assert connection.execute(first).scalar() == 1
    assert connection.execute(put_once(shelf).values(place=1, book="Kim").returning(shelf.c.place)).scalar() is None
    assert connection.execute(select(shelf.c.book)).scalars().all() == ["Emma"]


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "postgresql"])
def test_both_dialects_say_it_in_the_same_words(dialect: Dialect) -> None:
    text = " ".join(str(put(shelf, "place").compile(dialect=dialect)).split())
    assert text.endswith("ON CONFLICT (place) DO UPDATE SET book = excluded.book, lent = excluded.lent")
    assert str(put_once(shelf).compile(dialect=dialect)).endswith("ON CONFLICT DO NOTHING")

"""Inserts that meet a row with the same key, for any database that knows ON CONFLICT: SQLite and PostgreSQL."""

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import Insert, insert  # SQLite's compiler renders it, too; not the other way round


def put(table: Table, *key: str) -> Insert:
    """Returns an insert that replaces what the table holds under the same key, column by column."""
    statement = insert(table)
    columns = {column.name: column for column in statement.excluded if column.name not in key}
    if not columns:
        return statement.on_conflict_do_nothing()
    return statement.on_conflict_do_update(index_elements=list(key), set_=columns)


def put_once(table: Table) -> Insert:
    """Returns an insert that leaves alone what the table holds already under any of its keys."""
    return insert(table).on_conflict_do_nothing()

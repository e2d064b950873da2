"""Inserts that meet a row with the same key, for any database that knows ON CONFLICT: SQLite and PostgreSQL."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.dialects.sqlite.dml import OnConflictDoNothing, OnConflictDoUpdate
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


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


# SQLAlchemy's construct is each dialect's own; what is said here both say in the same words. So PostgreSQL's module
# need not be loaded, which takes a tenth of a start, until there is a PostgreSQL.


@compiles(OnConflictDoNothing, "postgresql")
def _nothing(_clause: OnConflictDoNothing, _compiler: SQLCompiler, **_more: Any) -> str:  # noqa: ANN401 SQLAlchemy's
    return "ON CONFLICT DO NOTHING"


@compiles(OnConflictDoUpdate, "postgresql")
def _update(clause: OnConflictDoUpdate, compiler: SQLCompiler, **_more: Any) -> str:  # noqa: ANN401 SQLAlchemy's
    quote = compiler.preparer.quote
    key = ", ".join(quote(str(name)) for name in clause.inferred_target_elements or ())
    columns = ", ".join(f"{quote(str(name))} = excluded.{quote(str(name))}" for name, _ in clause.update_values_to_set)
    return f"ON CONFLICT ({key}) DO UPDATE SET {columns}"

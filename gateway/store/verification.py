"""Whether the database file itself is sound."""

from sqlalchemy import Connection

from foundation.room import MAX_PROBLEMS


def check_file(connection: Connection) -> tuple[int, list[str]]:
    """SQLite's own integrity check: every page, every row in every index, every unique key."""
    answers = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA integrity_check({MAX_PROBLEMS + 1})")]
    pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
    return pages, [] if answers == ["ok"] else answers

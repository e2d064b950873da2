"""The migrations give the schema that the tables describe."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from gateway.store import database
from gateway.store.revision import Fit, fit_of
from gateway.store.schema import ALL_METADATA

MIGRATIONS = Path(database.__file__).parent / "migrations"


def assert_as_described(connection: Connection) -> None:
    context = MigrationContext.configure(connection, opts={"target_metadata": list(ALL_METADATA)})
    assert compare_metadata(context, list(ALL_METADATA)) == []  # type: ignore[arg-type]  # it takes several, too


def test_a_new_database_has_exactly_the_tables_of_the_rooms(tmp_path: Path) -> None:
    path = tmp_path / database.FILE_NAME
    database.prepare(path)
    engine = database.open_engine(path)
    with engine.connect() as connection:
        assert_as_described(connection)
        assert fit_of(connection) is Fit.CURRENT
    engine.dispose()


def test_tables_read_by_range_have_no_row_id(tmp_path: Path) -> None:
    path = tmp_path / database.FILE_NAME
    database.prepare(path)
    engine = database.open_engine(path)
    clustered = {table.name for metadata in ALL_METADATA for table in metadata.sorted_tables
                 if table.dialect_options["sqlite"]["with_rowid"] is False}  # fmt: skip
    assert "pack" in clustered
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        assert {name for name, sql in rows if "WITHOUT ROWID" in sql} == clustered
    engine.dispose()


def test_revisions_are_files_named_in_order_and_alembic_agrees() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    newest_first = [script.revision for script in scripts.walk_revisions()]
    assert newest_first == sorted(newest_first, reverse=True)
    assert all(Path(script.path).stem.startswith(f"{script.revision}_") for script in scripts.walk_revisions())


def test_migrating_a_current_database_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / database.FILE_NAME
    database.prepare(path)
    before = path.read_bytes()
    assert database.prepare(path).set_aside is None
    assert path.read_bytes() == before


def test_a_database_of_an_older_revision_is_migrated_with_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / database.FILE_NAME
    engine = database.open_engine(path)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    tap = {"device_id": "d", "at_us": 1, "received_us": 1, "clock": 0, "credential_digest": b"1", "kind": "uid"}
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        columns, marks = ", ".join(tap), ", ".join(f":{name}" for name in tap)
        connection.execute(text(f"INSERT INTO tap ({columns}) VALUES ({marks})"), tap)
        assert fit_of(connection) is Fit.OLDER
    engine.dispose()
    assert database.prepare(path).set_aside is None
    engine = database.open_engine(path)
    with engine.connect() as connection:
        assert fit_of(connection) is Fit.CURRENT
        assert_as_described(connection)
        assert connection.execute(text("SELECT device_id FROM tap")).scalars().all() == ["d"]
    engine.dispose()

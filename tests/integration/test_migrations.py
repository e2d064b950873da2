"""The migrations give the schema that the tables describe."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from gateway.store import database, sqlite
from gateway.store.revision import Fit, fit_of
from tests.declared import TABLES

MIGRATIONS = Path(database.__file__).parent / "migrations"


def assert_as_described(connection: Connection) -> None:
    context = MigrationContext.configure(connection, opts={"target_metadata": list(TABLES)})
    assert compare_metadata(context, list(TABLES)) == []  # type: ignore[arg-type]  # it takes several, too


def test_a_new_database_has_exactly_the_tables_of_the_rooms(tmp_path: Path) -> None:
    path = tmp_path / database.FILE_NAME
    database.prepare(path)
    engine = sqlite.open_engine(path)
    with engine.connect() as connection:
        assert_as_described(connection)
        assert fit_of(connection) is Fit.CURRENT
    engine.dispose()


def test_tables_read_by_range_have_no_row_id(tmp_path: Path) -> None:
    path = tmp_path / database.FILE_NAME
    database.prepare(path)
    engine = sqlite.open_engine(path)
    clustered = {table.name for metadata in TABLES for table in metadata.sorted_tables
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
    engine = sqlite.open_engine(path)
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
    engine = sqlite.open_engine(path)
    with engine.connect() as connection:
        assert fit_of(connection) is Fit.CURRENT
        assert_as_described(connection)
        assert connection.execute(text("SELECT device_id FROM tap")).scalars().all() == ["d"]
    engine.dispose()


def test_readings_of_an_older_revision_become_packs_and_keep_their_series(tmp_path: Path) -> None:
    path = tmp_path / database.FILE_NAME
    engine = sqlite.open_engine(path)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    named = [(1, "a", "temperature_c"), (2, "b", "temperature_c"), (3, "a", "humidity_pct"), (4, "b", "co2_ppm")]
    named += [(number, "b", f"more_{number}") for number in range(5, 9)]
    values = [(series_id, 1000 * frame_no, frame_no, series_id + frame_no / 10, 1) for series_id, *_ in named
              for frame_no in (1, 2)]  # fmt: skip
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for row in named:
            connection.exec_driver_sql("INSERT INTO series VALUES (?, ?, ?)", row)
        for reading in values:
            connection.exec_driver_sql("INSERT INTO reading VALUES (?, ?, ?, ?, ?)", reading)
        for series_id, *_ in named:
            connection.exec_driver_sql("INSERT INTO roll_up_due VALUES (?, 0)", (series_id,))
            for table in ("reading_1m", "reading_1h"):
                bucket = (series_id, 0, 1, 0.0, 0.0, series_id, 0.0)
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?)", bucket)
    engine.dispose()
    assert database.prepare(path).set_aside is None
    engine = sqlite.open_engine(path)
    with engine.connect() as connection:
        assert_as_described(connection)
        of = {number: (device_id, measurement) for number, device_id, measurement in named}
        found = connection.exec_driver_sql(
            "SELECT device_id, measurement, at_us, frame_no, value, clock FROM reading JOIN series ON id = series_id"
        )
        assert sorted(map(tuple, found)) == sorted((*of[row[0]], *row[1:]) for row in values)
        for table in ("reading_1m", "reading_1h"):
            sums = connection.exec_driver_sql(
                f"SELECT device_id, measurement, sum FROM {table} JOIN series ON id = series_id"
            )
            assert sorted(map(tuple, sums)) == sorted((*of[number], number) for number in of)
        due = connection.exec_driver_sql("SELECT count(*) FROM roll_up_due JOIN series ON id = series_id").scalar()
        assert due == len(named)
        shared = connection.exec_driver_sql("SELECT count(DISTINCT device_id) FROM series GROUP BY id / 4").scalars()
        assert set(shared) == {1}
    engine.dispose()


LANDED = sorted((Path(__file__).parents[1] / "databases").glob("*.sql"))


@pytest.mark.parametrize("dump", LANDED, ids=lambda dump: dump.stem)
def test_a_database_of_every_schema_that_ever_landed_starts_with_what_is_in_it(tmp_path: Path, dump: Path) -> None:
    path = tmp_path / database.FILE_NAME
    with closing(sqlite3.connect(path)) as old:
        old.executescript(dump.read_text("utf-8"))
    assert database.prepare(path).set_aside is None
    engine = sqlite.open_engine(path)
    with engine.connect() as connection:
        assert fit_of(connection) is Fit.CURRENT
        assert_as_described(connection)

        def rows(query: str) -> list[tuple[object, ...]]:
            return sorted(tuple(row) for row in connection.exec_driver_sql(query))

        readings = "SELECT device_id, measurement, at_us, value FROM reading JOIN series ON id = series_id"
        assert rows(readings) == [("lab-1", "humidity_pct", 1000, 40.0), ("lab-1", "temperature_c", 1000, 21.5)]
        assert rows("SELECT measurement, sum FROM reading_1h JOIN series ON id = series_id") == [
            ("temperature_c", 21.5)
        ]
        assert ("temperature_c", 0) in rows(
            "SELECT measurement, hour_us FROM roll_up_due JOIN series ON id = series_id"
        )
        assert rows("SELECT id FROM device") == [("lab-1",)]
        assert rows("SELECT device_id FROM tap") == [("lab-1",)]
        assert rows("SELECT number, was_sent, is_released FROM mqtt_queued") == [(1, 1, 0), (2, 0, 0)]
        assert rows("SELECT topic, delay_s, expiry_s FROM mqtt_will") == [("news", 5, None)]
        assert rows("SELECT topic FROM mqtt_retained") == [("news",)]
        assert rows("PRAGMA integrity_check") == [("ok",)]
    engine.dispose()
    assert database.prepare(path).set_aside is None


RELEASED = {
    "0001_first_tables.py": "9bbf5748527ce6a8f98218d62e013b8cbe47633776e3ffffce7ab09bfdc53f56",
    "0002_taps_by_device.py": "5d5763697fa136758926f1e832216a00609256a7ea939a9a9d6f98d935a3ccc8",
    "0003_readings_in_packs.py": "db96d9b40491f77bd74b01b22941df2d2cd9ea9bd4c7ca2e87b7a36d077b9cbe",
}
"""A revision that was released is never edited, for databases have been made with it: write a new one."""


def test_a_released_revision_is_as_it_was_released() -> None:
    files = sorted((MIGRATIONS / "versions").glob("[0-9]*.py"))
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    assert {name: digests.get(name) for name in RELEASED} == RELEASED
    assert set(digests) == set(RELEASED), "a new revision is entered here when it lands"

"""A month of a school's readings in a database of the gateway's, made inside SQLite and kept for the next run.

Rows are inserted in order of time, as they come from devices, so that the table grows into the shape that it has in
a school: each page holds readings of one series, and a series' pages lie far apart. Roll-ups are there too.
"""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, insert

from devices import registry
from gateway.readings.tables import PACKED, series
from gateway.store import database, sqlite
from gateway.store.tables import fact
from tests.bench.run import Run

DEVICES = 250
MEASUREMENTS = ("temperature_c", "humidity_pct")
SERIES = DEVICES * len(MEASUREMENTS)
INTERVAL_S = 30
TICKS_AN_HOUR = 3600 // INTERVAL_S
START_US = int(datetime(2025, 1, 6, tzinfo=UTC).timestamp()) * 1_000_000
HOURS_AT_ONCE = 16
FINGERPRINT = "fingerprint.json"
LAYOUT = 2
"""Grows with every change of what is made here: a database of another layout is made anew."""

_VALUE = "(15 + (({tick}) * 7919 + ({series}) * 104729) % 1500 / 100.0)"
_TICKS = "WITH RECURSIVE tick(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM tick WHERE n + 1 < :end)"

_PACKS = f"""
    {_TICKS}
    INSERT INTO pack (group_no, at_us, frame_no, clock, value_0, value_1)
    SELECT id / {PACKED}, {START_US} + n * {INTERVAL_S * 1_000_000}, n * {DEVICES} + id / {PACKED}, 0,
           {_VALUE.format(tick="n", series="id")}, {_VALUE.format(tick="n", series="id + 1")}
      FROM tick CROSS JOIN (SELECT id FROM series WHERE id % {PACKED} = 0)
"""
_MINUTES = f"""
    {_TICKS}
    INSERT INTO reading_1m (series_id, start_us, count, min, max, sum, last)
    SELECT id, {START_US} + n * 60000000, 2, min(one, two), max(one, two), one + two, two
      FROM (SELECT series.id, n, {_VALUE.format(tick="2 * n", series="series.id")} AS one,
                   {_VALUE.format(tick="2 * n + 1", series="series.id")} AS two
              FROM tick CROSS JOIN series)
"""
_HOURS = """
    INSERT INTO reading_1h (series_id, start_us, count, min, max, sum, last)
    SELECT series_id, start_us / 3600000000 * 3600000000 AS hour_us, sum(count), min(min), max(max), sum(sum),
           (SELECT last FROM reading_1m AS newest WHERE newest.series_id = minute.series_id
               AND newest.start_us = minute.start_us / 3600000000 * 3600000000 + 3540000000)
      FROM reading_1m AS minute
     WHERE series_id = :series_id
     GROUP BY hour_us
"""


@dataclass(frozen=True, slots=True)
class Month:
    """A data directory with `rows` readings: `SERIES` series of a reading each `INTERVAL_S` from `START_US` on."""

    data: Path
    hours: int

    @property
    def rows(self) -> int:
        return self.hours * TICKS_AN_HOUR * SERIES

    @property
    def end_us(self) -> int:
        return START_US + self.hours * 3_600_000_000


def month(bench: Run, hours: int) -> Month:
    """Returns the month from the cache, or makes it: a few minutes for 50 million readings."""
    made = Month(bench.cache / f"month-{hours}h", hours)
    wanted = _fingerprint(bench, made)
    note = made.data / FINGERPRINT
    if not note.exists() or note.read_text() != wanted:
        shutil.rmtree(made.data, ignore_errors=True)
        _make(bench, made)
        note.write_text(wanted)
    with closing(sqlite3.connect(made.data / database.FILE_NAME)) as connection, connection:
        connection.execute("DELETE FROM fact WHERE name = 'clock_high_us'")  # no clock is in doubt for its last run
    return made


def _fingerprint(bench: Run, wanted: Month) -> str:
    """Says what the month is made of: the tables as they are in a new database, and our numbers."""
    with bench.scratch() as directory:
        path = directory / database.FILE_NAME
        database.prepare(path)
        with closing(sqlite3.connect(path)) as connection:
            tables = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master ORDER BY name")]
    return json.dumps({"layout": LAYOUT, "rows": wanted.rows, "tables": tables})


def _make(bench: Run, wanted: Month) -> None:
    path = wanted.data / database.FILE_NAME
    database.prepare(path)
    engine = sqlite.open_engine(path)
    with engine.begin() as connection:
        _enter_series(connection, wanted)
    engine.dispose()
    began = time.monotonic()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")  # a half-made file has no fingerprint and is thrown away
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-1000000")
        for table, statement, rows_an_hour in (("pack", _PACKS, TICKS_AN_HOUR), ("reading_1m", _MINUTES, 60)):
            for first in range(0, wanted.hours, HOURS_AT_ONCE):
                end = min(first + HOURS_AT_ONCE, wanted.hours)
                connection.execute("BEGIN")
                connection.execute(statement, {"first": first * rows_an_hour, "end": end * rows_an_hour})
                connection.execute("COMMIT")
                bench.say(f"a month for range queries: {table}, {end / wanted.hours:.0%}")
        connection.execute("BEGIN")
        series_ids = [series_id for (series_id,) in connection.execute("SELECT id FROM series").fetchall()]
        for done, series_id in enumerate(series_ids, 1):
            connection.execute(_HOURS, {"series_id": series_id})
            bench.say(f"a month for range queries: reading_1h, {done / SERIES:.0%}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")
    bench.say(f"a month for range queries: made in {time.monotonic() - began:.0f} s", is_final=True)


def _enter_series(connection: Connection, wanted: Month) -> None:
    rows: list[dict[str, object]] = []
    for number in range(1, DEVICES + 1):
        device_id = f"room-{number:03d}"
        registry.add(connection, device_id, "climate", START_US)
        for place, measurement in enumerate(MEASUREMENTS):
            rows.append({"id": number * PACKED + place, "device_id": device_id, "measurement": measurement})
    connection.execute(insert(series), rows)
    last_frame = wanted.hours * TICKS_AN_HOUR * DEVICES
    connection.execute(insert(fact).values(name="last_frame_no", value=str(last_frame)))

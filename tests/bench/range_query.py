"""A day of one series out of a month of 500: by the query itself, and through the API with all its pages.

Compared with a scan of the same table that may not use its key.
"""

import http.client
import random
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec
from sqlalchemy import Connection, Engine, text

from foundation import rfc3339
from gateway.readings import buckets, listing
from gateway.readings.buckets import Bucketing
from gateway.readings.listing import ReadingFilter
from gateway.store import database, sqlite
from tests.bench.machine import forget_files
from tests.bench.month import DEVICES, INTERVAL_S, MEASUREMENTS, SERIES, START_US, Month, month
from tests.bench.run import Run, WrongResult, quantile
from tests.bench.table import Cell, Column, Table
from tests.gateway_process import GatewayProcess

MINUTE_US = 60_000_000
DAY_US = 86_400_000_000
DAY_READINGS = 86_400 // INTERVAL_S
DAY_MINUTES = 1_440
PAGE = 1_000
KEEP = {"store.raw_days": "36500", "store.roll_up_1m_days": "36500"}
"""The month does not get younger, and is not to be pruned."""

SCAN = text(
    """SELECT at_us, value_0, value_1 FROM pack
        WHERE +group_no = (SELECT id / 4 FROM series WHERE device_id = :device AND measurement = :measurement)
          AND +at_us >= :from_us AND +at_us < :to_us"""
)
"""A plus sign keeps SQLite from using the key (sqlite.org, The SQLite Query Optimizer Overview)."""


class Item(msgspec.Struct):
    """As much of a reading or of a bucket as is checked."""

    count: int = 1


class Listing(msgspec.Struct):
    """A page of the API."""

    items: list[Item]
    next: str | None


SCANNED = "scan without the key"
_LISTING = msgspec.json.Decoder(Listing)

Query = Callable[[ReadingFilter], int]
"""Answers a query and returns how many readings the answer stands for."""


@dataclass(frozen=True, slots=True)
class Took:
    """`cpu_ms`: processor time of this process, which is all there is of a query, and little of a GET."""

    wall_ms: float
    cpu_ms: float


Times = dict[str, list[Took]]


def run(bench: Run) -> list[Table]:
    """Raises WrongResult if an answer does not hold a whole day."""
    made = month(bench, bench.pick(834, 34))
    times: Times = {}
    with GatewayProcess(made.data, KEEP) as gateway, closing(Api(gateway)) as api:
        engine = sqlite.open_engine(made.data / database.FILE_NAME, read_only=True)
        direct = Direct(engine)
        queries: dict[str, Query] = {
            "query, 24 h": direct.day,
            "query, 24 h as minutes": direct.minutes,
            "GET, first 1,000 of 24 h": api.first_page,
            "GET, 24 h": api.day,
            "GET, 24 h, every=1m": api.minutes,
        }
        rounds = bench.pick(200, 20)
        generator = random.Random(1)
        for number in range(rounds):
            bench.say(f"range query, {number + 1} of {rounds}")
            wanted = _some_day(generator, made)
            direct.day(wanted)  # its pages are in memory from here on
            for name, query in queries.items():
                _time(times, name, query, wanted)
            if number % (rounds // 10) == 0:
                engine.dispose()
                forget_files([made.data / database.FILE_NAME])
                _time(times, "query, 24 h, file not in memory", direct.day, wanted)
            if number % (rounds // bench.pick(3, 2)) == 0:
                bench.say(f"range query, {number + 1} of {rounds}: a scan")
                _time(times, SCANNED, direct.scan, wanted)
                api.reopen()  # the gateway has closed a connection that was silent for so long
        engine.dispose()
    return [_table(made, times)]


def _some_day(generator: random.Random, made: Month) -> ReadingFilter:
    from_us = generator.randrange(START_US, made.end_us - DAY_US) // MINUTE_US * MINUTE_US
    device_id = f"room-{generator.randint(1, DEVICES):03d}"
    return ReadingFilter(from_us, from_us + DAY_US, device_id, generator.choice(MEASUREMENTS))


def _time(times: Times, name: str, query: Query, wanted: ReadingFilter) -> None:
    began, cpu_began = time.perf_counter(), time.process_time()
    found = query(wanted)
    took = Took((time.perf_counter() - began) * 1000, (time.process_time() - cpu_began) * 1000)
    times.setdefault(name, []).append(took)
    if found != (PAGE if "first" in name else DAY_READINGS):
        raise WrongResult(f"{name}: an answer with {found} readings")


class Direct:
    """The query functions on a connection of a reader's, without a gateway."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def day(self, wanted: ReadingFilter) -> int:
        return self._run(lambda connection: len(listing.page(connection, wanted, None, 2 * DAY_READINGS).items))

    def minutes(self, wanted: ReadingFilter) -> int:
        into = Bucketing(MINUTE_US, "mean")

        def query(connection: Connection) -> int:
            page = buckets.page(connection, wanted, into, None, 2 * DAY_MINUTES)
            return sum(bucket.count for bucket in page.items)

        return self._run(query)

    def scan(self, wanted: ReadingFilter) -> int:
        parameters = {
            "device": wanted.device_id,
            "measurement": wanted.measurement,
            "from_us": wanted.from_us,
            "to_us": wanted.to_us,
        }
        return self._run(lambda connection: len(connection.execute(SCAN, parameters).all()))

    def _run(self, query: Callable[[Connection], int]) -> int:
        with self._engine.connect() as connection, connection.begin():
            return query(connection)


class Api:
    """A client with one kept connection."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", gateway.http_port, timeout=60)
        self._headers = {"Authorization": f"Bearer {gateway.admin_key}"}

    def close(self) -> None:
        self._connection.close()

    def reopen(self) -> None:
        self._connection.close()
        self._connection.connect()

    def first_page(self, wanted: ReadingFilter) -> int:
        return len(self._page(wanted, {}).items)

    def day(self, wanted: ReadingFilter) -> int:
        return self._all(wanted, {})

    def minutes(self, wanted: ReadingFilter) -> int:
        return self._all(wanted, {"every": "1m"})

    def _all(self, wanted: ReadingFilter, more: dict[str, str]) -> int:
        page = self._page(wanted, more)
        found = sum(item.count for item in page.items)
        while page.next is not None:
            page = self._page(wanted, more | {"after": page.next})
            found += sum(item.count for item in page.items)
        return found

    def _page(self, wanted: ReadingFilter, more: dict[str, str]) -> Listing:
        query = {
            "device": str(wanted.device_id),
            "measurement": str(wanted.measurement),
            "from": rfc3339.text(wanted.from_us),
            "to": rfc3339.text(wanted.to_us),
            "limit": str(PAGE),
        } | more
        self._connection.request("GET", f"/api/v1/readings?{urlencode(query)}", headers=self._headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise WrongResult(f"the API answered {response.status}: {body[:500]!r}")
        return _LISTING.decode(body)


def _table(made: Month, times: Times) -> Table:
    scan_ms = statistics.median(took.wall_ms for took in times[SCANNED])
    rows: list[tuple[Cell, ...]] = []
    for name, each in times.items():
        wall_ms = [took.wall_ms for took in each]
        median_ms = statistics.median(wall_ms)
        cpu_ms = None if name.startswith("GET") else statistics.median(took.cpu_ms for took in each)
        rows.append((name, float(len(each)), median_ms, quantile(wall_ms, 0.99), scan_ms / median_ms, cpu_ms))
    size_gb = (made.data / database.FILE_NAME).stat().st_size / 1e9
    return Table(
        f"Range query: 24 h of one series ({DAY_READINGS:,} readings) out of {made.rows:,} readings",
        (
            Column("what"),
            Column("times", ",.0f"),
            Column("median ms", ",.2f"),
            Column("p99 ms", ",.2f"),
            Column("times as fast as the scan", ",.0f"),
            Column("processor ms", ",.2f"),
        ),
        rows,
        (
            f"{SERIES} series, a reading each {INTERVAL_S} s, and their roll-ups: {size_gb:.1f} GB",
            "a random series and day each time, its pages in memory unless it says otherwise",
            f"GET: pages of {PAGE:,}, one after the other; the query: in one piece",
        ),
    )

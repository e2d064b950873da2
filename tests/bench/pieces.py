"""Where a message's time goes: each piece of the way from the socket to the disk by itself, in one thread.

Processor time, so that a busy machine disturbs it little; a regression of the whole is looked for here. Compared with
`json.loads` of the same payload on the same machine.
"""

import gc
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection as Database

from devices.frame import Frame, Intake
from devices.mqtt.codec.codec import Decoder
from devices.mqtt.server import access
from devices.mqtt.server.broker import Broker
from devices.mqtt.server.connection import Connection
from devices.mqtt.server.limits import Limits
from devices.payloads import native
from devices.registry import Registry
from firmware_sim import packets
from gateway.alerts.backlog import Backlog
from gateway.alerts.engine import Engine, KnownDevice
from gateway.alerts.rules import ThresholdRule
from gateway.committed import Committed, Pack, Series
from gateway.fleet.tables import kept_frame
from gateway.ingest.ingest import Ingest
from gateway.ingest.room import build_ingest
from gateway.ingest.statements import Statements, compile_for
from gateway.ingest.tables import dead_letter
from gateway.ingest.transaction import Transaction
from gateway.live.ring import EventRing, Kind
from gateway.main import GC_THRESHOLDS
from gateway.readings.tables import PACKED
from gateway.store import database, sqlite
from gateway.store.byte_cap import ByteCap
from tests.bench.enrolled import enrol
from tests.bench.run import Run
from tests.bench.table import Cell, Column, Spread, Table, ratios
from tests.declared import STATEMENTS

DEVICES = 200
MESSAGES = 1_000
READ_BYTES = 65_536
TOPIC = "sg/load-0001/telemetry"
VALUES = 3
BASELINE = "json.loads of the payload"

Timings = dict[str, list[float]]


def payload(seq: int) -> bytes:
    return b'{"at":%d,"boot":"b1","seq":%d,"values":{"temperature_c":21.5,"humidity_pct":40.25,"co2_ppm":700}}' % (
        time.time_ns() // 1_000_000,
        seq,
    )


def wall_us() -> int:
    return time.time_ns() // 1000


def run(bench: Run) -> list[Table]:
    """Takes every piece in turn, again and again; of each group of repetitions the lowest time counts."""
    timings: Timings = {}
    template = bench.directory / "devices-of-pieces"
    enrol(template, DEVICES)
    gc.collect()
    gc.freeze()
    thresholds = gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        for repetition in range(bench.repetitions):
            bench.say(f"pieces, {repetition + 1} of {bench.repetitions}")
            tries = bench.pick(20, 3)
            _decoding(timings, tries)
            _storing(bench, timings, template, tries)
            _telling(timings, tries)
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    return [_table(bench, timings)]


def _note(timings: Timings, name: str, tries: int, work: Callable[[], object]) -> None:
    """Notes the lowest of `tries` times, µs a message."""
    lowest = float("inf")
    for _ in range(tries):
        began = time.process_time_ns()
        work()
        lowest = min(lowest, time.process_time_ns() - began)
    timings.setdefault(name, []).append(lowest / MESSAGES / 1000)


# From bytes to frames.


@dataclass(slots=True)
class _Sink:
    """Takes intakes as the writer does, and acknowledges when told."""

    intakes: list[Intake] = field(default_factory=list)

    def submit(self, intake: Intake) -> None:
        self.intakes.append(intake)

    def on_room(self, _call: Callable[[], None]) -> bool:
        return True

    def commit(self) -> None:
        for intake in self.intakes:
            intake.done()
        self.intakes.clear()


def _decoding(timings: Timings, tries: int) -> None:
    payloads = [payload(seq) for seq in range(MESSAGES)]
    _note(timings, BASELINE, tries, lambda: [json.loads(each) for each in payloads])
    _note(timings, "payload: decode_telemetry", tries, lambda: [native.decode_telemetry(each) for each in payloads])
    for version, name in ((packets.MQTT_3_1_1, "3.1.1"), (packets.MQTT_5, "5")):
        hello = packets.connect(version, "load-0001", "secret", keep_alive_s=60)
        stream = b"".join(
            packets.publish(version, TOPIC, each, qos=1, packet_id=number)
            for number, each in enumerate(payloads, start=1)
        )
        pieces = [stream[start : start + READ_BYTES] for start in range(0, len(stream), READ_BYTES)]
        _note(timings, f"packets: decode MQTT {name}", tries, lambda h=hello, p=pieces: _decode(h, p))  # type: ignore[misc]
        _note(timings, f"connection: decode to PUBACK, MQTT {name}", tries, lambda h=hello, p=pieces: _connect(h, p))  # type: ignore[misc]


def _decode(hello: bytes, pieces: Sequence[bytes]) -> None:
    decoder = Decoder(1 << 20)
    decoder.feed(hello)
    for piece in pieces:
        decoder.feed(piece)


def _connect(hello: bytes, pieces: Sequence[bytes]) -> None:
    sink = _Sink()
    principal = access.Principal("load-0001", ("sg/load-0001/#",), ("sg/load-0001/cmd/#",))
    broker = Broker(sink, Limits(), wall_us, wall_us)
    connection = Connection(broker, lambda _user, _secret: principal, "bench", lambda: None, lambda: lambda: None)
    connection.receive(hello, wall_us())
    sink.commit()
    for piece in pieces:
        connection.receive(piece, wall_us())
        sink.commit()
        connection.data_to_send()


# From frames to rows.


class _Senders:
    """Devices that send in turn, each with sequence numbers without a gap."""

    def __init__(self, devices: int) -> None:
        self._topics = [f"sg/load-{number:04d}/telemetry" for number in range(1, devices + 1)]
        self._seqs = [0] * devices

    def intake(self, messages: int) -> Intake:
        """Returns the next frames, as one connection hands them in."""
        frames: list[Frame] = []
        for number in range(messages):
            sender = number % len(self._topics)
            self._seqs[sender] += 1
            frames.append(Frame(self._topics[sender], payload(self._seqs[sender]), wall_us()))
        return Intake(frames, lambda: None, 0)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A database with a connection that writes, and what turns frames into its rows."""

    connection: Database
    statements: Statements
    ingest: Ingest
    dead_letters: ByteCap
    kept_frames: ByteCap


@contextmanager
def _opened(data: Path) -> Iterator[_Opened]:
    engine = sqlite.open_engine(data / database.FILE_NAME)
    registry = Registry()
    with engine.begin() as connection:
        registry.refresh(connection)
    statements = compile_for(engine.dialect, STATEMENTS)
    dead_letter_cap, kept_frames = ByteCap(dead_letter, 1 << 26), ByteCap(kept_frame, 1 << 26)
    ingest = build_ingest(
        registry,
        statements,
        bytes(32),
        wall_us,
        lambda: True,
        lambda _device, _ahead_us: None,
        dead_letter_cap,
        kept_frames,
    )
    try:
        with engine.connect() as connection:
            yield _Opened(connection, statements, ingest, dead_letter_cap, kept_frames)
    finally:
        engine.dispose()


def _storing(bench: Run, timings: Timings, template: Path, tries: int) -> None:
    for devices in (1, DEVICES):
        of = f"{devices} device{'s' if devices > 1 else ''}"
        with bench.scratch(template) as data, _opened(data) as opened:
            applied, committed = _applied(opened, devices, MESSAGES, tries)
            timings.setdefault(f"ingest: decode to INSERT, {of}", []).append(applied)
            timings.setdefault(f"ingest: commit, {of}", []).append(committed)
            inserted = _inserted(opened, devices, tries)
            timings.setdefault(f"ingest: INSERT alone, {of}", []).append(inserted)
        with bench.scratch(template) as data:
            _inserting(timings, data / database.FILE_NAME, devices, f"SQLite alone: the same rows, {of}", tries)
    with bench.scratch(template) as data, _opened(data) as opened:
        applied, committed = _applied(opened, DEVICES, 1, 20 * tries)
        timings.setdefault("ingest: one message alone", []).append(applied)
        timings.setdefault("ingest: its commit", []).append(committed)


def _applied(opened: _Opened, devices: int, messages: int, tries: int) -> tuple[float, float]:
    """Returns the lowest times of the transaction's body and of its commit, µs a message."""
    connection, ingest = opened.connection, opened.ingest
    senders = _Senders(devices)
    with connection.begin():
        ingest.apply(connection, [senders.intake(max(messages, devices))])  # loads the sources, makes the series
    applied = committed = float("inf")
    for _ in range(tries):
        intake = senders.intake(messages)
        with connection.begin():
            began = time.process_time_ns()
            ingest.apply(connection, [intake])
            applied_at = time.process_time_ns()
        ended = time.process_time_ns()
        applied, committed = min(applied, applied_at - began), min(committed, ended - applied_at)
    return applied / messages / 1000, committed / messages / 1000


def _inserted(opened: _Opened, devices: int, tries: int) -> float:
    """Returns the lowest time of a transaction's rows alone, µs a message."""
    connection = opened.connection
    lowest = float("inf")
    for group in range(1, tries + 1):
        with connection.begin():
            transaction = Transaction(connection, wall_us(), is_clock_right=True)
            transaction.committed.packs += _packs(devices, 1_000 * group)
            began = time.process_time_ns()
            transaction.write(opened.statements, opened.dead_letters, opened.kept_frames)
            lowest = min(lowest, time.process_time_ns() - began)
    return lowest / MESSAGES / 1000


def _inserting(timings: Timings, path: Path, devices: int, name: str, tries: int) -> None:
    """The rows of `tries` groups by `executemany`: what the ingest's INSERT is to be compared with."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        groups = [_packs(devices, number) for number in range(tries)]

        def insert() -> None:
            connection.executemany("INSERT INTO pack VALUES (?, ?, ?, ?, ?, ?, ?, ?)", groups.pop())

        lowest = float("inf")
        for _ in range(tries):
            connection.execute("BEGIN IMMEDIATE")
            began = time.process_time_ns()
            insert()
            lowest = min(lowest, time.process_time_ns() - began)
            connection.execute("COMMIT")
        timings.setdefault(name, []).append(lowest / MESSAGES / 1000)


def _packs(devices: int, group: int) -> list[Pack]:
    """Returns the packs of `MESSAGES` messages of devices in turn."""
    at_us = wall_us()
    return [
        (number % devices + 1, at_us, group * MESSAGES + number, 0, 21.5, 40.25, 700.0, None)
        for number in range(MESSAGES)
    ]


# From commits to those who look.


def _telling(timings: Timings, tries: int) -> None:
    packs = _packs(DEVICES, 0)
    entries = {
        group_no * PACKED + place: Series(group_no * PACKED + place, f"load-{group_no:04d}", measurement)
        for group_no in range(1, DEVICES + 1)
        for place, measurement in enumerate(("temperature_c", "humidity_pct", "co2_ppm"))
    }
    ring = EventRing(1, entries.__getitem__)
    kinds = frozenset({Kind.READING})

    def read() -> None:
        place = ring.last
        ring.add_packs(packs)
        while place < ring.last:
            found = ring.read_after(place, kinds, None)
            if found is None:
                raise AssertionError("the ring is smaller than one group")
            place = found[1]

    _note(timings, "live: nobody listens", tries, lambda: ring.add_packs(packs))
    _note(timings, "live: somebody listens", tries, read)
    backlog = Backlog()
    committed = Committed(wall_us(), MESSAGES, packs)

    def skip() -> None:
        backlog.add(committed, entries.keys())

    _note(timings, "alerts: no rule", tries, skip)
    rule = ThresholdRule(id="air", name="Air", measurement="co2_ppm", above=1000, clear=900, for_s=60)
    engine = Engine(wall_us(), 600_000_000)
    engine.restore([rule], [KnownDevice(entry.device_id, "sensor") for entry in entries.values()], [], {}, None)
    watched = [(entries[pack[0] * PACKED + 2].device_id, pack[1], pack[6] or 0.0) for pack in packs]

    def observe() -> None:
        for device_id, at_us, value in watched:
            engine.observe(device_id, "sensor", "co2_ppm", at_us, value, at_us)

    _note(timings, "alerts: a rule for one value of three", tries, observe)


def _table(bench: Run, timings: Timings) -> Table:
    unit = timings[BASELINE]
    rows: list[tuple[Cell, ...]] = [
        (name, Spread(tuple(each)), None if name == BASELINE else ratios(each, unit)) for name, each in timings.items()
    ]
    return Table(
        "Pieces: processor time of each for one message of three values, one thread",
        (
            Column("piece"),
            Column("µs a message", ".2f", has_spread=True),
            Column("of json.loads", ".2f"),
        ),
        rows,
        (
            f"the lowest of some times for {MESSAGES:,} messages each; {bench.repetitions} repetitions: "
            "medians, [lowest highest]",
            "a message passes: connection (which has packets in it), ingest (which has the payload in it), commit, "
            "live, alerts",
        ),
    )

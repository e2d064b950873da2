"""Durable ingest: how many messages a second the gateway commits and acknowledges, QoS 1, three values each.

Compared with Mosquitto acknowledging the same stream and storing nothing, which is as fast as it gets, and with a
subscriber behind Mosquitto that commits to the same store, which is how it is usually done. After each repetition
the gateway is killed, and what it acknowledged is counted in its database.
"""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from firmware_sim import packets
from firmware_sim.load import LoadProgress, LoadResult, LoadSpec, run_load
from firmware_sim.stream import FIRST_SEQ
from firmware_sim.wire import Credential
from firmware_sim.worker import started
from gateway.ingest.seen import SeenRanges
from gateway.store.database import FILE_NAME
from tests.bench.conventional import Drained, Order, Subscribed
from tests.bench.enrolled import anonymous, bare_mosquitto, enrol
from tests.bench.meter import Meter
from tests.bench.run import Run, WrongResult
from tests.bench.table import Cell, Column, Spread, Table, ratios
from tests.gateway_process import GatewayProcess
from tests.mosquitto_process import MosquittoProcess

VALUES = 3
WARM_UP_S = 1.0
DEVICES = 200
CONVENTIONAL_IN_FLIGHT = 1_000

_SAID: msgspec.json.Decoder[Subscribed | Drained] = msgspec.json.Decoder(Subscribed | Drained)


@dataclass(frozen=True, slots=True)
class Stream:
    """So many connections with so many messages in flight on each."""

    version: int
    connections: int
    window: int

    def __str__(self) -> str:
        version = "5" if self.version == packets.MQTT_5 else "3.1.1"
        return f"MQTT {version}, {self.connections} × {self.window:,}"


STREAMS = tuple(
    Stream(version, connections, window)
    for version in (packets.MQTT_3_1_1, packets.MQTT_5)
    for connections, window in ((1, 1_000), (DEVICES, 20))
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One repetition. `server_us`: processor time of the server for a message, all its processes."""

    per_s: float
    ack_ms_p50: float
    ack_ms_p99: float
    server_us: float
    generator_share: float


def run(bench: Run) -> list[Table]:
    """Raises WrongResult if a message was acknowledged and not stored, or refused."""
    template = bench.directory / "devices-of-ingest"
    credentials = enrol(template, DEVICES)
    ours: dict[Stream, list[Outcome]] = {stream: [] for stream in STREAMS}
    bare: dict[Stream, list[Outcome]] = {stream: [] for stream in STREAMS}
    usual: list[Outcome] = []
    for repetition in range(bench.repetitions):
        for stream in STREAMS:
            label = f"ingest, {stream}, {repetition + 1} of {bench.repetitions}"
            ours[stream].append(_gateway(bench, template, credentials, stream, f"{label}: the gateway"))
            bare[stream].append(_mosquitto(bench, credentials, stream, f"{label}: Mosquitto"))
        usual.append(_conventional(bench, credentials[0], f"ingest, {repetition + 1} of {bench.repetitions}"))
    return [_table(bench, ours, bare, usual)]


def _gateway(bench: Run, template: Path, credentials: list[Credential], stream: Stream, label: str) -> Outcome:
    with bench.scratch(template) as data, GatewayProcess(data) as gateway:
        outcome, result = _loaded(bench, gateway.pid, gateway.mqtt_port, credentials, stream, label)
        gateway.kill9()
        _check_stored(data, credentials, result)
    return outcome


def _mosquitto(bench: Run, credentials: list[Credential], stream: Stream, label: str) -> Outcome:
    with bench.scratch() as directory, bare_mosquitto(directory) as broker:
        return _loaded(bench, broker.pid, broker.port, anonymous(credentials), stream, label)[0]


def _loaded(
    bench: Run, pid: int, port: int, credentials: list[Credential], stream: Stream, label: str
) -> tuple[Outcome, LoadResult]:
    spec = LoadSpec(
        host="127.0.0.1",
        port=port,
        credentials=credentials[: stream.connections],
        version=stream.version,
        window=stream.window,
        duration_s=bench.pick(8.0, 1.0),
        warm_up_s=WARM_UP_S,
    )

    def told(progress: LoadProgress) -> None:
        bench.say(label if progress.per_s is None else f"{label}: {progress.per_s:,.0f} messages/s")

    meter = Meter(pid)
    before_s = meter.cpu_s()
    result = asyncio.run(run_load(spec, told))
    cpu_s = meter.cpu_s() - before_s
    if result.refused or result.lost_connections or result.acknowledged != result.sent:
        raise WrongResult(
            f"{label}: {result.acknowledged:,} of {result.sent:,} messages acknowledged, {result.refused:,} refused, "
            f"{result.lost_connections} connections lost {result.trouble}"
        )
    outcome = Outcome(
        result.acknowledged_per_s,
        result.chunk_ms_p50,
        result.chunk_ms_p99,
        cpu_s / result.acknowledged * 1e6,
        result.cpu_share,
    )
    return outcome, result


def _check_stored(data: Path, credentials: list[Credential], result: LoadResult) -> None:
    """Every acknowledged message is there, once: three readings each, and its sequence number is noted."""
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        (stored,) = connection.execute("SELECT count(*) FROM reading").fetchone()
        noted = dict(connection.execute("SELECT device_id, ranges FROM seen WHERE boot = ?", (result.boot,)))
    if stored != VALUES * result.acknowledged:
        raise WrongResult(
            f"{result.acknowledged:,} messages acknowledged, {stored:,} readings stored, not {VALUES} each"
        )
    for credential, acknowledged in zip(credentials, result.acknowledged_each, strict=False):
        if acknowledged == 0:
            continue
        ranges = SeenRanges.from_bytes(noted.get(credential.device_id, b""))
        if FIRST_SEQ not in ranges or FIRST_SEQ + acknowledged - 1 not in ranges:
            raise WrongResult(f"{credential.device_id}: sequence numbers of acknowledged messages are not noted")


def _conventional(bench: Run, credential: Credential, label: str) -> Outcome:
    """The subscriber's messages wait at the broker when it starts, so nothing else wants the processor then."""
    messages = bench.pick(60_000, 5_000)
    label = f"{label}: paho-mqtt behind Mosquitto"
    settings = {"max_inflight_messages": str(CONVENTIONAL_IN_FLIGHT)}
    with bench.scratch() as directory:
        with MosquittoProcess(directory / "mosquitto", settings, is_persistent=False) as broker:
            bench.say(label)
            order = Order(broker.port, str(directory), credential.device_id, messages)
            outcome = asyncio.run(_drained(broker, order, bench, label))
        with closing(sqlite3.connect(directory / FILE_NAME)) as connection:
            (stored,) = connection.execute("SELECT count(*) FROM reading").fetchone()
    if stored != VALUES * messages:
        raise WrongResult(f"{label}: {messages:,} messages acknowledged, {stored:,} readings stored")
    return outcome


async def _drained(broker: MosquittoProcess, order: Order, bench: Run, label: str) -> Outcome:
    async with started("tests.bench.conventional", order, _SAID) as subscriber:
        await subscriber.next()
        spec = LoadSpec(
            "127.0.0.1", broker.port, [Credential(order.device_id)], duration_s=0.0, messages_each=order.messages
        )
        await run_load(spec)
        meter = Meter(broker.pid)
        before_s = meter.cpu_s()
        await subscriber.tell(b"go")
        drained = await subscriber.next()
        if not isinstance(drained, Drained):
            raise WrongResult(f"{label}: the subscriber ended without a figure")
        bench.say(f"{label}: {drained.messages / drained.seconds:,.0f} messages/s")
        cpu_s = meter.cpu_s() - before_s + drained.cpu_seconds
        no_time = float("nan")
        return Outcome(drained.messages / drained.seconds, no_time, no_time, cpu_s / drained.messages * 1e6, no_time)


def _table(
    bench: Run, ours: dict[Stream, list[Outcome]], bare: dict[Stream, list[Outcome]], usual: list[Outcome]
) -> Table:
    usual_per_s = [outcome.per_s for outcome in usual]
    rows: list[tuple[Cell, ...]] = []
    for stream in STREAMS:
        ours_per_s = [outcome.per_s for outcome in ours[stream]]
        bare_per_s = [outcome.per_s for outcome in bare[stream]]
        to_bare, to_usual = ratios(ours_per_s, bare_per_s), ratios(ours_per_s, usual_per_s)
        rows.append((str(stream), "gateway, durable", *_figures(ours[stream], to_bare, to_usual)))
        rows.append(("", "Mosquitto, storing nothing", *_figures(bare[stream], None, None)))
    to_usual = ratios(usual_per_s, usual_per_s)
    rows.append(("a full queue", "paho-mqtt behind Mosquitto", *_figures(usual, None, to_usual)))
    return Table(
        "Durable ingest: QoS 1, fsync before PUBACK, JSON of 3 values decoded and stored, sign-in and topic rules",
        (
            Column("connections × in flight"),
            Column("server"),
            Column("messages/s", ",.0f"),
            Column("of Mosquitto", ".2f", has_spread=True),
            Column("of conventional", ".1f", has_spread=True),
            Column("ack p50 ms", ".1f"),
            Column("ack p99 ms", ".1f"),
            Column("server µs/message", ".1f"),
            Column("generator", ".0%"),
        ),
        rows,
        (
            f"{bench.repetitions} repetitions, gateway and Mosquitto in turn; medians, [lowest highest]",
            "after each the gateway was killed, and all that it had acknowledged was in its database, once",
            "ack: from sending a chunk (half a window at most) to the acknowledgement of its last message",
            "generator: what it used of a core; near 100 % it would be the limit",
            "paho-mqtt behind Mosquitto: manual_ack, the same store, acknowledged after the commit; "
            "its messages wait at the broker, nobody publishes meanwhile",
        ),
    )


def _figures(outcomes: list[Outcome], to_bare: Spread | None, to_usual: Spread | None) -> tuple[Cell, ...]:
    def spread(*values: float) -> Spread:
        return Spread(values)

    return (
        spread(*(o.per_s for o in outcomes)),
        to_bare,
        to_usual,
        spread(*(o.ack_ms_p50 for o in outcomes)),
        spread(*(o.ack_ms_p99 for o in outcomes)),
        spread(*(o.server_us for o in outcomes)),
        spread(*(o.generator_share for o in outcomes)),
    )

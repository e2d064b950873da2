"""From PUBLISH to somebody's screen: how old a reading is when it comes out of the live feed.

A device sends the moment of sending as the value; a reader of the live feed in another process subtracts it from the
moment of reading. Compared with the same messages through Mosquitto to a subscriber, which neither stores nor decodes
them.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import msgspec

from firmware_sim import packets
from firmware_sim.steady import SteadySpec, SteadyState, run_steady
from firmware_sim.steady_publisher import STAMP
from firmware_sim.wire import Credential
from firmware_sim.worker import started
from tests.bench.enrolled import anonymous, bare_mosquitto, enrol
from tests.bench.run import Run, WrongResult, quantile
from tests.bench.stamp_reader import Arrivals, Listening, Order
from tests.bench.table import Cell, Column, Spread, Table, ratios
from tests.gateway_process import GatewayProcess

PER_S = 1_000
CONNECTIONS = (1, 100)
WARM_UP_S = 1.0
QUIET_S = 3.0

_SAID: msgspec.json.Decoder[Listening | Arrivals] = msgspec.json.Decoder(Listening | Arrivals)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Ages at arrival, ms. `late_ms_p99`: how late the sender itself was, which is not in them."""

    p50: float
    p99: float
    longest: float
    ack_p50: float
    late_ms_p99: float


def run(bench: Run) -> list[Table]:
    """Raises WrongResult if a message did not come out."""
    template = bench.directory / "devices-of-live"
    credentials = enrol(template, max(CONNECTIONS))
    ours: dict[int, list[Outcome]] = {connections: [] for connections in CONNECTIONS}
    bare: dict[int, list[Outcome]] = {connections: [] for connections in CONNECTIONS}
    for repetition in range(bench.repetitions):
        for connections in CONNECTIONS:
            label = f"live, {connections} devices, {repetition + 1} of {bench.repetitions}"
            some = credentials[:connections]
            ours[connections].append(_gateway(bench, template, some, f"{label}: the gateway"))
            bare[connections].append(_mosquitto(bench, some, f"{label}: Mosquitto"))
    return [_table(bench, ours, bare)]


def _gateway(bench: Run, template: Path, credentials: list[Credential], label: str) -> Outcome:
    with bench.scratch(template) as data, GatewayProcess(data) as gateway:
        hello = (
            f"GET /api/v1/live?kinds=reading HTTP/1.1\r\nHost: 127.0.0.1:{gateway.http_port}\r\n"
            f"Authorization: Bearer {gateway.admin_key}\r\nAccept: text/event-stream\r\n\r\n"
        )
        order = Order(gateway.http_port, hello.encode(), b"\nid:", r'"value":(\d+)\.0,', WARM_UP_S, QUIET_S)
        return asyncio.run(_measured(bench, order, gateway.mqtt_port, credentials, label))


def _mosquitto(bench: Run, credentials: list[Credential], label: str) -> Outcome:
    with bench.scratch() as directory, bare_mosquitto(directory) as broker:
        body = b"\x00\x01" + packets.text("sg/+/telemetry") + b"\x00"
        subscribe = b"\x82" + packets.remaining_length(len(body)) + body
        hello = packets.connect(packets.MQTT_3_1_1, "reader", None, keep_alive_s=0) + subscribe
        suback = b"\x90\x03\x00\x01\x00"
        order = Order(broker.port, hello, suback, rf'"{STAMP}":(\d+)}}', WARM_UP_S, QUIET_S)
        return asyncio.run(_measured(bench, order, broker.port, anonymous(credentials), label))


async def _measured(bench: Run, order: Order, port: int, credentials: list[Credential], label: str) -> Outcome:
    def told(state: SteadyState) -> None:
        bench.say(f"{label}: {state.acknowledged:,} messages")

    seconds = bench.pick(21.0, 3.0)
    async with started("tests.bench.stamp_reader", order, _SAID) as reader:
        await reader.next()
        sent = await run_steady(SteadySpec("127.0.0.1", port, credentials, PER_S, seconds, is_stamped=True), told)
        arrivals = await reader.next()
    if not isinstance(arrivals, Arrivals) or arrivals.received != sent.acknowledged or sent.acknowledged != sent.sent:
        raise WrongResult(f"{label}: {sent.sent:,} sent, {sent.acknowledged:,} acknowledged, read: {arrivals}"[:500])
    age_ms = [age_us / 1000 for age_us in arrivals.age_us]
    return Outcome(
        quantile(age_ms, 0.5), quantile(age_ms, 0.99), quantile(age_ms, 1.0), sent.ack_ms_p50, sent.late_ms_p99
    )


def _table(bench: Run, ours: dict[int, list[Outcome]], bare: dict[int, list[Outcome]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for connections in CONNECTIONS:
        to_bare = ratios([o.p50 for o in ours[connections]], [o.p50 for o in bare[connections]])
        rows.append((f"{connections:,}", "gateway, to SSE, stored", *_figures(ours[connections], to_bare)))
        rows.append(("", "Mosquitto, to a subscriber", *_figures(bare[connections], None)))
    return Table(
        f"Live: from PUBLISH to the reader at {PER_S:,} messages/s, QoS 1, over {bench.pick(20, 2)} s",
        (
            Column("devices"),
            Column("way"),
            Column("p50 ms", ".2f", has_spread=True),
            Column("p99 ms", ".2f", has_spread=True),
            Column("longest ms", ".1f"),
            Column("p50 of Mosquitto's", ".1f"),
            Column("ack p50 ms", ".2f"),
            Column("sender late p99 ms", ".2f"),
        ),
        rows,
        (
            f"{bench.repetitions} repetitions in turn; medians, [lowest highest]; longest: of all repetitions",
            "every acknowledged message came out",
            "ack: from PUBLISH to PUBACK; the gateway's leaves after the commit",
        ),
    )


def _figures(outcomes: list[Outcome], to_bare: Spread | None) -> tuple[Cell, ...]:
    return (
        Spread(tuple(o.p50 for o in outcomes)),
        Spread(tuple(o.p99 for o in outcomes)),
        max(o.longest for o in outcomes),
        to_bare,
        Spread(tuple(o.ack_p50 for o in outcomes)),
        Spread(tuple(o.late_ms_p99 for o in outcomes)),
    )

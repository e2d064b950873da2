"""What the gateway costs while little happens: idle, with a school's devices connected, and at the start.

Compared with Mosquitto under the same fleet, storing nothing.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from firmware_sim.steady import SteadySpec, SteadyState, run_steady
from firmware_sim.wire import Credential
from tests.bench.enrolled import anonymous, bare_mosquitto, enrol
from tests.bench.machine import forget_files
from tests.bench.meter import Meter
from tests.bench.run import Run, WrongResult
from tests.bench.table import Cell, Column, Spread, Table, ratios
from tests.gateway_process import GatewayProcess
from tests.mosquitto_process import MosquittoProcess

INTERVAL_S = 10.0
SETTLE_S = 5.0
TLS = {"mqtts.enabled": "true", "https.enabled": "true"}
"""Doors with TLS are open by default, and the first start makes a CA and a certificate for them."""

ROOT = Path(__file__).parents[2]
PROGRAM_FILES = (".venv", "gateway", "api", "devices")


@dataclass(frozen=True, slots=True)
class Cost:
    """`cpu_share`: of one core. `ack_ms_p99`: of what the fleet sent."""

    cpu_share: float
    memory_mb: float
    ack_ms_p99: float


def run(bench: Run) -> list[Table]:
    """Raises WrongResult if the fleet lost a connection or a message."""
    devices = bench.pick(2_000, 200)
    template = bench.directory / "devices-of-fleet"
    credentials = enrol(template, devices)
    ours: list[Cost] = []
    bare: list[Cost] = []
    idle: list[Cost] = []
    idle_bare: list[Cost] = []
    for repetition in range(bench.repetitions):
        label = f"fleet, {repetition + 1} of {bench.repetitions}"
        with bench.scratch(template) as data, GatewayProcess(data) as gateway:
            idle.append(_idle(bench, gateway.pid, f"{label}: the gateway, idle"))
            ours.append(_under(bench, gateway.pid, gateway.mqtt_port, credentials, f"{label}: the gateway"))
        with bench.scratch() as directory, bare_mosquitto(directory) as broker:
            idle_bare.append(_idle(bench, broker.pid, f"{label}: Mosquitto, idle"))
            bare.append(_under(bench, broker.pid, broker.port, anonymous(credentials), f"{label}: Mosquitto"))
    fleet = f"{devices:,} devices, a message each {INTERVAL_S:.0f} s"
    rows: list[tuple[Cell, ...]] = [
        ("idle", "gateway", *_figures(idle, idle_bare)),
        ("", "Mosquitto", *_figures(idle_bare, None)),
        (fleet, "gateway, durable", *_figures(ours, bare)),
        ("", "Mosquitto, storing nothing", *_figures(bare, None)),
    ]
    costs = Table(
        f"Fleet: processor and memory over {bench.pick(30, 3)} s",
        (
            Column("load"),
            Column("server"),
            Column("CPU of a core", ".2%", has_spread=True),
            Column("of Mosquitto", ".1f"),
            Column("memory (RSS) MB", ".0f"),
            Column("of Mosquitto's", ".1f"),
            Column("ack p99 ms", ".1f"),
        ),
        rows,
        (f"{bench.repetitions} repetitions in turn; medians, [lowest highest]; no message and no connection was lost",),
    )
    return [costs, _starts(bench)]


def _idle(bench: Run, pid: int, label: str) -> Cost:
    bench.say(label)
    time.sleep(bench.pick(SETTLE_S, 1.0))
    meter = Meter(pid)
    before_s, began = meter.cpu_s(), time.monotonic()
    time.sleep(bench.pick(30.0, 3.0))
    share = (meter.cpu_s() - before_s) / (time.monotonic() - began)
    return Cost(share, meter.memory_mb(), float("nan"))


def _under(bench: Run, pid: int, port: int, credentials: list[Credential], label: str) -> Cost:
    """The fleet connects, talks for a while, and is measured from then to its end."""
    settle_s, measure_s = bench.pick(SETTLE_S, 1.0), bench.pick(30.0, 3.0)
    meter = Meter(pid)
    marks: list[tuple[float, float]] = []
    talks_since: list[float] = []

    def told(state: SteadyState) -> None:
        now = time.monotonic()
        bench.say(f"{label}: {state.connected:,} connected, {state.acknowledged:,} messages")
        if state.sent:
            talks_since.append(now)
            if now - talks_since[0] >= settle_s:
                marks.append((now, meter.cpu_s()))

    per_s = len(credentials) / INTERVAL_S
    spec = SteadySpec("127.0.0.1", port, credentials, per_s, settle_s + measure_s + 2.0)
    result = asyncio.run(run_steady(spec, told))
    memory_mb = meter.memory_mb()
    if result.lost_connections or result.refused or result.held_back or result.acknowledged != result.sent:
        raise WrongResult(f"{label}: {result}")
    (began, before_s), (ended, after_s) = marks[0], marks[-1]
    return Cost((after_s - before_s) / (ended - began), memory_mb, result.ack_ms_p99)


def _figures(costs: list[Cost], baseline: list[Cost] | None) -> tuple[Cell, ...]:
    shares = [cost.cpu_share for cost in costs]
    memory = [cost.memory_mb for cost in costs]
    return (
        Spread(tuple(shares)),
        None if baseline is None else ratios(shares, [cost.cpu_share for cost in baseline]),
        Spread(tuple(memory)),
        None if baseline is None else ratios(memory, [cost.memory_mb for cost in baseline]),
        Spread(tuple(cost.ack_ms_p99 for cost in costs)),
    )


@dataclass(frozen=True, slots=True)
class _Start:
    """`cpu_s`: processor time up to then, which a busy machine changes less."""

    seconds: float
    cpu_s: float


def _starts(bench: Run) -> Table:
    """From `schoolgate run` to a good answer of /readyz, and from `mosquitto` to a port that takes connections."""
    first: list[_Start] = []
    again: list[_Start] = []
    cold: list[_Start] = []
    bare: list[_Start] = []
    repetitions = bench.pick(5, 1)
    for repetition in range(repetitions):
        bench.say(f"start to ready, {repetition + 1} of {repetitions}")
        with bench.scratch() as data:
            gateway = GatewayProcess(data, TLS)
            first.append(_started(gateway))
            again.append(_started(gateway))
            forget_files(ROOT / name for name in PROGRAM_FILES)
            cold.append(_started(gateway))
        with bench.scratch() as directory:
            bare.append(_started(bare_mosquitto(directory)))

    def row(what: str, starts: list[_Start], baseline: list[_Start] | None = None) -> tuple[Cell, ...]:
        seconds = [start.seconds for start in starts]
        to_bare = None if baseline is None else ratios(seconds, [start.seconds for start in baseline])
        return (what, Spread(tuple(seconds)), to_bare, Spread(tuple(start.cpu_s for start in starts)))

    return Table(
        "Start to ready, with every door open that is open by default",
        (
            Column("start"),
            Column("seconds", ".2f", has_spread=True),
            Column("of Mosquitto", ".0f"),
            Column("processor seconds", ".2f"),
        ),
        [
            row("gateway, the first one: database, CA, keys", first, bare),
            row("gateway, again", again, bare),
            row("gateway, again, its files not in memory", cold, bare),
            row("Mosquitto", bare),
        ],
        (f"{repetitions} repetitions in turn; medians, [lowest highest]",),
    )


def _started(server: GatewayProcess | MosquittoProcess) -> _Start:
    began = time.monotonic()
    server.start()
    start = _Start(time.monotonic() - began, Meter(server.pid).cpu_s())
    server.stop()
    return start

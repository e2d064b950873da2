"""Traffic at a steady rate: a fleet of mostly silent connections, or a stamped stream for measuring latency.

    fleet = await run_steady(SteadySpec(host, port, two_thousand, per_s=200, duration_s=60))
    stream = await run_steady(SteadySpec(host, port, one, per_s=1000, duration_s=10, is_stamped=True))

A stamped stream's only measurement is `sent_us`, the moment of sending in µs since 1970 UTC: whoever reads it
somewhere else on this machine subtracts it from the time it is read.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from firmware_sim import packets
from firmware_sim.errors import UsageError
from firmware_sim.load import quantile
from firmware_sim.steady_publisher import SteadyOrder, SteadyProgress, SteadyReport
from firmware_sim.wire import Credential
from firmware_sim.worker import started

_MESSAGE: msgspec.json.Decoder[SteadyProgress | SteadyReport] = msgspec.json.Decoder(SteadyProgress | SteadyReport)


@dataclass(frozen=True, slots=True)
class SteadySpec:
    """One connection for each credential, `per_s` messages a second over all of them in turn."""

    host: str
    port: int
    credentials: Sequence[Credential]
    per_s: float
    duration_s: float
    version: int = packets.MQTT_3_1_1
    qos: int = 1
    is_stamped: bool = False


@dataclass(frozen=True, slots=True)
class SteadyResult:
    """`ack_ms_*`: from sending to the acknowledgement. `late_ms_p99`: how late the sender itself was.

    `held_back`: messages not sent because their connection had 256 unacknowledged, or as many as the broker
    lets it have (MQTT 5 receive maximum). `cpu_share`: of one core.
    """

    connections: int
    sent: int
    acknowledged: int
    refused: int
    held_back: int
    lost_connections: int
    seconds: float
    ack_ms_p50: float
    ack_ms_p99: float
    ack_ms_max: float
    late_ms_p99: float
    cpu_share: float
    trouble: str


@dataclass(frozen=True, slots=True)
class SteadyState:
    """How it stands: open connections, messages sent and acknowledged so far."""

    connected: int
    sent: int
    acknowledged: int


async def run_steady(spec: SteadySpec, on_progress: Callable[[SteadyState], None] | None = None) -> SteadyResult:
    """Connects all, then sends for `duration_s`, from a process of its own.

    Raises UsageError for a spec without sense, SimError if the connections cannot be opened.
    """
    if not spec.credentials or spec.per_s <= 0 or spec.duration_s <= 0:
        raise UsageError("steady traffic needs a connection, a rate above 0 and a duration above 0")
    order = SteadyOrder(
        host=spec.host,
        port=spec.port,
        credentials=tuple(spec.credentials),
        version=spec.version,
        qos=spec.qos,
        per_s=spec.per_s,
        duration_s=spec.duration_s,
        boot=secrets.token_hex(6),
        is_stamped=spec.is_stamped,
    )
    async with started("firmware_sim.steady_publisher", order, _MESSAGE) as worker:
        is_started = False
        while True:
            message = await worker.next()
            if isinstance(message, SteadyReport):
                return _result(len(spec.credentials), message)
            if on_progress is not None:
                on_progress(SteadyState(message.connected, message.sent, message.acknowledged))
            if not is_started and message.connected == len(spec.credentials):
                is_started = True
                await worker.tell(b"start")


def _result(connections: int, report: SteadyReport) -> SteadyResult:
    return SteadyResult(
        connections=connections,
        sent=report.sent,
        acknowledged=report.acknowledged - report.refused,
        refused=report.refused,
        held_back=report.held_back,
        lost_connections=report.lost_connections,
        seconds=report.seconds,
        ack_ms_p50=quantile(report.ack_ms, 0.5),
        ack_ms_p99=quantile(report.ack_ms, 0.99),
        ack_ms_max=quantile(report.ack_ms, 1.0),
        late_ms_p99=quantile(report.late_ms, 0.99),
        cpu_share=report.cpu_seconds / report.seconds,
        trouble=report.trouble,
    )

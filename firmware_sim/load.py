"""The load generator: how many messages a second a broker acknowledges.

    result = await run_load(LoadSpec("127.0.0.1", 1883, credentials, window=1000, duration_s=10))

The sending is done by `firmware_sim.publisher` in processes of its own, so that it neither disturbs nor is
disturbed by whoever measures. It works against any broker of MQTT 3.1.1 or 5.
"""

import asyncio
import math
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from firmware_sim import packets
from firmware_sim.errors import SimError, UsageError
from firmware_sim.publisher import Progress, PublishOrder, PublishReport
from firmware_sim.wire import Credential
from firmware_sim.worker import started

_LEAD_S = 0.05
_MESSAGE: msgspec.json.Decoder[Progress | PublishReport] = msgspec.json.Decoder(Progress | PublishReport)


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """What to send: one connection for each credential, `window` messages in flight on each.

    The rate is measured in samples of `sample_s` over `duration_s` after `warm_up_s`. With `messages_each` a
    connection ends after so many messages (rounded up to whole chunks), even before the time is over;
    `duration_s=0` means no time limit. `boot` and `firsts` go on with an interrupted stream: messages with
    the numbers from `firsts` on are sent, the same (boot, seq) as before.
    """

    host: str
    port: int
    credentials: Sequence[Credential]
    version: int = packets.MQTT_3_1_1
    qos: int = 1
    window: int = 1000
    duration_s: float = 10.0
    warm_up_s: float = 1.0
    sample_s: float = 0.5
    messages_each: int = 0
    boot: str = ""
    firsts: Sequence[int] = ()
    processes: int = 1


@dataclass(frozen=True, slots=True)
class LoadResult:
    """`acknowledged_per_s` is the median of `samples_per_s`, or the mean of the run where it was too short.

    `acknowledged_each`: for each credential, in order; acknowledgements come in order, so a connection's
    messages from its first up to this many are acknowledged. `window` is what the broker allowed (MQTT 5
    receive maximum). `chunk_ms_p50`: from sending a chunk of `chunk` messages to its last acknowledgement.
    `cpu_share`: of one core, for the busiest sending process; near 1 the generator limits the rate.
    """

    acknowledged_per_s: float
    samples_per_s: tuple[float, ...]
    sent: int
    acknowledged: int
    acknowledged_each: tuple[int, ...]
    refused: int
    lost_connections: int
    connections: int
    window: int
    chunk: int
    seconds: float
    chunk_ms_p50: float
    chunk_ms_p99: float
    cpu_share: float
    boot: str
    trouble: str


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """Signed-in connections so far, or the rate of the sample that just ended."""

    connected: int
    per_s: float | None


async def run_load(spec: LoadSpec, on_progress: Callable[[LoadProgress], None] | None = None) -> LoadResult:
    """Loads a broker as `spec` says. A broker that dies is a result (`lost_connections`), not an error.

    Raises UsageError for a spec without sense, SimError if the connections cannot be opened.
    """
    orders = _orders(spec)
    tally = _Tally(spec, len(orders), on_progress)
    together = asyncio.Barrier(len(orders))
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            jobs = [group.create_task(_job(order, tally, together)) for order in orders]
    except* SimError as failures:
        failure = failures.exceptions[0]  # raised here, Python up to 3.11.3 would wrap it in a group again
    if failure is not None:
        raise failure
    return _result(spec, orders, [job.result() for job in jobs])


async def _job(order: PublishOrder, tally: "_Tally", together: asyncio.Barrier) -> PublishReport:
    """One sending process: connects, starts when all are connected, reports."""
    async with started("firmware_sim.publisher", order, _MESSAGE) as worker:
        connected = 0
        while connected < len(order.credentials):
            message = await worker.next()
            if isinstance(message, Progress):
                tally.connected(message.connected - connected)
                connected = message.connected
        await together.wait()
        await worker.tell(repr(time.monotonic() + _LEAD_S).encode())
        while True:
            message = await worker.next()
            if isinstance(message, PublishReport):
                return message
            tally.sampled(message)


def _orders(spec: LoadSpec) -> list[PublishOrder]:
    """Deals the connections out to the processes, in order."""
    if not spec.credentials:
        raise UsageError("a load needs at least one connection")
    if not 1 <= spec.window <= 65_535:
        raise UsageError("the window is between 1 and 65,535 messages: packet ids have 16 bits")
    if spec.qos not in (0, 1, 2) or spec.version not in (packets.MQTT_3_1_1, packets.MQTT_5):
        raise UsageError("QoS is 0, 1 or 2, and the protocol version 4 (3.1.1) or 5")
    if not spec.duration_s and not spec.messages_each:
        raise UsageError("a load needs an end: a duration or a number of messages")
    if spec.firsts and len(spec.firsts) != len(spec.credentials):
        raise UsageError("`firsts` needs one number for each connection")
    boot = spec.boot or secrets.token_hex(6)
    share = -(-len(spec.credentials) // spec.processes)
    return [
        PublishOrder(
            host=spec.host,
            port=spec.port,
            credentials=tuple(spec.credentials[at : at + share]),
            version=spec.version,
            qos=spec.qos,
            window=spec.window,
            boot=boot,
            warm_up_s=spec.warm_up_s,
            duration_s=spec.duration_s,
            sample_s=spec.sample_s,
            messages_each=spec.messages_each,
            firsts=tuple(spec.firsts[at : at + share]),
        )
        for at in range(0, len(spec.credentials), share)
    ]


class _Tally:
    """Adds up what the processes say on the way."""

    def __init__(self, spec: LoadSpec, processes: int, on_progress: Callable[[LoadProgress], None] | None) -> None:
        self._processes = processes
        self._sample_s = spec.sample_s
        self._say = on_progress
        self._samples: dict[int, list[int]] = {}
        self._connected = 0

    def connected(self, more: int) -> None:
        self._connected += more
        if self._say is not None:
            self._say(LoadProgress(self._connected, None))

    def sampled(self, progress: Progress) -> None:
        counts = self._samples.setdefault(progress.sample, [])
        counts.append(progress.acknowledged)
        if self._say is not None and len(counts) == self._processes:
            self._say(LoadProgress(self._connected, sum(counts) / self._sample_s))


def _result(spec: LoadSpec, orders: Sequence[PublishOrder], reports: Sequence[PublishReport]) -> LoadResult:
    samples = tuple(sum(counts) / spec.sample_s for counts in zip(*(r.samples for r in reports), strict=False))
    each = tuple(count for report in reports for count in report.acknowledged_each)
    refused = sum(report.refused for report in reports)
    acknowledged = sum(each) - refused
    seconds = max(report.seconds for report in reports)
    chunk_ms = sorted(ms for report in reports for ms in report.chunk_ms)
    return LoadResult(
        acknowledged_per_s=statistics.median(samples) if samples else acknowledged / seconds,
        samples_per_s=samples,
        sent=sum(report.sent for report in reports),
        acknowledged=acknowledged,
        acknowledged_each=each,
        refused=refused,
        lost_connections=sum(report.lost_connections for report in reports),
        connections=len(spec.credentials),
        window=min(report.window for report in reports),
        chunk=min(report.chunk for report in reports),
        seconds=seconds,
        chunk_ms_p50=quantile(chunk_ms, 0.5),
        chunk_ms_p99=quantile(chunk_ms, 0.99),
        cpu_share=max(report.cpu_seconds / report.seconds for report in reports),
        boot=orders[0].boot,
        trouble=next((report.trouble for report in reports if report.trouble), ""),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that `share` of the ordered values do not exceed; NaN where there are none."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

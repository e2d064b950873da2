"""The bridge: takes in what a broker that the school already runs has for us, over MQTT 5 and paho-mqtt.

What the broker's session keeps, the broker may forget only when it is on our disk, so:

- Every filter is subscribed with QoS 1, and PUBACK leaves after the commit. A message published with QoS 2 comes as
  QoS 1: paho answers QoS 2 with PUBREC on arrival, which makes the only copy ours before it is stored (MQTT 5.0
  §4.3.3). Twice is prevented by the event's own key, and by `redelivery` within one life of the program.
- At most `receive_max` messages are unacknowledged. While the writer has no room the line is not read; if that
  lasts, it is closed, and the messages wait at the broker.
- All subscriptions are made again on every connection, which changes nothing where the broker still has them.
- What is retained comes over a second connection, see `harvest`.
- A connection counts when something has come back through it, see `canary`.
"""

import asyncio
import contextlib
import enum
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
import structlog

from devices.frame import Sink
from devices.mqtt.client.canary import Canary, topic_of
from devices.mqtt.client.grants import Grants
from devices.mqtt.client.harvest import Harvest, NotOurs
from devices.mqtt.client.inlet import Inlet, InletCounters
from devices.mqtt.client.line import Address, Greeting, Hearing, Line, LineLost, Session
from devices.mqtt.client.outgoing import OutgoingQueue
from devices.mqtt.client.subscriptions import Subscriptions
from devices.mqtt.topics import name_fault
from foundation.backoff import Backoff
from foundation.room import Totals

log = structlog.get_logger("bridge")

RETRY_BASE_S = 0.5
RETRY_CAP_S = 30.0
TICK_S = 0.25
PAUSE_LIMIT_S = 25.0
"""No line is held unread for longer: the broker would end it for our silence."""

ASK_AGAIN_S = 60.0
HARVEST_AFTER_S = 60.0
"""After this long without a connection what is retained is fetched again: QoS 0 was not queued for us."""

DRAIN_WITHIN_S = 3.0
MAX_TOLD = 1_000
OUTGOING_KEPT_S = 60.0
OUTGOING_BYTES = 1 << 20
CANARY_EXPIRY_S = 60


class State(enum.StrEnum):
    """Connected: something has come back through this connection. Deaf: nothing did, it is being opened anew."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DEAF = "deaf"


class Deaf(LineLost):
    """The connection stands, and nothing comes through it."""


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """See the section `bridge` of the configuration. `subscribe`: filters without a fault.

    `canary_wait_s`: silence after which a canary that did not come back is lost. `quiet_s`: silence after which the
    broker is taken to have sent all that is retained. A larger message than `max_packet_bytes` the broker drops.
    """

    host: str
    port: int
    client_id: str
    subscribe: tuple[str, ...]
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    receive_max: int = 1_000
    session_expiry_s: int = 7 * 86_400
    canary_s: float = 30.0
    canary_wait_s: float = 5.0
    quiet_s: float = 2.0
    max_packet_bytes: int = 1 << 20


@dataclass(slots=True)
class BridgeCounters(InletCounters):
    """More totals since the start. `retained`: messages taken from the broker's retained store; `refused`: what the
    broker did not let us subscribe or publish; `dropped`: what could not be published in time. The reconnects are
    `connections` less one."""

    retained_total: int = 0
    connections_total: int = 0
    failures_total: int = 0
    canaries_lost_total: int = 0
    refused_total: int = 0
    dropped_total: int = 0


class Bridge:
    """Runs on one event loop. `draw` returns numbers from 0 to 1, for the jitter."""

    def __init__(
        self,
        settings: BridgeSettings,
        sink: Sink,
        now_us: Callable[[], int],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._sink = sink
        self._now_us = now_us
        self._address = Address(
            settings.host, settings.port, settings.username, settings.password, settings.tls, settings.ca_file
        )
        self._session = Session(
            settings.client_id, settings.session_expiry_s, settings.receive_max, settings.max_packet_bytes
        )
        self._backoff = Backoff(RETRY_BASE_S, RETRY_CAP_S, draw)
        self._canary = Canary(settings.canary_s, settings.canary_wait_s)
        self._canary_topic = topic_of(settings.client_id)
        self._canary_packet_id: int | None = None
        self._subscriptions = Subscriptions(settings.subscribe)
        self._grants = Grants(self._subscriptions, self._canary_topic)
        self.counters = BridgeCounters()
        self._inlet = Inlet(
            self._subscriptions,
            sink,
            now_us,
            self._canary_topic,
            self._canary.came_back,
            self.counters,
        )
        self._outgoing = OutgoingQueue(OUTGOING_KEPT_S, OUTGOING_BYTES)
        self._line: Line | None = None
        self._lost_s: float | None = None
        self._is_heard = False
        self._ask_again_s = 0.0
        self._is_harvest_due = True
        self._is_harvest_allowed = True
        self._harvest_task: asyncio.Task[None] | None = None
        self._harvest_opened = asyncio.Event()
        self._errors = 0
        self._told: set[str] = set()
        self._failures_told: set[str] = set()
        self.state = State.CONNECTING
        self.reason: str | None = None

    async def run(self) -> None:
        """Holds a connection until cancelled. Then what was taken in is committed and acknowledged, for at most
        DRAIN_WITHIN_S, and the broker keeps the session with the rest."""
        while True:
            await self._room()
            opened_s = time.monotonic()
            try:
                await self._hold_a_line()
            except LineLost as error:
                self._note_failure(error)
            self._backoff.note_lived(time.monotonic() - opened_s)
            await asyncio.sleep(self._backoff.next_s())

    def publish(self, topic: str, payload: bytes, qos: int) -> None:
        """Publishes to the broker; on the event loop's thread. QoS 1 and 2 are kept until the broker has confirmed
        them, over connections, for a minute; they may then arrive twice. QoS 0 is dropped without a connection.

        Raises ValueError for what is no topic name.
        """
        if (fault := name_fault(topic)) is not None:
            raise ValueError(fault)
        if qos > 0 or self._line is not None:
            self._outgoing.add(topic, payload, qos, time.monotonic())
            self._send_outgoing()

    def readiness(self) -> Mapping[str, str | None]:
        """See `foundation.room.Reports`."""
        return {"bridge": None if self.state is State.CONNECTED else (self.reason or self.state)}

    def totals(self) -> Totals:
        """See `foundation.room.Reports`."""
        counters = self.counters
        return {
            "bridge_received": ("Messages taken from the broker", counters.received_total),
            "bridge_redelivered": ("Messages that the broker sent again", counters.redelivered_total),
            "bridge_connections": ("Connections made to the broker", counters.connections_total),
            "bridge_canaries_lost": ("Messages to ourselves that did not come back", counters.canaries_lost_total),
        }

    # One connection.

    async def _room(self) -> None:
        """Returns when the writer has room."""
        has_room = asyncio.Event()
        while not self._sink.on_room(has_room.set):
            self.reason = "waiting for the store to take more in"
            await has_room.wait()
            has_room.clear()

    async def _hold_a_line(self) -> None:
        """Connects and holds the connection. Raises LineLost when it is over."""
        hearing = Hearing(self._begin, self._on_message, self._inlet.hand_in, self._on_subscribed, self._on_published)
        line = Line(self._address, self._session, hearing)
        try:
            await line.open()
            await self._watch(line)
        except asyncio.CancelledError:
            line.pause()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_WITHIN_S):
                    await self._inlet.drained.wait()
            raise
        except LineLost:
            if self._harvest_task is not None:
                with contextlib.suppress(TimeoutError):  # was it the harvest that took our session over? It will say so
                    async with asyncio.timeout(DRAIN_WITHIN_S):  # wait_for of Python 3.11 can lose a cancellation
                        await self._harvest_opened.wait()
            raise
        finally:
            if self._line is not None:
                self._line = None
                self._lost_s = time.monotonic()
            self._inlet.disconnected()
            await line.close()
            if self._harvest_task is not None:
                self._harvest_task.cancel()
                await asyncio.wait({self._harvest_task})
                self._reap_harvest()

    def _begin(self, line: Line, greeting: Greeting) -> None:
        now_s = time.monotonic()
        self.counters.connections_total += 1
        was_away_s = 0.0 if self._lost_s is None else now_s - self._lost_s
        if was_away_s > HARVEST_AFTER_S or not greeting.is_session_present:
            self._is_harvest_due = True
        self._line = line
        self._inlet.connected(line, is_session_present=greeting.is_session_present)
        self._outgoing.connected()
        self._is_heard = False
        use_identifiers = self._subscriptions.do_cross and greeting.has_identifiers
        if self._subscriptions.do_cross and not use_identifiers:
            self._tell(
                "bridge_may_take_twice",
                reason="the broker has no subscription identifiers",
                hint="write bridge.subscribe so that no topic matches two filters",
            )
        self._grants.ask_all(line, use_identifiers=use_identifiers)
        self._ask_again_s = now_s + ASK_AGAIN_S
        self._canary.start(now_s)
        self._start_harvest()
        self._tick(line, now_s)

    async def _watch(self, line: Line) -> None:
        """Raises LineLost when the line is over, or when it has to be given up."""
        while True:
            await asyncio.wait({line.lost}, timeout=TICK_S)
            if line.lost.done():
                raise line.lost.result()
            now_s = time.monotonic()
            if line.paused_s(now_s) > PAUSE_LIMIT_S:
                raise LineLost("the store takes nothing in; the messages wait at the broker")
            line.check()
            self._tick(line, now_s)

    def _tick(self, line: Line, now_s: float) -> None:
        canary = self._canary
        if line.paused_s(now_s) > 0 or self._inlet.waits_s(now_s) > self._settings.canary_wait_s / 2:
            canary.note_busy(now_s)  # it is the store that is slow, and the broker may wait for us
        elif canary.is_overdue(now_s):
            self.counters.canaries_lost_total += 1
            raise Deaf("connected, but nothing comes in, not even our own message")
        elif canary.is_due(now_s):
            self._canary_packet_id = line.publish(self._canary_topic, canary.fly(now_s), 1, CANARY_EXPIRY_S)
        if now_s >= self._ask_again_s:
            self._ask_again_s = now_s + ASK_AGAIN_S
            self._grants.ask_again(line)
            if not canary.is_on and self._canary_topic not in self._grants.refused:
                canary.start(now_s)
            self._reap_harvest()
            self._start_harvest()
        self._send_outgoing()

    def _start_harvest(self) -> None:
        if self._is_harvest_due and self._is_harvest_allowed and self._harvest_task is None:
            self._harvest_opened.clear()
            self._harvest_task = asyncio.create_task(self._harvest(), name="bridge-harvest")

    def _reap_harvest(self) -> None:
        """Raises what ended the harvest, if that was no failure it reports itself."""
        if self._harvest_task is not None and self._harvest_task.done():
            task, self._harvest_task = self._harvest_task, None
            if not task.cancelled():
                task.result()

    async def _harvest(self) -> None:
        """Takes in what is retained, unless something newer of the same topic has come in meanwhile."""
        live = self._inlet.live_topics = set()
        harvest = Harvest(
            self._address,
            self._session,
            self._subscriptions,
            self._sink,
            self._now_us,
            live.__contains__,
            self._settings.quiet_s,
            self._harvest_opened.set,
        )
        try:
            await harvest.run()
        except NotOurs as error:
            self._is_harvest_allowed = False
            self._tell("bridge_retained_not_taken", reason=str(error))
        except LineLost as error:
            self._tell("bridge_retained_not_taken", reason=error.reason)
        else:
            self._is_harvest_due = False
            log.info("bridge_retained_taken", messages=harvest.taken_total)
        finally:
            self.counters.retained_total += harvest.taken_total
            self._inlet.live_topics = None
            self._harvest_opened.set()

    # What the broker says.

    def _on_message(self, message: mqtt.MQTTMessage) -> None:
        self._canary.note_heard(time.monotonic())
        self._inlet.take(message)
        if not self._is_heard:
            self._is_heard = True
            self._prove()

    def _on_subscribed(self, packet_id: int, refusal: str | None, is_lesser: bool) -> None:
        topic_filter = self._grants.answered(packet_id, refusal)
        if topic_filter is None:
            return
        if refusal is not None:
            self._note_refusal(topic_filter, refusal)
        elif is_lesser:
            self._tell("bridge_filter_at_most_once", filter=topic_filter, reason="the broker grants QoS 0 only")
        if topic_filter == self._canary_topic and refusal is not None:
            self._canary.stop()
            self._inlet.caught_up()  # there will be no sign of it
        self._prove()

    def _on_published(self, packet_id: int, refusal: str | None) -> None:
        message = self._outgoing.confirmed(packet_id)
        if refusal is None:
            return
        if message is not None:
            self._note_refusal(message.topic, refusal)
        elif packet_id == self._canary_packet_id:
            self._note_refusal(self._canary_topic, refusal)
            self._canary.stop()
            self._inlet.caught_up()  # there will be no sign of it
            self._prove()

    def _send_outgoing(self) -> None:
        self.counters.dropped_total = self._outgoing.dropped_total
        line = self._line
        if line is None:
            return
        for message in self._outgoing.to_send(time.monotonic()):
            packet_id = line.publish(message.topic, message.payload, message.qos)
            if packet_id is not None:
                self._outgoing.sent(message, packet_id)

    # What is told of it.

    def _prove(self) -> None:
        """The connection counts when something has come back, or the broker has answered and forbids the proof."""
        grants = self._grants
        if self._line is None or grants.is_waiting or not (self._is_heard or not self._canary.is_on):
            return
        refused = "; ".join(f"the broker refuses {one}: {why}" for one, why in list(grants.refused.items())[:3])
        if not self._canary.is_on and self._canary_topic not in grants.refused:
            refused = f"the broker refuses our own message on {self._canary_topic}"
        self.reason = refused or None
        if not grants.has_any or self.state is State.CONNECTED:
            return
        self.state = State.CONNECTED
        if self._errors:
            log.info("bridge_recovered", previous_errors=self._errors)
        else:
            log.info("bridge_connected", broker=f"{self._settings.host}:{self._settings.port}")
        self._errors = 0
        self._failures_told.clear()

    def _note_failure(self, error: LineLost) -> None:
        self.state = State.DEAF if isinstance(error, Deaf) else State.CONNECTING
        self.reason = error.reason
        self._errors += 1
        self.counters.failures_total += 1
        if error.reason not in self._failures_told and len(self._failures_told) < MAX_TOLD:
            self._failures_told.add(error.reason)
            where = f"{self._settings.host}:{self._settings.port}"
            hint = f"{self._canary_topic} must be granted to the bridge's user at the broker"
            more = {"hint": hint} if isinstance(error, Deaf) else {}
            log.warning("bridge_failed", reason=error.reason, broker=where, **more)

    def _note_refusal(self, topic: str, refusal: str) -> None:
        self.counters.refused_total += 1
        hint = "grant it to the bridge's user at the broker"
        self._tell("bridge_refused", topic=topic, reason=refusal, hint=hint)

    def _tell(self, event: str, **fields: str) -> None:
        """Logs what will not change by trying again, once."""
        key = repr((event, sorted(fields.items())))
        if key not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(key)
            log.warning(event, **fields)

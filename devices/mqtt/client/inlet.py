"""From a broker's messages to intakes, and from commits to acknowledgements. It knows no state of the connection."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import paho.mqtt.client as mqtt
import structlog

from devices.frame import Frame, Intake, Sink
from devices.mqtt.client.line import Line
from devices.mqtt.client.redelivery import Delivery, Window
from devices.mqtt.client.subscriptions import Subscriptions

log = structlog.get_logger("bridge")

DELIVERY_OVERHEAD_BYTES = 200
"""What a message costs in memory beside its payload: its frame, and the delivery that waits for the commit."""

MAX_TOPICS_NOTED = 100_000


@dataclass(slots=True)
class InletCounters:
    """Totals since the start, canaries apart: messages that came, whatever became of them; acknowledgements that left;
    messages that the broker marked as sent again; messages that no filter matches."""

    received_total: int = 0
    acknowledged_total: int = 0
    redelivered_total: int = 0
    strays_total: int = 0


class Inlet:
    """`own_topic`: its messages go to `on_own` and no further."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        sink: Sink,
        now_us: Callable[[], int],
        own_topic: str,
        on_own: Callable[[bytes], object],
        counters: InletCounters,
    ) -> None:
        self._subscriptions = subscriptions
        self._window = Window()
        self._sink = sink
        self._now_us = now_us
        self._own_topic = own_topic
        self._on_own = on_own
        self._line: Line | None = None
        self._handed_in_s: deque[float] = deque()
        self._frames: list[Frame] = []
        self._deliveries: list[Delivery] = []
        self._size_bytes = 0
        self.drained = asyncio.Event()
        """Set while all that was handed in is committed and its acknowledgements are queued."""
        self.drained.set()
        self._is_catching_up = False
        self.live_topics: set[str] | None = None
        """Topics of the messages since this was last set to an empty set."""
        self._counters = counters

    def connected(self, line: Line, *, is_session_present: bool) -> None:
        """Acknowledgements leave on `line` from now on, those of what came on earlier ones nowhere."""
        self._line = line
        self._is_catching_up = is_session_present
        self._window.connected(is_session_present=is_session_present)

    def caught_up(self) -> None:
        """What comes from now on was sent just now: our own message, sent after the connection, has come back."""
        self._is_catching_up = False

    def disconnected(self) -> None:
        self._line = None

    def waits_s(self, now_s: float) -> float:
        """Returns for how long the oldest of what was handed in has been waiting for its commit."""
        return now_s - self._handed_in_s[0] if self._handed_in_s else 0.0

    def take(self, message: mqtt.MQTTMessage) -> None:
        """Takes one message, to be handed in with the others of its burst."""
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # wanted by no filter; the broker must not let it through [MQTT-1.5.4-1]
        if topic == self._own_topic:
            self.caught_up()
            self._on_own(bytes(message.payload))
            if message.qos and self._line is not None:
                self._line.ack(message.mid, message.qos)
            return
        counters = self._counters
        counters.received_total += 1
        counters.redelivered_total += message.dup
        if not self._subscriptions.is_wanted(topic):
            self._note_stray(topic)
            self._ack(message.mid, message.qos)
        elif self._subscriptions.is_further_copy(topic, getattr(message.properties, "SubscriptionIdentifier", ())):
            self._ack(message.mid, message.qos)
        else:
            self._take(topic, bytes(message.payload), message)

    def _take(self, topic: str, payload: bytes, message: mqtt.MQTTMessage) -> None:
        if message.qos:
            delivery, is_new = self._window.take(message.mid, message.qos, topic, payload, is_dup=message.dup)
            if not is_new:
                if delivery.is_committed:
                    self._ack(message.mid, message.qos)
                return
            self._deliveries.append(delivery)
        if self.live_topics is not None and len(self.live_topics) < MAX_TOPICS_NOTED:
            self.live_topics.add(topic)
        self._frames.append(Frame(topic, payload, self._now_us(), None, message.retain, self._is_catching_up))
        self._size_bytes += len(payload) + DELIVERY_OVERHEAD_BYTES

    def hand_in(self) -> None:
        """Hands in what a burst brought as one intake, and stops reading while the sink has no room."""
        if not self._frames:
            return
        frames, deliveries, size_bytes = self._frames, self._deliveries, self._size_bytes
        self._frames, self._deliveries, self._size_bytes = [], [], 0
        self._handed_in_s.append(time.monotonic())
        self.drained.clear()
        self._sink.submit(Intake(frames, lambda: self._committed(deliveries), size_bytes))
        line = self._line
        if line is not None and not self._sink.on_room(line.resume):
            line.pause()

    def _committed(self, deliveries: list[Delivery]) -> None:
        self._handed_in_s.popleft()
        for delivery in self._window.committed(deliveries):
            self._ack(delivery.packet_id, delivery.qos)
        if not self._handed_in_s:
            self.drained.set()

    def _ack(self, packet_id: int, qos: int) -> None:
        if qos and self._line is not None and self._line.ack(packet_id, qos):
            self._counters.acknowledged_total += 1

    def _note_stray(self, topic: str) -> None:
        self._counters.strays_total += 1
        if self._counters.strays_total == 1:
            log.warning(
                "bridge_stray_message",
                topic=topic,
                reason="no filter of bridge.subscribe matches it",
                hint="the broker keeps a subscription of an earlier configuration; delete the session there",
            )

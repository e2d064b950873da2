"""What the broker retains, taken in over a connection of its own.

On the bridge's own connection retained messages would stand in front of live ones and use up the queue that the
broker keeps for it: of 100,000, Mosquitto 2.0 as delivered dropped a fifth of the live QoS 1 messages sent
meanwhile, and held up others for seconds. So the bridge subscribes without retained messages (MQTT 5.0 §3.8.3.1, Retain
Handling 2), and they are fetched beside it: QoS 0, a few filters at a time, no more than a little ahead of the disk.

A broker may put all connections of a user under one client id. Then this connection would take the bridge's session
over, and the session would end with it. So the first connection only asks, as the bridge would: whatever becomes of
it, the session stays as long as it would without it. Only under an id that has shown to be its own is anything fetched.
"""

import asyncio
import secrets
import time
from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from devices.errors import DeviceError
from devices.frame import Frame, Intake, Sink
from devices.mqtt.client.inlet import DELIVERY_OVERHEAD_BYTES
from devices.mqtt.client.line import Address, Hearing, Line, LineLost, Session
from devices.mqtt.client.subscriptions import Subscription, Subscriptions

MAX_ROUNDS = 8
AHEAD_BYTES = 1 << 18
"""What may be handed in and not yet committed."""

SILENT_AFTER_S = 30.0
POLL_S = 0.1
AT_ONCE_S = 0
"""The expiry of a session that ends with its connection (MQTT 5.0 §3.1.2.11.2)."""


class NotOurs(DeviceError):
    """The broker gave us a session that is not new: it puts all connections of a user under one client id."""


class Harvest:
    """Runs once. `is_superseded`: whether something newer of this topic came in since the harvest began. `on_open` is
    called when its client id turned out not to be the bridge's own."""

    def __init__(
        self,
        address: Address,
        session: Session,
        subscriptions: Subscriptions,
        sink: Sink,
        now_us: Callable[[], int],
        is_superseded: Callable[[str], bool],
        quiet_s: float,
        on_open: Callable[[], None],
    ) -> None:
        self._address = address
        self._session = session
        self._subscriptions = subscriptions
        self._sink = sink
        self._now_us = now_us
        self._is_superseded = is_superseded
        self._quiet_s = quiet_s
        self._on_open = on_open
        self._client_id = f"{session.client_id}-retained-{secrets.token_hex(3)}"
        self._line: Line
        self._frames: list[Frame] = []
        self._bytes = 0
        self._ahead_bytes = 0
        self._unanswered: set[int] = set()
        self._heard_s = 0.0
        self._has_identifiers = False
        self.taken_total = 0

    async def run(self) -> None:
        """Takes in all that is retained now. Raises LineLost, and NotOurs if it must not be tried again."""
        await self._ask_whose_id()
        self._on_open()
        hearing = Hearing(_nothing, self._on_message, self._on_burst, self._on_subscribed, _nothing)
        self._line = line = Line(self._address, self._session_of(AT_ONCE_S), hearing)
        try:
            greeting = await line.open()
            self._has_identifiers = greeting.has_identifiers
            plain = [one for one in self._subscriptions.all if not one.is_shared]
            size = -(-len(plain) // MAX_ROUNDS)
            for start in range(0, len(plain), size or 1):
                await self._take(plain[start : start + size])
        finally:
            await line.close()

    async def _ask_whose_id(self) -> None:
        """Raises NotOurs if the broker gives us a session under this id, which nobody used before."""
        hearing = Hearing(_nothing, _nothing, _nothing, _nothing, _nothing)
        line = Line(self._address, self._session_of(self._session.expiry_s), hearing)
        expiry_s = None
        try:
            greeting = await line.open()
            if greeting.is_session_present:
                raise NotOurs("the broker puts all our connections under one client id")
            expiry_s = AT_ONCE_S
        finally:
            await line.close(expiry_s)

    def _session_of(self, expiry_s: int) -> Session:
        return Session(self._client_id, expiry_s, self._session.receive_max, self._session.max_packet_bytes)

    async def _take(self, subscriptions: list[Subscription]) -> None:
        line = self._line
        options = SubscribeOptions(qos=0, retainHandling=SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE)
        for one in subscriptions:
            identifier = one.identifier if self._has_identifiers and self._subscriptions.do_cross else None
            packet_id = line.subscribe(one.topic_filter, options, identifier)
            if packet_id is not None:
                self._unanswered.add(packet_id)
        self._heard_s = time.monotonic()
        while not self._is_quiet(time.monotonic()):
            await asyncio.wait({line.lost}, timeout=POLL_S)
            if line.lost.done():
                raise line.lost.result()
            line.check()
        for one in subscriptions:
            line.unsubscribe(one.topic_filter)

    def _is_quiet(self, now_s: float) -> bool:
        if self._ahead_bytes:
            self._heard_s = now_s  # the broker may wait for us
            return False
        silent_s = now_s - self._heard_s
        if silent_s > SILENT_AFTER_S:
            raise LineLost(f"the broker did not answer within {SILENT_AFTER_S:.0f} s")
        return not self._unanswered and silent_s >= self._quiet_s

    def _on_subscribed(self, packet_id: int, _refusal: str | None, _is_lesser: bool) -> None:
        self._unanswered.discard(packet_id)
        self._heard_s = time.monotonic()

    def _on_message(self, message: mqtt.MQTTMessage) -> None:
        if not message.retain:
            return  # live: it comes on the bridge's own connection
        self._heard_s = time.monotonic()
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        identifiers = getattr(message.properties, "SubscriptionIdentifier", ())
        if (
            self._is_superseded(topic)
            or not self._subscriptions.is_wanted(topic)
            or self._subscriptions.is_further_copy(topic, identifiers)
        ):
            return
        payload = bytes(message.payload)
        self._frames.append(Frame(topic, payload, self._now_us(), None, is_retained=True))
        self._bytes += len(payload) + DELIVERY_OVERHEAD_BYTES

    def _on_burst(self) -> None:
        if not self._frames:
            return
        size_bytes, frames = self._bytes, self._frames
        self._bytes, self._frames = 0, []
        self._ahead_bytes += size_bytes
        self.taken_total += len(frames)
        self._sink.submit(Intake(frames, lambda: self._committed(size_bytes), size_bytes))
        if self._ahead_bytes > AHEAD_BYTES or not self._sink.on_room(self._go_on):
            self._line.pause()

    def _committed(self, size_bytes: int) -> None:
        self._ahead_bytes -= size_bytes
        if self._ahead_bytes <= AHEAD_BYTES // 2:
            self._go_on()

    def _go_on(self) -> None:
        if self._sink.on_room(self._go_on):
            self._line.resume()


def _nothing(*_: object) -> None:
    pass

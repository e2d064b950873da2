"""What comes in on one connection: messages to the writer, and what is answered after its commit. No I/O.

What comes in one read of the socket is one batch, and what is in a batch leaves after its commit, in order: PUBACK,
PUBREC, PUBCOMP, PUBREL, SUBACK, UNSUBACK; then its messages go to their subscribers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from mqtt5 import (
    DisconnectReasonCode,
    PubAckPacket,
    PubAckReasonCode,
    PubCompPacket,
    PubCompReasonCode,
    PublishPacket,
    PubRecPacket,
    PubRecReasonCode,
    PubRelPacket,
    QoS,
)

from devices.frame import Frame, Intake, JournalEntry, Presence, Refusal
from devices.mqtt.codec.codec import pubacks, pubcomps, pubrecs, pubrels
from devices.mqtt.codec.errors import ProtocolError
from devices.mqtt.server import journal
from devices.mqtt.server.access import Principal
from devices.mqtt.server.broker import Broker, Delivery
from devices.mqtt.server.journal import ENTRY_OVERHEAD_BYTES
from devices.mqtt.server.message import is_declared_right, message_of
from devices.mqtt.server.outflow import Outflow
from devices.mqtt.server.routes import NOBODY
from devices.mqtt.server.session import Client, Session
from devices.mqtt.topics import is_too_deep

MAX_KNOWN_TOPICS = 1024
MAX_KNOWN_TOPIC = 256
MAX_NOTED_CHARACTERS = 256
MAX_NOTED_REFUSALS = 16
"""Of one batch. All are counted; the audit log needs no thousand rows to say that a peer does not listen."""

FRAME_OVERHEAD_BYTES = 160
"""What holding a frame costs beside its payload."""


@dataclass(slots=True)
class Batch:
    """What one `receive` gathered for the writer, and what to do after the commit."""

    frames: list[Frame] = field(default_factory=list)
    entries: list[JournalEntry] = field(default_factory=list)
    events: list[Presence | Refusal] = field(default_factory=list)
    acks: list[int] = field(default_factory=list)  # PUBACK, QoS 1
    received: list[int] = field(default_factory=list)  # PUBREC, QoS 2
    completed: list[int] = field(default_factory=list)  # PUBCOMP, QoS 2
    released: list[int] = field(default_factory=list)  # PUBREL, QoS 2 on the way out
    calls: list[Callable[[], None]] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    size_bytes: int = 0

    def is_empty(self) -> bool:
        return not (
            self.frames
            or self.entries
            or self.events
            or self.acks
            or self.received
            or self.completed
            or self.released
            or self.calls
        )


class Inflow:
    """`publisher` waits when a subscriber falls behind; `peer` names the client in the audit log until it has
    signed in."""

    __slots__ = (
        "_aliases",
        "_allowed",
        "_broker",
        "_device_id",
        "_lost",
        "_outflow",
        "_peer",
        "_principal",
        "_publisher",
        "_receive_max",
        "_receivers",
        "_session",
        "_unacknowledged",
        "batch",
        "now_us",
    )

    def __init__(self, broker: Broker, outflow: Outflow, publisher: Client, peer: str) -> None:
        self._broker = broker
        self._outflow = outflow
        self._publisher = publisher
        self._peer = peer
        self._receivers = broker.routes.receivers
        self._session: Session  # from `attach` on
        self._principal: Principal | None = None
        self._device_id: str | None = None
        self._allowed: dict[str, bool] = {}
        self._aliases: dict[int, str] = {}
        self._receive_max = 0
        self._unacknowledged = 0
        self._lost: Callable[[], None] = _nothing
        self.batch = Batch()
        self.now_us = 0  # the wall time of what is being read

    def identify(self, principal: Principal) -> None:
        """The client has signed in."""
        self._principal = principal
        self._device_id = principal.device_id

    def attach(self, session: Session, receive_max: int) -> None:
        """The client's CONNECT is accepted."""
        self._session = session
        self._receive_max = receive_max
        self._lost = partial(self._broker.break_off, session)

    def publish(self, packet: PublishPacket) -> None:
        topic = packet.topic
        alias = packet.topic_alias
        if alias is not None:
            topic = self._resolve_alias(alias, topic)
        batch = self.batch
        packet_id = packet.packet_id
        if packet_id is not None:
            is_exactly_once = packet.qos is QoS.EXACTLY_ONCE
            if is_exactly_once and packet_id in self._session.received:
                batch.received.append(packet_id)  # the same message again: PUBREC again, behind the first one's commit
                return
            self._unacknowledged += 1
            if self._unacknowledged > self._receive_max:
                raise ProtocolError(
                    "more unacknowledged messages than receive maximum",
                    DisconnectReasonCode.RECEIVE_MAX_EXCEEDED,
                )
        if not (self._allowed.get(topic) or self._may_publish(topic)):
            self._refuse_publish(packet, topic)
            return
        payload = packet.payload
        if packet.payload_format_indicator == 1 and not is_declared_right(1, payload):
            self._answer_error(packet, PubAckReasonCode.PAYLOAD_FORMAT_INVALID)
            return
        batch.frames.append(Frame(topic, payload, self.now_us, self._device_id))
        batch.size_bytes += len(payload) + FRAME_OVERHEAD_BYTES
        if packet_id is not None:
            if is_exactly_once:
                session = self._session
                session.received.add(packet_id)
                batch.received.append(packet_id)
                if session.is_persistent:
                    batch.entries.append(journal.put_received(session.key, packet_id))
            else:
                batch.acks.append(packet_id)
        if packet.retain or self._receivers(topic) is not NOBODY:
            message = message_of(packet, topic, self._broker.steady_us())
            delivery = self._broker.plan(message, self._session, batch.entries)
            if delivery is not None:
                batch.size_bytes += message.size_bytes
                batch.deliveries.append(delivery)

    def _resolve_alias(self, alias: int, topic: str) -> str:
        if alias > self._broker.limits.topic_alias_max:
            raise ProtocolError(
                "topic alias above the maximum", DisconnectReasonCode.TOPIC_ALIAS_INVALID
            )  # [MQTT-3.3.2-9]
        if topic:
            self._aliases[alias] = topic
            return topic
        known = self._aliases.get(alias)
        if known is None:
            raise ProtocolError("topic alias was never set")
        return known

    def _may_publish(self, topic: str) -> bool:
        principal = self._principal
        is_allowed = principal is not None and not is_too_deep(topic) and principal.may_publish(topic)
        if is_allowed and len(topic) <= MAX_KNOWN_TOPIC:
            if len(self._allowed) >= MAX_KNOWN_TOPICS:
                self._allowed.clear()
            self._allowed[topic] = True
        return is_allowed

    def _refuse_publish(self, packet: PublishPacket, topic: str) -> None:
        """Counted, audited and not stored. 3.1.1 has no negative answer: its message is acknowledged and gone
        ([MQTT-3.3.5-2] leaves that or closing the connection). "The Topic Name is not malformed, but is not accepted by
        this Client or Server" (MQTT 5.0 §3.4.2.1) is what is said of one with too many levels."""
        self._broker.counters.refused_topics_total += 1
        self.note_refusal("publish_refused", topic)
        is_deep = is_too_deep(topic)
        self._answer_error(packet, PubAckReasonCode.TOPIC_NAME_INVALID if is_deep else PubAckReasonCode.NOT_AUTHORIZED)

    def _answer_error(self, packet: PublishPacket, reason: PubAckReasonCode) -> None:
        """Acknowledges a message that is not taken, in its place among the others [MQTT-4.6.0-2], [MQTT-4.6.0-3]."""
        packet_id = packet.packet_id
        if packet_id is None:
            return
        answer: PubAckPacket | PubRecPacket
        if packet.qos is QoS.EXACTLY_ONCE:
            answer = PubRecPacket(packet_id, reason_code=PubRecReasonCode(reason.value))
        else:
            answer = PubAckPacket(packet_id, reason_code=reason)
        self._unacknowledged -= 1
        self.submit()
        self.batch.calls.append(lambda: self._outflow.send(answer))
        self.submit()

    def release(self, packet: PubRelPacket) -> None:
        session = self._session
        packet_id = packet.packet_id
        if packet_id not in session.received:
            self._outflow.send(PubCompPacket(packet_id, reason_code=PubCompReasonCode.PACKET_ID_NOT_FOUND))
            return
        session.received.discard(packet_id)
        self._unacknowledged = max(0, self._unacknowledged - 1)
        self.batch.completed.append(packet_id)
        if session.is_persistent:
            self.batch.entries.append(journal.drop_received(session.key, packet_id))

    def note_refusal(self, action: str, topic: str) -> None:
        """For the audit log."""
        if len(self.batch.events) < MAX_NOTED_REFUSALS:
            actor = self._peer if self._device_id is None else f"device:{self._device_id}"
            self.batch.events.append(Refusal(actor, action, topic[:MAX_NOTED_CHARACTERS], self.now_us))

    def submit(self) -> None:
        """Hands over what was gathered; everything of one batch is answered together."""
        batch = self.batch
        if batch.is_empty():
            return
        self.batch = Batch()
        size_bytes = batch.size_bytes + ENTRY_OVERHEAD_BYTES * (1 + len(batch.entries))
        self._broker.sink.submit(
            Intake(batch.frames, lambda: self._committed(batch), size_bytes, batch.entries, batch.events, self._lost)
        )

    def _committed(self, batch: Batch) -> None:
        """The batch is on disk: answers the peer, then hands the messages on."""
        write = self._outflow.write
        if batch.acks:
            self._unacknowledged -= len(batch.acks)
            write(pubacks(batch.acks))
        if batch.received:
            write(pubrecs(batch.received))
        if batch.completed:
            write(pubcomps(batch.completed))
        if batch.released:
            write(pubrels(batch.released))
        for call in batch.calls:
            call()
        for delivery in batch.deliveries:
            self._broker.deliver(delivery, self._publisher)


def _nothing() -> None:
    """Before the client has signed in there is no session to break off."""

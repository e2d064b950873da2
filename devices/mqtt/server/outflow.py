"""What goes out on one connection: answers at once, messages as the client's flow control and its socket allow.

No I/O: the shell takes the bytes. Nothing leaves before CONNACK ([MQTT-3.2.0-1]); what comes up earlier waits here.
"""

from collections.abc import Callable, Iterator

from devices.mqtt.codec.codec import Version, encode, pubrel
from devices.mqtt.codec.codec5 import write_unspecified
from devices.mqtt.codec.wire import Kind, ServerPacket, write_variable
from devices.mqtt.server import journal
from devices.mqtt.server.broker import Broker
from devices.mqtt.server.message import NO_PROPERTIES, Outgoing, Subscription
from devices.mqtt.server.session import Session

OUTPUT_BYTES = 1 << 20
"""With this much not yet taken by the shell nothing more is sent but answers: QoS 0 is dropped, QoS 1 and 2 wait."""


class Outflow:
    """`on_output` is called when there is something to send and nothing was."""

    __slots__ = (
        "_alias_max",
        "_aliases",
        "_broker",
        "_early",
        "_is_closed",
        "_on_output",
        "_output",
        "_output_bytes",
        "_retained_of",
        "_retained_topics",
        "_send_max",
        "_session",
        "_version",
        "is_congested",
        "is_open",
        "packet_max",
    )

    def __init__(self, broker: Broker, on_output: Callable[[], None]) -> None:
        self._broker = broker
        self._on_output = on_output
        self._version = Version.V311
        self._session: Session | None = None
        self._send_max = 0
        self._alias_max = 0
        self._aliases: dict[str, int] = {}
        self._retained_of: Subscription | None = None
        self._retained_topics: Iterator[str] = iter(())
        self._early: list[bytes] = []
        self._output: list[bytes] = []
        self._output_bytes = 0
        self._is_closed = False
        self.packet_max: int | None = None  # bytes that the client accepts in one packet
        self.is_open = False  # CONNACK has left
        self.is_congested = False

    def attach(self, session: Session, version: Version, send_max: int, alias_max: int = 0) -> None:
        """CONNECT said whose messages these are and what the client can take."""
        self._session = session
        self._version = version
        self._send_max = send_max
        self._alias_max = alias_max

    def open(self, connack: bytes) -> None:
        """CONNACK leaves, then what waited for it, then what the last connection left undone (MQTT 5.0 §4.4)."""
        session = self._session
        if self._is_closed or session is None:
            return
        self.is_open = True
        self.write(connack)
        for data in self._early:
            self.write(data)
        self._early.clear()
        for outgoing in session.inflight.values():  # only what is released is still in flight
            self.write(pubrel(outgoing.packet_id))
        self.pump()

    def close(self, last: bytes = b"") -> None:
        """Nothing more is sent after `last`, one packet, which needs no CONNACK before it. It is left out if it is
        larger than the client accepts [MQTT-3.1.2-24]. Harmless again."""
        if self._is_closed:
            return
        self._is_closed = True
        self._session = None
        self._early.clear()
        if self.packet_max is None or len(last) <= self.packet_max:
            self._output.append(last)
        self._on_output()

    def take(self) -> bytes:
        """Takes out the bytes to send."""
        data = b"".join(self._output)
        self._output.clear()
        self._output_bytes = 0
        return data

    # Answers.

    def send(self, packet: ServerPacket) -> None:
        """Sends a packet, unless it is larger than the client accepts [MQTT-3.1.2-24]."""
        data = encode(packet, self._version)
        if self.packet_max is None or len(data) <= self.packet_max:
            self.write(data)

    def write(self, data: bytes) -> None:
        """Sends encoded packets."""
        if self._is_closed:
            return
        if not self.is_open:
            self._early.append(data)
            return
        if not self._output:
            self._on_output()
        self._output.append(data)
        self._output_bytes += len(data)

    # Messages.

    def send_qos0(self, outgoing: Outgoing) -> None:
        """Sends a QoS 0 message, or drops it, counted, if the client does not read (MQTT 5.0 §4.3.1)."""
        data = self._render(outgoing) if self._may_send() else None
        if data is None:
            self._broker.counters.qos0_dropped_total += 1
        else:
            self.write(data)

    def pump(self) -> None:
        """Sends what waits for this client, as far as its receive maximum and its socket allow."""
        session = self._session
        if session is None:
            return
        queue_bytes = self._broker.limits.queue_bytes
        while self._may_send() and len(session.inflight) < self._send_max and session.inflight_bytes < queue_bytes // 4:
            if session.queue:
                if not session.can_start():
                    break
                self._send_next(session)
            elif session.backlog:
                self._send_retained(session)
            else:
                break
        if (session.waiting or session.is_lagging) and session.held_bytes < queue_bytes // 4:
            self._broker.queues.let_publishers_go_on(session)

    def _may_send(self) -> bool:
        return self.is_open and not self.is_congested and not self._is_closed and self._output_bytes < OUTPUT_BYTES

    def _send_next(self, session: Session) -> None:
        outgoing = session.queue[0]
        broker = self._broker
        expires_us = outgoing.message.expires_us
        if expires_us is not None and expires_us <= broker.steady_us() and not outgoing.was_sent:
            broker.counters.expired_total += 1
        elif (data := self._render(outgoing)) is not None:
            session.start()
            self.write(data)
            return
        # Too late, or too large for this client: as if it had been sent and acknowledged [MQTT-3.1.2-25].
        session.drop_next()
        if session.is_persistent:
            broker.note([journal.drop_queued(session.key, outgoing)])

    def _send_retained(self, session: Session) -> None:
        """Sends one retained message of a new subscription: they are taken one by one, as the client takes them."""
        subscription = self._retained_of
        retained = self._broker.retained
        if subscription is None or session.backlog.get(subscription.filter) is not subscription:
            subscription = self._retained_of = next(iter(session.backlog.values()))
            self._retained_topics = iter(retained.topics(subscription.filter))
        topic = next(self._retained_topics, None)
        if topic is None:
            del session.backlog[subscription.filter]
            self._retained_of = None
            return
        message = retained.get(topic)
        if message is None or (message.expires_us is not None and message.expires_us <= self._broker.steady_us()):
            return
        qos = min(message.qos, subscription.qos)
        identifiers = () if subscription.subscription_id is None else (subscription.subscription_id,)
        outgoing = Outgoing(session.take_number() if qos else 0, message, qos, True, identifiers)
        if qos == 0:
            self.send_qos0(outgoing)
            return
        session.enqueue(outgoing)
        if session.is_persistent:
            self._broker.note([journal.put_queued(session.key, outgoing)])

    def _render(self, outgoing: Outgoing) -> bytes | None:
        """Returns the PUBLISH; None if it is larger than the client accepts.

        A topic is sent in full with a new alias the first time, and by the alias alone after that (§3.3.2.3.4).
        """
        message = outgoing.message
        topic = message.topic
        alias = None
        if self._alias_max:
            alias = self._aliases.get(topic)
            if alias is not None:
                topic = ""
            elif len(self._aliases) < self._alias_max:
                alias = len(self._aliases) + 1
        is_plain = (
            alias is None
            and message.properties is NO_PROPERTIES
            and message.expires_us is None
            and not outgoing.subscription_ids
        )
        if is_plain or self._version is Version.V311:
            data = plain_publish(outgoing, self._version)
        else:
            packet = outgoing.packet(topic, alias, self._broker.steady_us())
            data = write_unspecified(packet) if message.properties.is_told_unspecified else packet.write()
        if self.packet_max is not None and len(data) > self.packet_max:
            return None
        if alias is not None and topic:
            self._aliases[topic] = alias
        return data


def plain_publish(outgoing: Outgoing, version: Version) -> bytes:
    """Returns a PUBLISH without properties: what a fan-out to many consists of, in less time than by its values."""
    message = outgoing.message
    name = message.topic.encode()
    first = Kind.PUBLISH << 4 | outgoing.was_sent << 3 | outgoing.qos << 1 | outgoing.is_retain
    packet_id = outgoing.packet_id.to_bytes(2, "big") if outgoing.qos else b""
    properties = b"\0" if version is Version.V5 else b""
    length = write_variable(2 + len(name) + len(packet_id) + len(properties) + len(message.payload))
    return b"%c%b%b%b%b%b%b" % (
        first, length, len(name).to_bytes(2, "big"), name, packet_id, properties, message.payload
    )  # fmt: skip

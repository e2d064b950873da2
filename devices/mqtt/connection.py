"""One client's connection: packets in, intakes and bytes out. No I/O and no clock of its own.

The shell calls `receive` with what the socket gave and takes `data_to_send`. PUBACK, PUBREC and PUBCOMP, and the
answers that promise that something is kept, leave from the `done` of an intake: after the commit.
"""

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mqtt5 import (
    AuthPacket,
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PubAckReasonCode,
    PubCompPacket,
    PubCompReasonCode,
    PublishPacket,
    PubRecPacket,
    PubRecReasonCode,
    PubRelPacket,
    PubRelReasonCode,
    SubAckPacket,
    SubAckReasonCode,
    SubscribePacket,
    TopicFilter,
    UnsubAckPacket,
    UnsubAckReasonCode,
    UnsubscribePacket,
)

from devices.frame import Frame, Intake, JournalEntry, Presence, Refusal
from devices.mqtt import journal
from devices.mqtt.access import Principal
from devices.mqtt.broker import Broker, Delivery
from devices.mqtt.codec import Decoder, Version, encode, farewell, pubacks, pubrecs
from devices.mqtt.errors import PacketError, ProtocolError
from devices.mqtt.message import Message, Outgoing, Subscription, message_of
from devices.mqtt.session import NEVER_EXPIRES_S, Session
from devices.mqtt.wire import ClientPacket, ServerPacket
from devices.mqtt.will import WillMessage

MAX_CLIENT_ID = 256
MAX_KNOWN_TOPICS = 4096
FRAME_OVERHEAD_BYTES = 160


class SignIn(Protocol):
    """Decides who a client is."""

    def __call__(self, username: str | None, password: bytes | None) -> Principal | None:
        """Returns what the client may do, None if it may not connect."""


@dataclass(slots=True)
class _Batch:
    """What one `receive` gathered for the writer, and what to answer after the commit."""

    frames: list[Frame] = field(default_factory=list)
    entries: list[JournalEntry] = field(default_factory=list)
    events: list[Presence | Refusal] = field(default_factory=list)
    acks: list[int] = field(default_factory=list)  # QoS 1
    received: list[int] = field(default_factory=list)  # QoS 2
    deliveries: list[Delivery] = field(default_factory=list)
    size_bytes: int = 0

    def is_empty(self) -> bool:
        return not (self.frames or self.entries or self.events or self.received)


class Connection:
    """`address` names the peer in the audit log. `on_output` is called when there is something to send, `on_wait`
    when the peer is to be slowed down, with the call that ends that."""

    def __init__(
        self,
        broker: Broker,
        sign_in: SignIn,
        address: str,
        on_output: Callable[["Connection"], None],
        on_wait: Callable[["Connection"], Callable[[], None]],
    ) -> None:
        self._broker = broker
        self._sign_in = sign_in
        self.address = address
        self._on_output = on_output
        self._on_wait = on_wait
        self._decoder = Decoder(broker.limits.max_packet_bytes)
        self._version = Version.V311
        self._session: Session | None = None
        self._principal: Principal | None = None
        self._will: WillMessage | None = None
        self._allowed: dict[str, bool] = {}
        self._aliases_in: dict[int, str] = {}
        self._aliases_out: dict[str, int] = {}
        self._alias_out_max = 0
        self._send_max = broker.limits.max_inflight
        self._max_packet_out: int | None = None
        self._unacknowledged = 0
        self._releasing: set[int] = set()
        self._output: list[bytes] = []
        self._early: deque[bytes] = deque()  # what must not overtake CONNACK
        self._batch = _Batch()
        self._now_us = 0
        self._is_accepted = False
        self._is_answered = False
        self.is_closing = False
        self.is_congested = False
        self.keep_alive_s = 0

    # The shell's verbs.

    @property
    def is_connected(self) -> bool:
        """True once a CONNECT was accepted."""
        return self._is_accepted

    @property
    def client_id(self) -> str | None:
        return self._session.client_id if self._session is not None else None

    @property
    def device_id(self) -> str | None:
        """The device that signed in, None before that and for a client without credentials."""
        return self._principal.device_id if self._principal is not None else None

    def receive(self, data: bytes, now_us: int) -> None:
        """Handles what the peer sent; `now_us` is the wall time of its frames."""
        self._now_us = now_us
        for packet in self._decoder.feed(data):
            if self.is_closing:
                break
            try:
                self._handle(packet)
            except PacketError as error:
                self._fail(error)
        if self._decoder.failure is not None and not self.is_closing:
            self._fail(self._decoder.failure)
        self._submit()

    def data_to_send(self) -> bytes:
        """Takes out the bytes to send."""
        data = b"".join(self._output)
        self._output.clear()
        return data

    def resume(self) -> None:
        """The peer reads again: sends what waited."""
        self.is_congested = False
        self.pump()

    def close(self, reason: DisconnectReasonCode) -> None:
        """Says why in MQTT 5, and closes; the will, if there is one, is published."""
        if self.is_closing:
            return
        if self._is_accepted and self._version is Version.V5:
            self._send(DisconnectPacket(reason_code=reason))
        self.is_closing = True
        self._on_output(self)

    def take_over(self) -> None:
        """Another connection has come for this session (MQTT 5.0 §3.1.4)."""
        self.close(DisconnectReasonCode.SESSION_TAKEN_OVER)
        self.lost()

    def lost(self) -> None:
        """The connection is gone, for whatever reason; call it once the socket has closed. Harmless again."""
        session, self._session = self._session, None
        self.is_closing = True
        if session is None or session.connection is not self:
            return
        broker = self._broker
        entries = broker.close_session(session, broker.steady_us())
        will, self._will = self._will, None
        if will is not None:
            delay_s = min(will.delay_s, session.expiry_s)
            if delay_s > 0:
                broker.wills.add(session.key, will, broker.steady_us() + delay_s * 1_000_000)
            else:
                entries.append(journal.drop_will(session.key))
                broker.publish_will(will)
        broker.note(entries, self._presence(-1))

    def wait_for(self, session: Session) -> None:
        """Slows this peer down until `session` has room again, or its connection is gone."""
        session.room_calls.append(self._on_wait(self))

    # Packets, in the order of a connection's life.

    def _handle(self, packet: ClientPacket) -> None:
        if isinstance(packet, PublishPacket):
            self._on_publish(packet)
        elif isinstance(packet, PubAckPacket):
            self._on_puback(packet)
        elif isinstance(packet, PubRecPacket):
            self._on_pubrec(packet)
        elif isinstance(packet, PubRelPacket):
            self._on_pubrel(packet)
        elif isinstance(packet, PubCompPacket):
            self._on_pubcomp(packet)
        elif isinstance(packet, PingReqPacket):
            self._send(PingRespPacket())
        elif isinstance(packet, SubscribePacket):
            self._on_subscribe(packet)
        elif isinstance(packet, UnsubscribePacket):
            self._on_unsubscribe(packet)
        elif isinstance(packet, ConnectPacket):
            self._on_connect(packet)
        elif isinstance(packet, DisconnectPacket):
            self._on_disconnect(packet)
        elif isinstance(packet, AuthPacket):
            raise ProtocolError("AUTH without an authentication method")  # MQTT 5.0 §4.12

    def _on_connect(self, packet: ConnectPacket) -> None:
        self._version = self._decoder.version or Version.V311
        if packet.authentication_method is not None:
            self._refuse(ConnAckReasonCode.BAD_AUTHENTICATION_METHOD)
            return
        principal = self._sign_in(packet.username, packet.password)
        if principal is None:
            self._refuse_sign_in(packet)
            return
        client_id = packet.client_id
        if len(client_id) > MAX_CLIENT_ID or (
            not client_id and self._version is Version.V311 and not packet.clean_start
        ):
            self._refuse(ConnAckReasonCode.CLIENT_ID_NOT_VALID)
            return
        if packet.will is not None and not principal.may_publish(packet.will.topic):
            self._note_refusal("will_refused", packet.will.topic, principal)
            self._refuse(ConnAckReasonCode.NOT_AUTHORIZED)
            return
        assigned = None
        if not client_id:
            client_id = assigned = f"auto-{secrets.token_hex(12)}"
        self._principal = principal
        self._open(packet, client_id, assigned)

    def _open(self, packet: ConnectPacket, client_id: str, assigned: str | None) -> None:
        broker, limits, principal = self._broker, self._broker.limits, self._principal
        user = principal.device_id if principal is not None else None
        asked_s = packet.session_expiry_interval
        if self._version is Version.V311:
            asked_s = 0 if packet.clean_start else NEVER_EXPIRES_S
        expiry_s = min(asked_s, limits.session_expiry_max_s)
        key = f"{user or ''}\x1f{client_id}"
        session, is_present, entries = broker.open_session(
            key, client_id, user, expiry_s, clean=packet.clean_start, connection=self
        )
        self._session = session
        self._is_accepted = True
        broker.counters.connects_total += 1
        will = packet.will
        if will is not None:
            self._will = WillMessage(
                message_of(will, will.topic, self._now_us), int(will.will_delay_interval), user
            )
            entries.append(journal.put_will(key, self._will))
        self.keep_alive_s = packet.keep_alive
        server_keep_alive = None
        if self._version is Version.V5:
            if packet.keep_alive == 0 or packet.keep_alive > limits.max_keep_alive_s:
                self.keep_alive_s = server_keep_alive = limits.max_keep_alive_s
            self._send_max = min(packet.receive_max, limits.max_inflight)
            self._alias_out_max = min(packet.topic_alias_max, limits.topic_alias_max)
            self._max_packet_out = packet.max_packet_size
        answer = ConnAckPacket(
            session_present=is_present,
            assigned_client_id=assigned,
            server_keep_alive=server_keep_alive,
            session_expiry_interval=expiry_s if expiry_s != asked_s else None,
            receive_max=limits.receive_max,
            topic_alias_max=limits.topic_alias_max,
            max_packet_size=limits.max_packet_bytes,
        )

        def accept() -> None:
            self._is_answered = True
            self._output.append(encode(answer, self._version))
            self._output.extend(self._early)
            self._early.clear()
            self._on_output(self)
            if session.connection is self:
                self._send_again(session)

        self._after_commit(entries, accept, self._presence(+1))

    def _refuse_sign_in(self, packet: ConnectPacket) -> None:
        self._broker.counters.sign_ins_failed_total += 1
        user = packet.username
        self._broker.note([], [Refusal(f"client:{self.address}", "sign_in_failed", user or "", self._now_us)])
        self._refuse(
            ConnAckReasonCode.NOT_AUTHORIZED
            if user is None
            else ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD
        )

    def _refuse(self, reason: ConnAckReasonCode) -> None:
        self._is_answered = True
        self._send(ConnAckPacket(reason_code=reason))
        self.is_closing = True
        self._on_output(self)

    def _on_publish(self, packet: PublishPacket) -> None:
        session = self._require_session()
        topic = packet.topic
        alias = packet.topic_alias
        if alias is not None:
            topic = self._resolve_alias(alias, topic)
        qos = int(packet.qos)
        packet_id = packet.packet_id or 0
        if qos:
            if qos == 2 and packet_id in session.received:
                self._repeat_received(packet_id)
                return
            self._unacknowledged += 1
            if self._unacknowledged > self._broker.limits.receive_max and self._version is Version.V5:
                raise ProtocolError(
                    "more unacknowledged messages than receive maximum",
                    DisconnectReasonCode.RECEIVE_MAX_EXCEEDED,
                )
        allowed = self._allowed.get(topic)
        if allowed is None:
            allowed = self._may_publish(topic)
        if not allowed:
            self._refuse_publish(topic, qos, packet_id)
            return
        payload = packet.payload
        batch = self._batch
        principal = self._principal
        batch.frames.append(
            Frame(topic, payload, self._now_us, principal.device_id if principal is not None else None)
        )
        batch.size_bytes += len(payload) + FRAME_OVERHEAD_BYTES
        if qos == 1:
            batch.acks.append(packet_id)
        elif qos == 2:
            session.received.add(packet_id)
            batch.received.append(packet_id)
            if session.is_persistent:
                batch.entries.append(journal.put_received(session.key, packet_id))
        if packet.retain or self._broker.routes.is_wanted(topic):
            message = message_of(packet, topic, self._broker.steady_us())
            delivery = self._broker.plan(message, session, batch.entries)
            if delivery is not None:
                batch.deliveries.append(delivery)

    def _resolve_alias(self, alias: int, topic: str) -> str:
        if alias > self._broker.limits.topic_alias_max:
            raise ProtocolError(
                "topic alias above the maximum", DisconnectReasonCode.TOPIC_ALIAS_INVALID
            )  # [MQTT-3.3.2-9]
        if topic:
            self._aliases_in[alias] = topic
            return topic
        known = self._aliases_in.get(alias)
        if known is None:
            raise ProtocolError("topic alias was never set")
        return known

    def _may_publish(self, topic: str) -> bool:
        if len(self._allowed) >= MAX_KNOWN_TOPICS:
            self._allowed.clear()
        principal = self._principal
        allowed = self._allowed[topic] = principal is not None and principal.may_publish(topic)
        return allowed

    def _refuse_publish(self, topic: str, qos: int, packet_id: int) -> None:
        """Counted, audited and not stored. 3.1.1 has no negative answer: its message is acknowledged and gone
        ([MQTT-3.3.5-2] leaves that or closing the connection)."""
        self._broker.counters.refused_topics_total += 1
        self._note_refusal("publish_refused", topic, self._principal)
        if qos == 1:
            if self._version is Version.V5:
                self._unacknowledged -= 1
                self._send(PubAckPacket(packet_id, reason_code=PubAckReasonCode.NOT_AUTHORIZED))
            else:
                self._batch.acks.append(packet_id)
        elif qos == 2:
            self._unacknowledged -= 1
            if self._version is Version.V5:
                self._send(PubRecPacket(packet_id, reason_code=PubRecReasonCode.NOT_AUTHORIZED))
            else:
                self._send(PubRecPacket(packet_id))

    def _repeat_received(self, packet_id: int) -> None:
        """The same QoS 2 message again: PUBREC again, in its place behind the commit of the first."""
        self._batch.received.append(packet_id)

    def _on_pubrel(self, packet: PubRelPacket) -> None:
        session = self._require_session()
        packet_id = packet.packet_id
        if packet_id not in session.received:
            self._send(PubCompPacket(packet_id, reason_code=PubCompReasonCode.PACKET_ID_NOT_FOUND))
            return
        session.received.discard(packet_id)
        self._unacknowledged = max(0, self._unacknowledged - 1)
        entries = [journal.drop_received(session.key, packet_id)] if session.is_persistent else []
        self._submit()  # what came before is committed before
        self._after_commit(entries, lambda: self._send(PubCompPacket(packet_id)))

    def _on_puback(self, packet: PubAckPacket) -> None:
        session = self._require_session()
        outgoing = session.inflight.get(packet.packet_id)
        if outgoing is not None and outgoing.qos == 1:
            self._finish(session, packet.packet_id)

    def _on_pubrec(self, packet: PubRecPacket) -> None:
        session = self._require_session()
        packet_id = packet.packet_id
        outgoing = session.inflight.get(packet_id)
        if outgoing is None or outgoing.qos != 2:
            self._send(PubRelPacket(packet_id, reason_code=PubRelReasonCode.PACKET_ID_NOT_FOUND))
            return
        if int(packet.reason_code) >= 0x80:
            self._finish(session, packet_id)
            return
        is_new = not outgoing.is_released
        outgoing.is_released = True
        entries = [journal.mark_released(session.key, outgoing)] if is_new and session.is_persistent else []
        self._after_commit(entries, lambda: self._send(PubRelPacket(packet_id)))

    def _on_pubcomp(self, packet: PubCompPacket) -> None:
        session = self._require_session()
        outgoing = session.inflight.get(packet.packet_id)
        if outgoing is not None and outgoing.qos == 2:
            self._finish(session, packet.packet_id)

    def _finish(self, session: Session, packet_id: int) -> None:
        outgoing = session.inflight.pop(packet_id)
        if session.is_persistent:
            self._batch.entries.append(journal.drop_queued(session.key, outgoing))
        self.pump()

    def _on_subscribe(self, packet: SubscribePacket) -> None:
        session = self._require_session()
        codes: list[SubAckReasonCode] = []
        entries: list[JournalEntry] = []
        accepted: list[tuple[Subscription, bool]] = []
        for entry in packet.topic_filters:
            code = self._subscription_code(session, entry)
            codes.append(code)
            if int(code) < 0x80:
                subscription = Subscription.of(entry, packet.subscription_id)
                is_new = entry.pattern not in session.subscriptions
                session.subscriptions[entry.pattern] = subscription
                self._broker.routes.add(session, subscription)
                accepted.append((subscription, is_new))
                if session.is_persistent:
                    entries.append(journal.put_subscription(session.key, subscription))

        def answer() -> None:
            self._send(SubAckPacket(packet.packet_id, codes))
            for subscription, is_new in accepted:
                self._send_retained(session, subscription, is_new=is_new)

        self._after_commit(entries, answer)

    def _subscription_code(self, session: Session, entry: TopicFilter) -> SubAckReasonCode:
        principal = self._principal
        if principal is None or not principal.may_subscribe(entry.pattern):
            self._broker.counters.refused_topics_total += 1
            self._note_refusal("subscribe_refused", entry.pattern, principal)
            return SubAckReasonCode.NOT_AUTHORIZED
        if (
            len(session.subscriptions) >= self._broker.limits.max_subscriptions
            and entry.pattern not in session.subscriptions
        ):
            return SubAckReasonCode.QUOTA_EXCEEDED
        return SubAckReasonCode(int(entry.max_qos))

    def _send_retained(self, session: Session, subscription: Subscription, *, is_new: bool) -> None:
        """MQTT 5.0 §3.3.1.3. They are taken from the store one by one as the client takes them."""
        if (
            subscription.filter.startswith("$share/")
            or subscription.retain_handling == 2
            or (subscription.retain_handling == 1 and not is_new)
        ):
            return
        for topic in self._broker.retained.topics(subscription.filter):
            session.backlog.append((topic, subscription))
        self.pump()

    def _on_unsubscribe(self, packet: UnsubscribePacket) -> None:
        session = self._require_session()
        codes: list[UnsubAckReasonCode] = []
        entries: list[JournalEntry] = []
        for topic_filter in packet.patterns:
            if session.subscriptions.pop(topic_filter, None) is None:
                codes.append(UnsubAckReasonCode.NO_SUBSCRIPTION_EXISTED)
                continue
            self._broker.routes.remove(session, topic_filter)
            codes.append(UnsubAckReasonCode.SUCCESS)
            if session.is_persistent:
                entries.append(journal.drop_subscription(session.key, topic_filter))
        self._after_commit(entries, lambda: self._send(UnsubAckPacket(packet.packet_id, codes)))

    def _on_disconnect(self, packet: DisconnectPacket) -> None:
        session = self._require_session()
        expiry_s = packet.session_expiry_interval
        if expiry_s is not None:
            if session.expiry_s == 0 and expiry_s > 0:
                raise ProtocolError("DISCONNECT may not give an expiry to a session that had none")  # §3.14.2.2.2
            session.expiry_s = min(expiry_s, self._broker.limits.session_expiry_max_s)
            if expiry_s == 0:
                self._batch.entries += journal.drop_session(session.key)
        if self._will is not None and packet.reason_code != DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE:
            self._will = None
            self._batch.entries.append(journal.drop_will(session.key))
        self._submit()
        self.is_closing = True
        self._on_output(self)

    # Sending.

    def pump(self) -> None:
        """Sends what waits for this client, as far as its receive maximum and its socket allow."""
        session = self._session
        if session is None or not self._is_answered:
            return
        limit = self._send_max
        while not self.is_congested and not self.is_closing and len(session.inflight) < limit:
            if session.queue:
                self._send_next(session)
            elif session.backlog:
                self._send_from_backlog(session)
            else:
                break
        if session.room_calls and session.queued_bytes < self._broker.limits.queue_bytes // 4:
            calls, session.room_calls = session.room_calls, []
            for call in calls:
                call()

    def send_qos0(self, outgoing: Outgoing) -> None:
        """Sends a QoS 0 message, or drops it, counted, if the client does not read (MQTT 5.0 §4.3.1)."""
        if self.is_congested:
            self._broker.counters.qos0_dropped_total += 1
        elif self._is_answered:
            self._send_publish(outgoing, is_duplicate=False)

    def _send_next(self, session: Session) -> None:
        outgoing = session.take_next()
        expires_us = outgoing.message.expires_us
        if expires_us is not None and expires_us <= self._broker.steady_us():
            self._broker.counters.expired_total += 1
            if session.is_persistent:
                self._broker.note([journal.drop_queued(session.key, outgoing)])
            return
        session.assign_packet_id(outgoing)
        if outgoing.qos == 2 and session.is_persistent:
            # Its packet id is on disk before it is sent, so that it is not sent as another message after a crash.
            self._after_commit(
                [journal.mark_sent(session.key, outgoing)],
                lambda: self._send_publish(outgoing, is_duplicate=False),
            )
        else:
            self._send_publish(outgoing, is_duplicate=False)

    def _send_from_backlog(self, session: Session) -> None:
        topic, subscription = session.backlog.popleft()
        message = self._broker.retained.get(topic)
        if message is None:
            return
        qos = min(message.qos, subscription.qos)
        identifiers = () if subscription.subscription_id is None else (subscription.subscription_id,)
        outgoing = Outgoing(session.take_number(), message, qos, True, identifiers)
        if qos == 0:
            self.send_qos0(outgoing)
            return
        session.enqueue(outgoing)
        if session.is_persistent:
            self._broker.note([journal.put_queued(session.key, outgoing)])

    def _send_again(self, session: Session) -> None:
        """After a reconnect everything unacknowledged goes again, in order (MQTT 5.0 §4.4)."""
        for packet_id, outgoing in list(session.inflight.items()):
            if outgoing.is_released:
                self._send(PubRelPacket(packet_id))
            else:
                self._send_publish(outgoing, is_duplicate=True)
        self.pump()

    def _send_publish(self, outgoing: Outgoing, *, is_duplicate: bool) -> None:
        topic, alias = self._alias_for(outgoing.message.topic)
        data = encode(
            outgoing.packet(topic, alias, self._broker.steady_us(), is_duplicate=is_duplicate), self._version
        )
        if self._max_packet_out is not None and len(data) > self._max_packet_out:
            # Too large for this client: as if it had been sent and acknowledged [MQTT-3.1.2-25].
            if outgoing.packet_id is not None and self._session is not None:
                self._finish(self._session, outgoing.packet_id)
                self._submit()
            return
        self._write(data)

    def _alias_for(self, topic: str) -> tuple[str, int | None]:
        """Returns topic and alias to send: an alias stands for its topic from the second time on (§3.3.2.3.4)."""
        alias = self._aliases_out.get(topic)
        if alias is not None:
            return "", alias
        if len(self._aliases_out) >= self._alias_out_max:
            return topic, None
        alias = self._aliases_out[topic] = len(self._aliases_out) + 1
        return topic, alias

    def _send(self, packet: ServerPacket) -> None:
        if not self.is_closing:
            self._write(encode(packet, self._version))

    def _write(self, data: bytes) -> None:
        if self._is_answered:
            self._output.append(data)
            self._on_output(self)
        else:
            self._early.append(data)

    # What the handlers share.

    def _require_session(self) -> Session:
        if self._session is None:
            raise ProtocolError("the session is gone")
        return self._session

    def _fail(self, error: PacketError) -> None:
        self._broker.counters.packet_errors_total += 1
        data = farewell(error, self._decoder.version, is_accepted=self._is_accepted)
        self._is_answered = True
        if data:
            self._output.append(data)
        self.is_closing = True
        self._on_output(self)

    def _note_refusal(self, action: str, topic: str, principal: Principal | None) -> None:
        device_id = principal.device_id if principal is not None else None
        actor = f"device:{device_id}" if device_id is not None else f"client:{self.address}"
        self._batch.events.append(Refusal(actor, action, topic[:256], self._now_us))

    def _presence(self, by: int) -> list[Presence | Refusal]:
        principal = self._principal
        if principal is None or principal.device_id is None:
            return []
        change = self._broker.presence(principal.device_id, by)
        return [change] if change is not None else []

    def _after_commit(
        self,
        entries: list[JournalEntry],
        call: Callable[[], None],
        events: list[Presence | Refusal] | None = None,
    ) -> None:
        """Calls after the entries are committed; at once where there is nothing to keep."""
        if entries:
            self._broker.sink.submit(Intake([], call, 512, entries, events))
            return
        self._broker.note([], events)
        call()

    def _submit(self) -> None:
        """Hands over what was gathered; everything of one `receive` is answered together."""
        batch = self._batch
        if batch.is_empty():
            if batch.acks:
                self._acknowledge(batch)
                self._batch = _Batch()
            return
        self._batch = _Batch()
        self._broker.sink.submit(
            Intake(
                batch.frames,
                lambda: self._acknowledge(batch),
                batch.size_bytes + 256 * len(batch.entries),
                batch.entries,
                batch.events,
            )
        )

    def _acknowledge(self, batch: _Batch) -> None:
        """The batch is committed: answers the peer, then hands the messages on."""
        if not self.is_closing:
            if batch.acks:
                self._unacknowledged -= len(batch.acks)
                self._write(pubacks(batch.acks))
            if batch.received:
                self._write(pubrecs(batch.received))
        for delivery in batch.deliveries:
            self._broker.deliver(delivery, self)

"""One client's connection: packets in, intakes and bytes out. No I/O and no clock of its own.

The shell calls `receive` with what the socket gave and takes what `outflow` has. Whatever promises that something is
kept leaves after the commit, CONNACK too where a session or a will is kept.

    CONNECT ──▶ accepted ──commit──▶ CONNACK ──▶ packets ──▶ closing ──▶ lost
       └──────▶ refused: closing                 a packet error, DISCONNECT, a take-over, the shell
"""

import secrets
from collections.abc import Callable
from typing import Protocol

from mqtt5 import (
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PingReqPacket,
    PubAckPacket,
    PubCompPacket,
    PublishPacket,
    PubRecPacket,
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

from devices.frame import Intake, JournalEntry, Presence, Refusal
from devices.mqtt.codec.codec import Decoder, Version, encode, farewell, pubrel
from devices.mqtt.codec.errors import PacketError, ProtocolError
from devices.mqtt.codec.wire import ClientPacket
from devices.mqtt.server import journal
from devices.mqtt.server.access import Principal
from devices.mqtt.server.broker import Broker
from devices.mqtt.server.inflow import ENTRY_OVERHEAD_BYTES, Inflow
from devices.mqtt.server.message import Subscription, is_declared_right
from devices.mqtt.server.outflow import Outflow
from devices.mqtt.server.session import Session
from devices.mqtt.server.will import WillMessage

MAX_CLIENT_ID = 256
UNLIMITED = 1 << 31
PINGRESP = b"\xd0\x00"


class SignIn(Protocol):
    """Decides who a client is."""

    def __call__(self, username: str | None, password: bytes | None) -> Principal | None:
        """Returns what the client may do, None if it may not connect."""


class Connection:
    """`address` names the peer in the audit log. `on_output` is called when there is something to send or the
    connection is to be closed, `on_wait` when the peer is to be slowed down; it returns the call that ends that."""

    def __init__(
        self,
        broker: Broker,
        sign_in: SignIn,
        address: str,
        on_output: Callable[[], None],
        on_wait: Callable[[], Callable[[], None]],
    ) -> None:
        self._broker = broker
        self._sign_in = sign_in
        self.wait = on_wait
        self.outflow = Outflow(broker, on_output)
        self.pump = self.outflow.pump
        self.send_qos0 = self.outflow.send_qos0
        self._inflow = Inflow(broker, self.outflow, self, f"client:{address}")
        self._decoder = Decoder(broker.limits.max_packet_bytes)
        self._version = Version.V311
        self._session: Session  # from CONNECT on
        self._is_attached = False  # it is the session's connection
        self._principal: Principal | None = None
        self._device_id: str | None = None
        self._will: WillMessage | None = None
        self.is_closing = False
        self.keep_alive_s = 0

    # The shell's verbs.

    @property
    def is_connected(self) -> bool:
        """True once a CONNECT was accepted."""
        return self._principal is not None

    @property
    def client_id(self) -> str | None:
        return self._session.client_id if self._principal is not None else None

    @property
    def device_id(self) -> str | None:
        """The device that signed in, None before that and for a client without credentials."""
        return self._device_id

    def receive(self, data: bytes, now_us: int) -> bool:
        """Handles what the peer sent, and returns whether a packet became whole; `now_us`: wall time, for frames."""
        if self.is_closing:
            return False
        inflow = self._inflow
        inflow.now_us = now_us
        publish = inflow.publish
        packets = self._decoder.feed(data)
        try:
            for packet in packets:
                if type(packet) is PublishPacket:
                    publish(packet)
                else:
                    self._handle(packet)
                    if self.is_closing:
                        break
        except PacketError as error:
            self._fail(error)
        if self._decoder.failure is not None and not self.is_closing:
            self._fail(self._decoder.failure)
        inflow.submit()
        return bool(packets)

    def resume(self) -> None:
        """The peer reads again: sends what waited."""
        self.outflow.is_congested = False
        self.outflow.pump()

    def close(self, reason: DisconnectReasonCode) -> None:
        """Says why in MQTT 5, and closes; the will, if there is one, is published."""
        if self.is_closing:
            return
        says_why = self.outflow.is_open and self._version is Version.V5
        self._end(DisconnectPacket(reason_code=reason).write() if says_why else b"")

    def take_over(self) -> None:
        """Another connection has come for this session (MQTT 5.0 §3.1.4)."""
        self.close(DisconnectReasonCode.SESSION_TAKEN_OVER)
        self.lost()

    def lost(self) -> None:
        """The connection is gone, for whatever reason; call it once the socket has closed. Harmless again."""
        self.is_closing = True
        if not self._is_attached:
            return
        self._is_attached = False
        self.outflow.close()
        broker, session = self._broker, self._session
        now_us = broker.steady_us()
        will, self._will = self._will, None
        if will is not None and not broker.is_stopping:  # a server that ends may leave it to the next start (§3.1.2.5)
            delay_s = min(will.delay_s, session.expiry_s)
            if delay_s > 0:
                broker.wills.add(session.key, will, now_us + delay_s * 1_000_000)
            else:
                broker.publish_will(session.key, will)
        broker.note(broker.close_session(session, now_us), self._presence(-1))

    def _end(self, last: bytes) -> None:
        self.is_closing = True
        self.outflow.close(last)

    def _fail(self, error: PacketError) -> None:
        self._broker.counters.packet_errors_total += 1
        self._end(farewell(error, self._decoder.version, is_accepted=self.outflow.is_open))

    # Packets, in the order of a connection's life.

    def _handle(self, packet: ClientPacket) -> None:
        match packet:
            case PubAckPacket():
                self._on_puback(packet)
            case PubRecPacket():
                self._on_pubrec(packet)
            case PubRelPacket():
                self._inflow.release(packet)
            case PubCompPacket():
                self._on_pubcomp(packet)
            case PingReqPacket():
                self.outflow.write(PINGRESP)
            case SubscribePacket():
                self._on_subscribe(packet)
            case UnsubscribePacket():
                self._on_unsubscribe(packet)
            case ConnectPacket():
                self._on_connect(packet)
            case DisconnectPacket():
                self._on_disconnect(packet)
            case _:
                raise ProtocolError("AUTH without an authentication method in CONNECT")  # MQTT 5.0 §4.12

    def _on_connect(self, packet: ConnectPacket) -> None:
        self._version = self._decoder.version or Version.V311
        if packet.authentication_method is not None:
            self._refuse(ConnAckReasonCode.BAD_AUTHENTICATION_METHOD)
            return
        principal = self._sign_in(packet.username, packet.password)
        if principal is None:
            self._refuse_sign_in(packet)
            return
        self._inflow.identify(principal)
        client_id = packet.client_id
        if len(client_id) > MAX_CLIENT_ID or (
            not client_id and self._version is Version.V311 and not packet.clean_start  # [MQTT-3.1.3-8] of 3.1.1
        ):
            self._refuse(ConnAckReasonCode.CLIENT_ID_NOT_VALID)
            return
        will = WillMessage.of(packet.will, principal.device_id) if packet.will is not None else None
        if will is not None and not principal.may_publish(will.topic):
            self._inflow.note_refusal("will_refused", will.topic)
            self._refuse(ConnAckReasonCode.NOT_AUTHORIZED)
            return
        if will is not None and not is_declared_right(will.properties.payload_format_indicator, will.payload):
            self._refuse(ConnAckReasonCode.PAYLOAD_FORMAT_INVALID)
            return
        self._principal, self._device_id, self._will = principal, principal.device_id, will
        self._open(packet, principal)

    def _open(self, packet: ConnectPacket, principal: Principal) -> None:
        broker, limits, is_v5 = self._broker, self._broker.limits, self._version is Version.V5
        assigned = None if packet.client_id else f"auto-{secrets.token_hex(12)}"
        client_id = assigned or packet.client_id
        asked_s = packet.session_expiry_interval
        expiry_s = min(asked_s, limits.session_expiry_max_s)
        key = f"{principal.device_id or ''}\x1f{client_id}"
        session, is_present, entries = broker.open_session(
            key, client_id, principal.device_id, expiry_s, clean=packet.clean_start, connection=self
        )
        self._session = session
        self._is_attached = True
        broker.counters.connects_total += 1
        entries += self._drop_forbidden(session, principal)
        if self._will is not None:
            entries.append(journal.put_will(key, self._will))
        self.keep_alive_s = packet.keep_alive
        server_keep_alive = None
        receive_max = UNLIMITED
        if is_v5:
            if packet.keep_alive == 0 or packet.keep_alive > limits.max_keep_alive_s:
                self.keep_alive_s = server_keep_alive = limits.max_keep_alive_s
            receive_max = limits.receive_max
            send_max = min(packet.receive_max, limits.max_inflight)
            alias_max = min(packet.topic_alias_max, limits.topic_alias_max)
            self.outflow.attach(session, self._version, send_max, alias_max, packet.max_packet_size)
        else:
            self.outflow.attach(session, self._version, limits.max_inflight)
        self._inflow.attach(session, receive_max)
        answer = ConnAckPacket(
            session_present=is_present,
            assigned_client_id=assigned,
            server_keep_alive=server_keep_alive,
            session_expiry_interval=expiry_s if expiry_s != asked_s else None,
            receive_max=limits.receive_max,
            topic_alias_max=limits.topic_alias_max,
            max_packet_size=limits.max_packet_bytes,
        )
        connack = encode(answer, self._version)
        if not entries:
            broker.note([], self._presence(+1))
            self.outflow.open(connack)
            return
        go_on = self.wait()

        def accept() -> None:
            self.outflow.open(connack)
            go_on()

        size_bytes = ENTRY_OVERHEAD_BYTES * len(entries)
        broker.sink.submit(Intake([], accept, size_bytes, entries, self._presence(+1)))

    def _drop_forbidden(self, session: Session, principal: Principal) -> list[JournalEntry]:
        """A session that goes on keeps no subscription whose grant was taken away; returns what to journal."""
        forbidden = [found for found in session.subscriptions if not principal.may_subscribe(found)]
        for topic_filter in forbidden:
            session.unsubscribe(topic_filter)
            self._broker.routes.remove(session, topic_filter)
        return [journal.drop_subscription(session.key, topic_filter) for topic_filter in forbidden]

    def _refuse_sign_in(self, packet: ConnectPacket) -> None:
        self._broker.counters.sign_ins_failed_total += 1
        user = packet.username
        self._inflow.note_refusal("sign_in_failed", user or "")
        self._refuse(ConnAckReasonCode.NOT_AUTHORIZED if user is None else ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD)

    def _refuse(self, reason: ConnAckReasonCode) -> None:
        self._end(encode(ConnAckPacket(reason_code=reason), self._version))

    # Acknowledgements of messages to the client.

    def _on_puback(self, packet: PubAckPacket) -> None:
        outgoing = self._session.inflight.get(packet.packet_id)
        if outgoing is not None and outgoing.qos == 1:
            self._finish(packet.packet_id)

    def _on_pubrec(self, packet: PubRecPacket) -> None:
        session = self._session
        packet_id = packet.packet_id
        outgoing = session.inflight.get(packet_id)
        if outgoing is None or outgoing.qos != 2:
            self.outflow.send(PubRelPacket(packet_id, reason_code=PubRelReasonCode.PACKET_ID_NOT_FOUND))
        elif packet.reason_code.value >= 0x80:
            self._finish(packet_id)  # the client does not take it, and nobody else gets it [MQTT-4.8.2-6]
        elif not session.is_persistent:
            outgoing.is_released = True
            self.outflow.write(pubrel(packet_id))
        else:
            # That the client has it is on disk before it may forget the packet id.
            self._inflow.batch.released.append(packet_id)
            if not outgoing.is_released:
                outgoing.is_released = True
                self._inflow.batch.entries.append(journal.mark_released(session.key, outgoing))

    def _on_pubcomp(self, packet: PubCompPacket) -> None:
        outgoing = self._session.inflight.get(packet.packet_id)
        if outgoing is not None and outgoing.qos == 2:
            self._finish(packet.packet_id)

    def _finish(self, packet_id: int) -> None:
        session = self._session
        outgoing = session.finish(packet_id)
        if session.is_persistent:
            self._inflow.batch.entries.append(journal.drop_queued(session.key, outgoing))
        self.outflow.pump()

    # Subscriptions.

    def _on_subscribe(self, packet: SubscribePacket) -> None:
        session = self._session
        self._inflow.submit()  # what was retained on this connection before is committed, and seen, before
        batch = self._inflow.batch
        codes: list[SubAckReasonCode] = []
        accepted: list[tuple[Subscription, bool]] = []
        for entry in packet.topic_filters:
            code = self._subscription_code(session, entry)
            codes.append(code)
            if code.value < 0x80:
                subscription = Subscription.of(entry, packet.subscription_id)
                accepted.append((subscription, session.subscribe(subscription)))
                self._broker.routes.add(session, subscription)
                if session.is_persistent:
                    batch.entries.append(journal.put_subscription(session.key, subscription))

        def answer() -> None:
            self.outflow.send(SubAckPacket(packet.packet_id, codes))
            for subscription, is_new in accepted:
                if _wants_retained(subscription, is_new=is_new) and subscription.filter in session.subscriptions:
                    session.backlog[subscription.filter] = subscription
            if session.connection is not None:
                session.connection.pump()

        batch.calls.append(answer)

    def _subscription_code(self, session: Session, entry: TopicFilter) -> SubAckReasonCode:
        principal, limits = self._principal, self._broker.limits
        if principal is None or not principal.may_subscribe(entry.pattern):
            self._broker.counters.refused_topics_total += 1
            self._inflow.note_refusal("subscribe_refused", entry.pattern)
            return SubAckReasonCode.NOT_AUTHORIZED
        if entry.pattern not in session.subscriptions and (
            len(session.subscriptions) >= limits.max_subscriptions
            or session.subscription_bytes >= limits.subscription_bytes
        ):
            return SubAckReasonCode.QUOTA_EXCEEDED
        return SubAckReasonCode(entry.max_qos.value)

    def _on_unsubscribe(self, packet: UnsubscribePacket) -> None:
        session = self._session
        codes: list[UnsubAckReasonCode] = []
        for topic_filter in packet.patterns:
            if not session.unsubscribe(topic_filter):
                codes.append(UnsubAckReasonCode.NO_SUBSCRIPTION_EXISTED)
                continue
            self._broker.routes.remove(session, topic_filter)
            codes.append(UnsubAckReasonCode.SUCCESS)
            if session.is_persistent:
                self._inflow.batch.entries.append(journal.drop_subscription(session.key, topic_filter))
        self._inflow.batch.calls.append(lambda: self.outflow.send(UnsubAckPacket(packet.packet_id, codes)))

    def _on_disconnect(self, packet: DisconnectPacket) -> None:
        session = self._session
        expiry_s = packet.session_expiry_interval
        if expiry_s is not None:
            if session.expiry_s == 0 and expiry_s > 0:
                raise ProtocolError("DISCONNECT may not give an expiry to a session that had none")  # §3.14.2.2.2
            session.expiry_s = min(expiry_s, self._broker.limits.session_expiry_max_s)
        if self._will is not None and packet.reason_code is DisconnectReasonCode.NORMAL_DISCONNECTION:
            self._will = None  # [MQTT-3.14.4-3]
            self._inflow.batch.entries.append(journal.drop_will(session.key))
        self._end(b"")

    def _presence(self, by: int) -> list[Presence | Refusal]:
        change = self._broker.presence(self._device_id, by) if self._device_id is not None else None
        return [change] if change is not None else []


def _wants_retained(subscription: Subscription, *, is_new: bool) -> bool:
    """MQTT 5.0 §3.3.1.3, [MQTT-3.3.1-9] to [MQTT-3.3.1-11]; a shared subscription gets none (§4.8.2)."""
    if subscription.filter.startswith("$share/") or subscription.retain_handling == 2:
        return False
    return subscription.retain_handling == 0 or is_new

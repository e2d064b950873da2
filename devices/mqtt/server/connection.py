"""One client's life at the door: packets in, intakes and bytes out. No I/O and no clock of its own.

The shell calls `receive` with what the socket gave, and sends `data_to_send`; what is to be kept goes to the broker's
sink as intakes. Whatever promises that something is kept leaves after the commit, CONNACK too where a session or a
will is kept.

    CONNECT ──▶ accepted ──commit──▶ CONNACK ──▶ packets ──▶ closing ──▶ lost
       └──────▶ refused: closing                 a packet error, DISCONNECT, a take-over, the shell
"""

from collections.abc import Callable
from functools import partial

from mqtt5 import (
    ConnAckPacket,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PingReqPacket,
    PubAckPacket,
    PubCompPacket,
    PublishPacket,
    PubRecPacket,
    PubRelPacket,
    SubscribePacket,
    UnsubscribePacket,
)

from devices.frame import Intake, Presence, Refusal
from devices.mqtt.codec.codec import Decoder, Version, encode, farewell
from devices.mqtt.codec.errors import PacketError, ProtocolError
from devices.mqtt.codec.wire import ClientPacket
from devices.mqtt.server import handshake, journal
from devices.mqtt.server.acknowledgements import Acknowledgements
from devices.mqtt.server.broker import Broker
from devices.mqtt.server.handshake import Accepted, Refused, SignIn
from devices.mqtt.server.inflow import Inflow
from devices.mqtt.server.journal import ENTRY_OVERHEAD_BYTES
from devices.mqtt.server.outflow import Outflow
from devices.mqtt.server.session import Session
from devices.mqtt.server.subscriptions import Subscriptions
from devices.mqtt.server.will import WillMessage
from foundation.clock import SECOND_US

PINGRESP = b"\xd0\x00"


class Connection:
    """`address` names the peer in the audit log. `on_output` is called when there is something to send or the
    connection is to be closed, `on_wait` when the peer is to be slowed down; it returns the call that ends that.

    From an accepted CONNECT on it is its session's `Client`.
    """

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
        self.outflow = Outflow(broker, on_output)
        self._inflow = Inflow(broker, self.outflow, self, f"client:{address}")
        self._decoder = Decoder(broker.limits.max_packet_bytes)
        self._version = Version.V311
        self._session: Session  # these three from an accepted CONNECT on
        self._subscriptions: Subscriptions
        self._acknowledgements: Acknowledgements
        self._is_attached = False  # it is the session's connection
        self._device_id: str | None = None
        self._will: WillMessage | None = None
        self.is_connected = False  # a CONNECT was accepted
        self.is_closing = False
        self.keep_alive_s = 0
        # Bound once, not defined here: they are called for every message.
        self.data_to_send = self.outflow.take
        self.pump = self.outflow.pump
        self.send_qos0 = self.outflow.send_qos0
        self.wait = on_wait

    # The shell's verbs.

    @property
    def client_id(self) -> str | None:
        """None before a CONNECT was accepted."""
        return self._session.client_id if self.is_connected else None

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

    def hold_back(self) -> None:
        """The peer does not read: messages to it wait until `resume`, answers do not."""
        self.outflow.is_congested = True

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

    def let_go(self, reason: DisconnectReasonCode) -> None:
        """See `devices.mqtt.server.session.Client`."""
        self.close(reason)
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
                broker.wills.add(session.key, will, now_us + delay_s * SECOND_US)
            else:
                broker.publish_will(session.key, will)
        broker.note(broker.close_session(session, now_us), self._presence(-1))

    def _end(self, last: bytes) -> None:
        self.is_closing = True
        self.outflow.close(last)

    def _fail(self, error: PacketError) -> None:
        self._broker.counters.packet_errors_total += 1
        self._end(farewell(error, self._decoder.version, is_accepted=self.outflow.is_open))

    # Packets: what comes most often is looked for first.

    def _handle(self, packet: ClientPacket) -> None:
        match packet:
            case PubAckPacket():
                self._acknowledgements.puback(packet)
            case PubRecPacket():
                self._acknowledgements.pubrec(packet)
            case PubRelPacket():
                self._inflow.release(packet)
            case PubCompPacket():
                self._acknowledgements.pubcomp(packet)
            case PingReqPacket():
                self.outflow.write(PINGRESP)
            case SubscribePacket():
                self._subscriptions.subscribe(packet)
            case UnsubscribePacket():
                self._subscriptions.unsubscribe(packet)
            case ConnectPacket():
                self._on_connect(packet)
            case DisconnectPacket():
                self._on_disconnect(packet)
            case _:
                raise ProtocolError("AUTH without an authentication method in CONNECT")  # MQTT 5.0 §4.12

    def _on_connect(self, packet: ConnectPacket) -> None:
        self._version = self._decoder.version or Version.V311
        self.outflow.packet_max = packet.max_packet_size  # None in 3.1.1
        answer = handshake.answer(packet, self._version, self._sign_in, self._broker.limits)
        if answer.principal is not None:
            self._inflow.identify(answer.principal)
        if isinstance(answer, Accepted):
            self._accept(answer)
        else:
            self._refuse(answer)

    def _refuse(self, refused: Refused) -> None:
        if refused.action == handshake.SIGN_IN_FAILED:
            self._broker.counters.sign_ins_failed_total += 1
        if refused.action is not None:
            self._inflow.note_refusal(refused.action, refused.detail)
        reason = refused.reason
        self._end(encode(ConnAckPacket(reason_code=reason), self._version) if reason is not None else b"")

    def _accept(self, accepted: Accepted) -> None:
        broker, principal = self._broker, accepted.principal
        self.is_connected = True
        self._device_id, self._will = principal.device_id, accepted.will
        session, is_present, entries = broker.open_session(
            accepted.session_key,
            accepted.client_id,
            principal.device_id,
            accepted.expiry_s,
            clean=accepted.is_clean,
            connection=self,
        )
        self._session = session
        self._is_attached = True
        self.keep_alive_s = accepted.keep_alive_s
        broker.counters.connects_total += 1
        if accepted.is_will_dropped:
            broker.counters.refused_topics_total += 1
        self.outflow.attach(session, self._version, accepted.send_max, accepted.alias_max)
        self._inflow.attach(session, accepted.receive_max)
        self._acknowledgements = Acknowledgements(session, self._inflow, self.outflow)
        self._subscriptions = Subscriptions(
            broker, session, principal, self._inflow, self.outflow, is_bridge=self._decoder.is_bridge
        )
        entries += self._subscriptions.drop_forbidden()
        if self._will is not None:
            entries.append(journal.put_will(session.key, self._will))
        connack = encode(accepted.connack(broker.limits, is_present=is_present), self._version)
        if not entries:
            broker.note([], self._presence(+1))
            self.outflow.open(connack)
            return
        go_on = self.wait()

        def accept() -> None:
            self.outflow.open(connack)
            go_on()

        size_bytes = ENTRY_OVERHEAD_BYTES * len(entries)
        lost = partial(broker.break_off, session)
        broker.sink.submit(Intake([], accept, size_bytes, entries, self._presence(+1), lost))

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

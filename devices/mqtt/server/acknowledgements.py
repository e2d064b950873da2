"""What the client says of messages to it: PUBACK, PUBREC and PUBCOMP (MQTT 5.0 §4.3). No I/O.

sent, QoS 1 ──PUBACK──▶ done
sent, QoS 2 ──PUBREC──▶ released, PUBREL ──PUBCOMP──▶ done

Any other answer to a message that is in flight ends the connection.
"""

from mqtt5 import PubAckPacket, PubCompPacket, PubRecPacket, PubRelPacket, PubRelReasonCode

from devices.mqtt.codec.codec import pubrel
from devices.mqtt.codec.errors import ProtocolError
from devices.mqtt.server import journal
from devices.mqtt.server.inflow import Inflow
from devices.mqtt.server.outflow import Outflow
from devices.mqtt.server.session import Session


class Acknowledgements:
    """Of the messages of `session` that are in flight. An acknowledgement of none of them changes nothing: it may be a
    late one, of an earlier connection. PUBREC is told so (MQTT 5.0 §3.6.2.1).

    Raises ProtocolError for one of the wrong kind ([MQTT-4.13.1-1]; [MQTT-4.8.0-1] of 3.1.1).
    """

    __slots__ = ("_inflow", "_outflow", "_session")

    def __init__(self, session: Session, inflow: Inflow, outflow: Outflow) -> None:
        self._session = session
        self._inflow = inflow
        self._outflow = outflow

    def puback(self, packet: PubAckPacket) -> None:
        outgoing = self._session.inflight.get(packet.packet_id)
        if outgoing is None:
            return
        if outgoing.qos != 1:
            raise ProtocolError("PUBACK of a message with QoS 2")  # §4.3.3: PUBREC is what acknowledges it
        self._finish(packet.packet_id)

    def pubrec(self, packet: PubRecPacket) -> None:
        session = self._session
        packet_id = packet.packet_id
        outgoing = session.inflight.get(packet_id)
        is_taken = packet.reason_code.value < 0x80
        if outgoing is None:
            # "MUST send a PUBREL packet when it receives a PUBREC packet from the receiver with a Reason Code value
            # less than 0x80" [MQTT-4.3.3-4]: with another one the client has given the packet id up already.
            if is_taken:
                self._outflow.send(PubRelPacket(packet_id, reason_code=PubRelReasonCode.PACKET_ID_NOT_FOUND))
        elif outgoing.qos != 2:
            raise ProtocolError("PUBREC of a message with QoS 1")  # §4.3.2: PUBACK is what acknowledges it
        elif not is_taken:
            self._finish(packet_id)  # the client does not take it, and nobody else gets it [MQTT-4.8.2-6]
        elif not session.is_persistent:
            outgoing.is_released = True
            self._outflow.write(pubrel(packet_id))
        else:
            # That the client has it is on disk before it may forget the packet id.
            batch = self._inflow.batch
            batch.released.append(packet_id)
            if not outgoing.is_released:
                outgoing.is_released = True
                batch.entries.append(journal.mark_released(session.key, outgoing))

    def pubcomp(self, packet: PubCompPacket) -> None:
        outgoing = self._session.inflight.get(packet.packet_id)
        if outgoing is None:
            return
        if not outgoing.is_released:  # nor is one of QoS 1 ever
            # The sender "MUST treat the PUBREL packet as 'unacknowledged' until it has received the corresponding
            # PUBCOMP" [MQTT-4.3.3-5]: before PUBREC there is none to complete.
            raise ProtocolError("PUBCOMP of a message without PUBREC")
        self._finish(packet.packet_id)

    def _finish(self, packet_id: int) -> None:
        session = self._session
        outgoing = session.finish(packet_id)
        if session.is_persistent:
            self._inflow.batch.entries.append(journal.drop_queued(session.key, outgoing))
        self._outflow.pump()

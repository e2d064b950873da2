"""Which deliveries of a broker wait for their commit, over the connections of one session. Pure.

A packet identifier belongs to a session: when a connection breaks, the broker keeps what we have not acknowledged,
and sends it again with the same identifier and DUP on the next connection (MQTT 5.0 §4.4). What arrived on the old
connection may be on its way to the disk, or committed while there was no connection to acknowledge it on. So:

- An acknowledgement leaves only on the connection that the delivery came on last.
- A message that comes again is not handed in again: its acknowledgement follows the commit of the first copy.
- An acknowledgement may have been lost with the connection, so the latest are remembered: many more than
  `receive_max`, because Mosquitto 2.0 does not count what it sends again, and gets further ahead with every cut.

A message comes again if it has DUP, an identifier that is known, and the same topic and payload. Without DUP it is
taken as new, whatever it looks like: two pupils may tap alike, and a row too many can be found later by its event
key, one too few cannot. All this is memory: after a restart of the program only the event key tells.
"""

from array import array
from collections.abc import Iterable

SLOTS = 65_536
"""Places by packet identifier, which has two bytes; 0 is none."""

MAX_REMEMBERED = SLOTS // 2
"""A broker that counts its packet identifiers up gives none of these to another message meanwhile."""


class Delivery:
    """One QoS 1 or 2 message handed in. `connection_no`: where it came last, so where its ack may leave."""

    __slots__ = ("connection_no", "fingerprint", "is_committed", "packet_id", "qos")

    def __init__(self, packet_id: int, qos: int, fingerprint: int, connection_no: int) -> None:
        self.packet_id = packet_id
        self.qos = qos
        self.fingerprint = fingerprint
        self.connection_no = connection_no
        self.is_committed = False


class Window:
    """The deliveries of one session."""

    def __init__(self) -> None:
        self._connection_no = 0
        self._waiting: dict[int, Delivery] = {}
        self._earlier: dict[int, Delivery] = {}
        # By packet identifier: the fingerprint of what was acknowledged last, and when in the order of all. 1 MiB.
        self._fingerprints = array("q", bytes(8 * SLOTS))
        self._numbers = array("q", bytes(8 * SLOTS))
        self._acknowledged = 0
        self._forgotten = 0

    def connected(self, *, is_session_present: bool) -> None:
        """A new connection. Without the session the broker has forgotten every packet identifier."""
        self._connection_no += 1
        if is_session_present:
            self._earlier.update(self._waiting)
        else:
            self._earlier.clear()
            self._forgotten = self._acknowledged
        self._waiting.clear()

    def take(self, packet_id: int, qos: int, topic: str, payload: bytes, *, is_dup: bool) -> tuple[Delivery, bool]:
        """Returns the delivery and whether it is new and to be handed in.

        If it is not new and `is_committed`, it is to be acknowledged at once; otherwise `committed` will say so.
        """
        fingerprint = hash((topic, payload))
        delivery = Delivery(packet_id, qos, fingerprint, self._connection_no)
        if is_dup:
            earlier = self._earlier.pop(packet_id, None)
            if earlier is not None and earlier.fingerprint == fingerprint:
                earlier.connection_no = self._connection_no
                if not earlier.is_committed:
                    self._waiting[packet_id] = earlier
                return earlier, False
            if self._is_remembered(packet_id) and self._fingerprints[packet_id] == fingerprint:
                delivery.is_committed = True
                return delivery, False
        self._waiting[packet_id] = delivery
        return delivery, True

    def committed(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Returns those to acknowledge now; the others came on a connection that is over."""
        leaving = []
        for delivery in deliveries:
            delivery.is_committed = True
            if delivery.connection_no == self._connection_no:
                leaving.append(delivery)
                packet_id = delivery.packet_id
                if self._waiting.get(packet_id) is delivery:
                    del self._waiting[packet_id]
                self._acknowledged += 1
                self._numbers[packet_id] = self._acknowledged
                self._fingerprints[packet_id] = delivery.fingerprint
        return leaving

    def _is_remembered(self, packet_id: int) -> bool:
        return self._numbers[packet_id] > max(self._forgotten, self._acknowledged - MAX_REMEMBERED)

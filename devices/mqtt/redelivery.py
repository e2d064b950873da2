"""Which deliveries of a broker wait for their commit, over the connections of one session. Pure.

A packet identifier belongs to a session: when a connection breaks, the broker keeps what we have not acknowledged,
and sends it again with the same identifier and DUP on the next connection (MQTT 5.0 §4.4). What arrived on the old
connection may be on its way to the disk, or committed while there was no connection to acknowledge it on. So:

- An acknowledgement leaves only on the connection that the delivery came on last.
- A message that comes again is not handed in again: its acknowledgement follows the commit of the first copy.
- An acknowledgement may have been lost with the connection, so the latest are remembered. The broker may send
  `receive_max` messages ahead of them; Mosquitto 2.0 does not count what it sends again, so after a few broken
  connections it is several times that.

A message comes again if it has DUP, an identifier that is known, and the same topic and payload. Without DUP it is
taken as new, whatever it looks like: two pupils may tap alike, and a row too many can be found later by its event
key, one too few cannot. All this is memory: after a restart of the program only the event key tells.
"""

from collections import OrderedDict
from collections.abc import Iterable

REMEMBERED_WINDOWS = 16
MAX_REMEMBERED = 32_768
"""Half of all packet identifiers: a broker that counts them up gives none of these to another message meanwhile."""


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
    """The deliveries of one session. `receive_max` as announced to the broker (MQTT 5.0 §3.1.2.11.3)."""

    def __init__(self, receive_max: int) -> None:
        self._remembered = min(REMEMBERED_WINDOWS * receive_max, MAX_REMEMBERED)
        self._connection_no = 0
        self._waiting: dict[int, Delivery] = {}
        self._earlier: dict[int, Delivery] = {}
        self._acknowledged: OrderedDict[int, Delivery] = OrderedDict()

    def connected(self, *, is_session_present: bool) -> None:
        """A new connection. Without the session the broker has forgotten every packet identifier."""
        self._connection_no += 1
        if is_session_present:
            self._earlier.update(self._waiting)
        else:
            self._earlier.clear()
            self._acknowledged.clear()
        self._waiting.clear()

    def take(self, packet_id: int, qos: int, topic: str, payload: bytes, *, is_dup: bool) -> tuple[Delivery, bool]:
        """Returns the delivery and whether it is new and to be handed in.

        If it is not new and `is_committed`, it is to be acknowledged at once; otherwise `committed` will say so.
        """
        fingerprint = hash((topic, payload))
        if is_dup:
            known = self._earlier.pop(packet_id, None) or self._acknowledged.get(packet_id)
            if known is not None and known.fingerprint == fingerprint:
                known.connection_no = self._connection_no
                if not known.is_committed:
                    self._waiting[packet_id] = known
                return known, False
        delivery = self._waiting[packet_id] = Delivery(packet_id, qos, fingerprint, self._connection_no)
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
                self._acknowledged[packet_id] = delivery
                self._acknowledged.move_to_end(packet_id)
        while len(self._acknowledged) > self._remembered:
            self._acknowledged.popitem(last=False)
        return leaving

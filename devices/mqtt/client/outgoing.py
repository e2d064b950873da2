"""What the bridge has to publish and the broker has not confirmed yet. Pure; times are seconds that never jump."""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Outgoing:
    """One message. `packet_id`: under which it went out on this connection, None if it did not yet."""

    topic: str
    payload: bytes
    qos: int
    until_s: float
    packet_id: int | None = None


class OutgoingQueue:
    """Messages of QoS 1 and 2 wait for their confirmation, over connections, at most `kept_s` and `cap_bytes`.

    A command that could not leave for longer is dropped and counted: a door that opens much later surprises people.
    """

    def __init__(self, kept_s: float, cap_bytes: int) -> None:
        self._kept_s = kept_s
        self._cap_bytes = cap_bytes
        self._messages: list[Outgoing] = []
        self._held_bytes = 0
        self.dropped_total = 0

    def add(self, topic: str, payload: bytes, qos: int, now_s: float) -> None:
        """Adds a message; at the cap the oldest go."""
        self._messages.append(Outgoing(topic, payload, qos, now_s + self._kept_s))
        self._held_bytes += _size(self._messages[-1])
        while self._held_bytes > self._cap_bytes:
            self._remove(self._messages[0])
            self.dropped_total += 1

    def to_send(self, now_s: float) -> list[Outgoing]:
        """Returns, in order, what did not go out on this connection yet; what is too old is dropped."""
        for one in [one for one in self._messages if one.until_s < now_s]:
            self._remove(one)
            self.dropped_total += 1
        return [one for one in self._messages if one.packet_id is None]

    def sent(self, message: Outgoing, packet_id: int) -> None:
        """It went out; nobody confirms QoS 0."""
        if message.qos == 0:
            self._remove(message)
        else:
            message.packet_id = packet_id

    def confirmed(self, packet_id: int) -> Outgoing | None:
        """Removes and returns the message that the broker confirmed or refused; None if it is not one of these."""
        found = next((one for one in self._messages if one.packet_id == packet_id), None)
        if found is not None:
            self._remove(found)
        return found

    def connected(self) -> None:
        """A new connection: everything unconfirmed is to be sent again."""
        for one in self._messages:
            one.packet_id = None

    def _remove(self, message: Outgoing) -> None:
        self._messages.remove(message)
        self._held_bytes -= _size(message)


def _size(message: Outgoing) -> int:
    return len(message.topic) + len(message.payload) + 200

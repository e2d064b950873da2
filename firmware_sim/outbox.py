"""What a device keeps until it is acknowledged: first in, first out, in memory, with a cap. Pure."""

import collections
from dataclasses import dataclass

CAPACITY = 10_000
IN_FLIGHT = 16


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way out."""

    topic: str
    payload: bytes
    is_retained: bool = False


class Outbox:
    """Messages that wait, and how many are on the wire. At the cap the oldest waiting message is dropped."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._waiting: collections.deque[Outgoing] = collections.deque(maxlen=capacity)
        self._on_wire: set[int] = set()
        self.dropped = 0
        self.acknowledged = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._on_wire)

    def keep(self, message: Outgoing) -> None:
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(message)

    def next(self) -> Outgoing | None:
        """The oldest waiting message if the wire has room for one more. It stays kept until `sent` or dropped."""
        return self._waiting[0] if self._waiting and len(self._on_wire) < IN_FLIGHT else None

    def sent(self, packet_id: int) -> None:
        """The message that `next` gave is on the wire under this packet id."""
        self._waiting.popleft()
        self._on_wire.add(packet_id)

    def acknowledge(self, packet_id: int) -> bool:
        """The broker has taken responsibility. False if the packet id is not one of ours."""
        if packet_id not in self._on_wire:
            return False
        self._on_wire.remove(packet_id)
        self.acknowledged += 1
        return True

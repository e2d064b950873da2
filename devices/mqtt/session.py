"""An MQTT session: the state that outlives a connection (MQTT 5.0 §4.1). No I/O, no clock.

A message to a session waits in `queue`, moves to `inflight` when it is sent with a packet id, and is gone when the
client has acknowledged it. The order of `inflight` is the order of sending, and of sending again (§4.6).
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from devices.mqtt.message import Outgoing, Subscription

if TYPE_CHECKING:
    from devices.mqtt.connection import Connection

NEVER_EXPIRES_S = 0xFFFF_FFFF


class Session:
    """One client's session. `user`: the device that signed in; a client id alone does not open another's session."""

    __slots__ = (
        "_next_packet_id",
        "backlog",
        "client_id",
        "connection",
        "dropped",
        "ended_us",
        "expiry_s",
        "inflight",
        "key",
        "next_number",
        "queue",
        "queued_bytes",
        "received",
        "room_calls",
        "subscriptions",
        "user",
    )

    def __init__(self, key: str, client_id: str, user: str | None, expiry_s: int) -> None:
        self.key = key
        self.client_id = client_id
        self.user = user
        self.expiry_s = expiry_s
        self.connection: Connection | None = None
        self.ended_us: int | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.queue: deque[Outgoing] = deque()
        self.inflight: dict[int, Outgoing] = {}
        self.backlog: deque[tuple[str, Subscription]] = deque()  # retained topics still to be sent
        self.received: set[int] = set()  # QoS 2 packet ids stored and not yet released
        self.queued_bytes = 0
        self.dropped = 0
        self.next_number = 1
        self.room_calls: list[Callable[[], None]] = []
        self._next_packet_id = 1

    @property
    def is_persistent(self) -> bool:
        """Whether it outlives its connection, and so is kept on disk."""
        return self.expiry_s > 0

    def has_expired(self, now_us: int) -> bool:
        """True for a session without a connection whose time is over."""
        if self.connection is not None or self.ended_us is None or self.expiry_s == NEVER_EXPIRES_S:
            return False
        return now_us - self.ended_us >= self.expiry_s * 1_000_000

    def take_number(self) -> int:
        """Returns the next place in the order of messages to this session."""
        number = self.next_number
        self.next_number += 1
        return number

    def enqueue(self, outgoing: Outgoing) -> None:
        """Puts a message behind the others."""
        self.queue.append(outgoing)
        self.queued_bytes += outgoing.message.size_bytes

    def drop_oldest(self) -> Outgoing | None:
        """Takes the oldest unsent message out for good, counted; None if all are sent."""
        if not self.queue:
            return None
        self.dropped += 1
        return self.take_next()

    def take_next(self) -> Outgoing:
        """Takes the next message to send out of the queue."""
        outgoing = self.queue.popleft()
        self.queued_bytes -= outgoing.message.size_bytes
        return outgoing

    def assign_packet_id(self, outgoing: Outgoing) -> None:
        """Gives the message an unused packet id and a place in `inflight`, which has room."""
        packet_id = self._next_packet_id
        while packet_id in self.inflight:
            packet_id = packet_id % 0xFFFF + 1
        self._next_packet_id = packet_id % 0xFFFF + 1
        outgoing.packet_id = packet_id
        self.inflight[packet_id] = outgoing

    def unfinished(self) -> list[Outgoing]:
        """Returns everything that the client has not acknowledged, in order."""
        return [*self.inflight.values(), *self.queue]

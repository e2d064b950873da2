"""An MQTT session: the state that outlives a connection (MQTT 5.0 §4.1). No I/O, no clock.

A message to a session waits in `queue`, moves to `inflight` when it is sent, and is gone when the client has
acknowledged it. When the connection ends, what is in flight goes back to the front of the queue, in order, and is
sent again on the next one (§4.4); only what the client has received of QoS 2 stays, for its PUBREL.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from mqtt5 import DisconnectReasonCode

from devices.mqtt.codec.wire import NEVER_EXPIRES_S
from devices.mqtt.server.message import Outgoing, Subscription
from foundation.clock import SECOND_US


class Client(Protocol):
    """What a session needs of the client that is connected for it, and of a publisher that waits for it.

    Called on the event loop's thread; nothing here raises.
    """

    def pump(self) -> None:
        """Sends what waits for the client, as far as it takes it now. Harmless again."""

    def send_qos0(self, outgoing: Outgoing) -> None:
        """Sends a QoS 0 message now, or drops it, counted. Each call is one more message to the client."""

    def let_go(self, reason: DisconnectReasonCode) -> None:
        """Lets go of the session before it returns, telling the client why. Harmless again."""

    def wait(self) -> Callable[[], None]:
        """Reads no more from the client until what is returned was called, once. Waits add up."""


class Held:
    """What the queues of all sessions hold together."""

    __slots__ = ("size_bytes",)

    def __init__(self) -> None:
        self.size_bytes = 0


class Session:
    """One client's session. `user`: the device that signed in; a client id alone does not open another's session."""

    __slots__ = (
        "_held",
        "backlog",
        "client_id",
        "connection",
        "ended_us",
        "expiry_s",
        "held_bytes",
        "inflight",
        "inflight_bytes",
        "is_lagging",
        "is_stored",
        "key",
        "next_number",
        "queue",
        "received",
        "subscription_bytes",
        "subscriptions",
        "user",
        "waiting",
    )

    def __init__(self, key: str, client_id: str, user: str | None, expiry_s: int, held: Held | None = None) -> None:
        self.key = key
        self.client_id = client_id
        self.user = user
        self.expiry_s = expiry_s
        self.connection: Client | None = None
        self.is_stored = False  # there are rows of it, or will be with the next commit
        self.ended_us: int | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.subscription_bytes = 0
        self.queue: deque[Outgoing] = deque()
        self.inflight: dict[int, Outgoing] = {}
        self.backlog: dict[str, Subscription] = {}  # whose retained messages are still to be sent, by filter
        self.received: set[int] = set()  # QoS 2 packet ids stored and not yet released
        self.held_bytes = 0  # in the queue and in flight
        self.inflight_bytes = 0
        self.next_number = 1
        self.is_lagging = False  # publishers have waited for it long enough
        self.waiting: dict[Client, Callable[[], None]] = {}  # publishers that wait, and how they go on
        self._held = held if held is not None else Held()

    @property
    def is_persistent(self) -> bool:
        """Whether it outlives its connection, and so is kept on disk."""
        return self.expiry_s > 0

    def has_expired(self, now_us: int) -> bool:
        """True for a session without a connection whose time is over."""
        if self.connection is not None or self.ended_us is None or self.expiry_s == NEVER_EXPIRES_S:
            return False
        return now_us - self.ended_us >= self.expiry_s * SECOND_US

    def count_in(self, held: Held) -> None:
        """Counts what it holds in `held` from now on."""
        self._held.size_bytes -= self.held_bytes
        held.size_bytes += self.held_bytes
        self._held = held

    # Subscriptions.

    def subscribe(self, subscription: Subscription) -> bool:
        """Adds or replaces a subscription; returns whether its filter is new."""
        old = self.subscriptions.get(subscription.filter)
        self.subscriptions[subscription.filter] = subscription
        if old is not None:
            return False
        self.subscription_bytes += subscription.size_bytes
        return True

    def unsubscribe(self, topic_filter: str) -> bool:
        """Removes a subscription; returns whether there was one."""
        old = self.subscriptions.pop(topic_filter, None)
        self.backlog.pop(topic_filter, None)
        if old is None:
            return False
        self.subscription_bytes -= old.size_bytes
        return True

    # Messages to the client.

    def take_number(self) -> int:
        """Returns the next place in the order of messages to this session."""
        number = self.next_number
        self.next_number = number + 1
        return number

    def enqueue(self, outgoing: Outgoing) -> None:
        """Puts a message behind the others."""
        self.queue.append(outgoing)
        self._hold(outgoing.message.size_bytes)

    def restore(self, outgoing: Outgoing) -> None:
        """Takes in a message from the journal; they come in their order."""
        self.next_number = outgoing.number + 1
        if outgoing.is_released:
            self.inflight[outgoing.packet_id] = outgoing
            self.inflight_bytes += outgoing.message.size_bytes
        else:
            self.queue.append(outgoing)
        self._hold(outgoing.message.size_bytes)

    def can_start(self) -> bool:
        """Whether the next message's packet id is free: not so only if the client lets one of 65,535 ago hang."""
        return self.queue[0].packet_id not in self.inflight

    def start(self) -> Outgoing:
        """Moves the next message from the queue into flight; `can_start` holds."""
        outgoing = self.queue.popleft()
        self.inflight[outgoing.packet_id] = outgoing
        self.inflight_bytes += outgoing.message.size_bytes
        return outgoing

    def finish(self, packet_id: int) -> Outgoing:
        """Takes a message that is in flight out for good."""
        outgoing = self.inflight.pop(packet_id)
        self.inflight_bytes -= outgoing.message.size_bytes
        self._hold(-outgoing.message.size_bytes)
        return outgoing

    def drop_next(self) -> Outgoing | None:
        """Takes the oldest message that is not in flight out for good; None if there is none."""
        if not self.queue:
            return None
        outgoing = self.queue.popleft()
        self._hold(-outgoing.message.size_bytes)
        return outgoing

    def rewind(self) -> list[Outgoing]:
        """The connection is gone: puts what is in flight back to be sent again, in order and before the rest.
        Returns what had been sent for the first time."""
        again = [outgoing for outgoing in self.inflight.values() if not outgoing.is_released]
        for outgoing in again:
            del self.inflight[outgoing.packet_id]
            self.inflight_bytes -= outgoing.message.size_bytes
        self.queue.extendleft(reversed(again))
        first = [outgoing for outgoing in again if not outgoing.was_sent]
        for outgoing in first:
            outgoing.was_sent = True
        return first

    def remove(self, gone: set[int]) -> None:
        """Takes messages that wait in the queue out, by number."""
        kept = deque(outgoing for outgoing in self.queue if outgoing.number not in gone)
        size = sum(outgoing.message.size_bytes for outgoing in self.queue if outgoing.number in gone)
        self.queue = kept
        self._hold(-size)

    def clear(self) -> None:
        """Takes every message out for good."""
        self.queue.clear()
        self.inflight.clear()
        self.backlog.clear()
        self.inflight_bytes = 0
        self._hold(-self.held_bytes)

    def _hold(self, size_bytes: int) -> None:
        self.held_bytes += size_bytes
        self._held.size_bytes += size_bytes

    # Publishers that wait until the client has read.

    def release_waiting(self) -> None:
        """Lets every publisher that waits for this session go on."""
        waiting, self.waiting = self.waiting, {}
        for go_on in waiting.values():
            go_on()

"""Who gets a message: subscriptions of all sessions, overlapping and shared ones included. No I/O."""

from dataclasses import dataclass

from devices.mqtt.server.message import Subscription
from devices.mqtt.server.session import Session
from devices.mqtt.server.topic_tree import SubscriptionTree
from devices.mqtt.topics import split_share

MAX_CACHED = 50_000
MAX_CACHED_TOPIC = 256
"""Topics longer than this are matched each time: the cache must not hold what a peer invents."""


class Receiver:
    """A session and what its subscriptions to a topic come to: overlapping ones give one copy, with the highest QoS
    and every identifier (MQTT 5.0 §3.3.4)."""

    __slots__ = ("has_no_local", "is_retain_kept", "qos", "session", "subscription_ids", "subscriptions")

    def __init__(self, session: Session, subscriptions: tuple[Subscription, ...]) -> None:
        self.session = session
        self.subscriptions = subscriptions
        self.qos = max(found.qos for found in subscriptions)
        self.is_retain_kept = any(found.retain_as_published for found in subscriptions)
        self.has_no_local = any(found.no_local for found in subscriptions)
        self.subscription_ids = tuple(
            found.subscription_id for found in subscriptions if found.subscription_id is not None
        )

    def without_no_local(self) -> "Receiver | None":
        """Returns what is left for the session's own messages [MQTT-3.8.3-3]."""
        others = tuple(found for found in self.subscriptions if not found.no_local)
        return Receiver(self.session, others) if others else None


class ShareGroup:
    """The members of one shared subscription, served in turn (MQTT 5.0 §4.8.2)."""

    __slots__ = ("_members", "_order", "_turn", "filter")

    def __init__(self, topic_filter: str) -> None:
        self.filter = topic_filter
        self._members: dict[str, Receiver] = {}
        self._order: list[Receiver] = []
        self._turn = 0

    def __len__(self) -> int:
        return len(self._members)

    def put(self, session: Session, subscription: Subscription) -> None:
        """Adds a member, or replaces its subscription."""
        self._members[session.key] = Receiver(session, (subscription,))
        self._order.clear()

    def remove(self, session: Session) -> None:
        """Harmless if it is no member."""
        self._members.pop(session.key, None)
        self._order.clear()

    def choose(self) -> Receiver | None:
        """Returns the next member: a connected one, rather one that has nothing waiting; else one whose session is
        kept; None if there is none."""
        order = self._order
        if not order:
            order.extend(self._members.values())
        connected = kept = None
        for _ in range(len(order)):
            self._turn = (self._turn + 1) % len(order)
            member = order[self._turn]
            session = member.session
            if session.connection is not None:
                if not session.queue:
                    return member
                connected = connected or member
            elif session.is_persistent:
                kept = kept or member
        return connected or kept


@dataclass(frozen=True, slots=True)
class Receivers:
    """Who is subscribed to a topic: sessions, and shared groups."""

    sessions: tuple[Receiver, ...]
    groups: tuple[ShareGroup, ...]


NOBODY = Receivers((), ())


class Routes:
    """All subscriptions. `receivers` is asked for every message, so its answers are kept until something changes."""

    def __init__(self) -> None:
        self._plain: SubscriptionTree[tuple[Session, Subscription]] = SubscriptionTree()
        self._shared: SubscriptionTree[ShareGroup] = SubscriptionTree()
        self._groups: dict[str, ShareGroup] = {}
        self._cache: dict[str, Receivers] = {}

    def receivers(self, topic: str) -> Receivers:
        """Returns who gets a message to `topic`; `NOBODY` itself where that is nobody."""
        found = self._cache.get(topic)
        if found is None:
            found = self._match(topic)
            if len(topic) <= MAX_CACHED_TOPIC:
                if len(self._cache) >= MAX_CACHED:
                    self._cache.clear()
                self._cache[topic] = found
        return found

    def _match(self, topic: str) -> Receivers:
        by_session: dict[str, tuple[Session, list[Subscription]]] = {}
        for _, _, (session, subscription) in self._plain.match(topic):
            by_session.setdefault(session.key, (session, []))[1].append(subscription)
        groups = tuple(group for _, _, group in self._shared.match(topic))
        if not by_session and not groups:
            return NOBODY
        sessions = tuple(Receiver(session, tuple(found)) for session, found in by_session.values())
        return Receivers(sessions, groups)

    def add(self, session: Session, subscription: Subscription) -> None:
        """Adds a subscription, or replaces the one with the same filter [MQTT-3.8.4-3]."""
        self._cache.clear()
        share, inner = split_share(subscription.filter)
        if share is None:
            self._plain.add(inner, session.key, (session, subscription))
            return
        group = self._groups.get(subscription.filter)
        if group is None:
            group = self._groups[subscription.filter] = ShareGroup(subscription.filter)
            self._shared.add(inner, subscription.filter, group)
        group.put(session, subscription)

    def remove(self, session: Session, topic_filter: str) -> None:
        """Takes a subscription out; harmless if there is none."""
        self._cache.clear()
        share, inner = split_share(topic_filter)
        if share is None:
            self._plain.remove(inner, session.key)
            return
        group = self._groups.get(topic_filter)
        if group is not None:
            group.remove(session)
            if not group:
                del self._groups[topic_filter]
                self._shared.remove(inner, topic_filter)

    def group(self, share_filter: str) -> ShareGroup | None:
        """Returns the shared subscription with this filter, if it still has members."""
        return self._groups.get(share_filter)

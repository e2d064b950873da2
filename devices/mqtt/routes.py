"""Who gets a message: subscriptions of all sessions, overlapping and shared ones included. No I/O."""

from dataclasses import dataclass, field

from devices.mqtt.message import Subscription
from devices.mqtt.session import Session
from devices.mqtt.topic_tree import SubscriptionTree
from devices.mqtt.topics import split_share

MAX_CACHED = 50_000


@dataclass(slots=True, eq=False)
class ShareGroup:
    """The members of one shared subscription, served in turn (MQTT 5.0 §4.8.2)."""

    filter: str
    members: dict[str, tuple[Session, Subscription]] = field(default_factory=dict)
    turn: int = 0

    def choose(self) -> tuple[Session, Subscription] | None:
        """Returns the next member; one that is connected if any is, else one whose session is kept."""
        members = list(self.members.values())
        connected = [member for member in members if member[0].connection is not None]
        candidates = connected or [member for member in members if member[0].is_persistent]
        if not candidates:
            return None
        self.turn += 1
        return candidates[self.turn % len(candidates)]


@dataclass(frozen=True, slots=True)
class Receivers:
    """Who is subscribed to a topic: sessions with all their matching subscriptions, and shared groups."""

    sessions: tuple[tuple[Session, tuple[Subscription, ...]], ...]
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
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            found = self._cache[topic] = self._match(topic)
        return found

    def is_wanted(self, topic: str) -> bool:
        """Whether anybody is subscribed to the topic."""
        return self.receivers(topic) is not NOBODY

    def _match(self, topic: str) -> Receivers:
        by_session: dict[str, tuple[Session, list[Subscription]]] = {}
        for _, _, (session, subscription) in self._plain.match(topic):
            by_session.setdefault(session.key, (session, []))[1].append(subscription)
        groups = tuple(group for _, _, group in self._shared.match(topic))
        if not by_session and not groups:
            return NOBODY
        sessions = tuple((session, tuple(found)) for session, found in by_session.values())
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
        group.members[session.key] = (session, subscription)

    def remove(self, session: Session, topic_filter: str) -> None:
        """Takes a subscription out; harmless if there is none."""
        self._cache.clear()
        share, inner = split_share(topic_filter)
        if share is None:
            self._plain.remove(inner, session.key)
            return
        group = self._groups.get(topic_filter)
        if group is not None:
            group.members.pop(session.key, None)
            if not group.members:
                del self._groups[topic_filter]
                self._shared.remove(inner, topic_filter)

    def group(self, share_filter: str) -> ShareGroup | None:
        """Returns the shared subscription with this filter, if it still has members."""
        return self._groups.get(share_filter)

"""What all connections share: sessions, routes, retained messages, wills. No I/O; time is passed in.

The way of a message: `plan` chooses its receivers and journals what must survive, the writer commits, and
`deliver` hands it to the sessions. Times are µs of a steady clock that started as wall time.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from devices.frame import Frame, Intake, JournalEntry, Presence, Refusal, Sink
from devices.mqtt import journal
from devices.mqtt.message import Message, Outgoing, Subscription
from devices.mqtt.retained import RetainedMessages
from devices.mqtt.routes import NOBODY, Routes
from devices.mqtt.session import Session
from devices.mqtt.will import PendingWills, WillMessage

if TYPE_CHECKING:
    from devices.mqtt.connection import Connection


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and all together, may ask of the door. See the section `mqtt` of the configuration."""

    max_packet_bytes: int = 1 << 20
    receive_max: int = 1024
    max_inflight: int = 256
    topic_alias_max: int = 64
    max_keep_alive_s: int = 3600
    session_expiry_max_s: int = 30 * 86_400
    queue_bytes: int = 16 << 20
    queue_total_bytes: int = 256 << 20
    retained_bytes: int = 256 << 20
    max_subscriptions: int = 10_000


@dataclass(slots=True)
class Counters:
    """Since the start; for /metrics."""

    connects_total: int = 0
    sign_ins_failed_total: int = 0
    refused_topics_total: int = 0
    packet_errors_total: int = 0
    queue_dropped_total: int = 0
    qos0_dropped_total: int = 0
    expired_total: int = 0


@dataclass(slots=True)
class Delivery:
    """One message and the places in sessions' orders that were taken for it before the commit."""

    message: Message
    places: list[tuple[Session, Outgoing]] = field(default_factory=list)


class Broker:
    """Owned by the event loop's thread. `wall_us`: the time for frames and audit rows; `steady_us`: for timers."""

    def __init__(
        self, sink: Sink, limits: Limits, wall_us: Callable[[], int], steady_us: Callable[[], int]
    ) -> None:
        self.sink = sink
        self.limits = limits
        self.wall_us = wall_us
        self.steady_us = steady_us
        self.counters = Counters()
        self.sessions: dict[str, Session] = {}
        self.routes = Routes()
        self.retained = RetainedMessages(limits.retained_bytes)
        self.wills = PendingWills()
        self._connections_of: dict[str, int] = {}

    def restore(
        self,
        sessions: dict[str, Session],
        retained: Iterable[Message],
        wills: dict[str, WillMessage],
        will_due_us: int,
    ) -> None:
        """Takes in what the journal kept. Clients that do not come back by `will_due_us` have their wills published."""
        self.sessions.update(sessions)
        for session in sessions.values():
            for subscription in session.subscriptions.values():
                self.routes.add(session, subscription)
        for message in retained:
            self.retained.put(message)
        for key, will in wills.items():
            self.wills.add(key, will, will_due_us)

    # Sessions.

    def open_session(
        self, key: str, client_id: str, user: str | None, expiry_s: int, *, clean: bool, connection: "Connection"
    ) -> tuple[Session, bool, list[JournalEntry]]:
        """Returns the session for a CONNECT, whether it was present, and what to journal.

        The connection that held it is told to go (take-over, [MQTT-3.1.4-3]).
        """
        entries: list[JournalEntry] = []
        session = self.sessions.get(key)
        if session is not None and session.connection is not None:
            session.connection.take_over()
        session = self.sessions.get(key)  # one that ended with its connection is gone
        if session is not None and clean:
            entries += self.end_session(session)
            session = None
        will = self.wills.cancel(key)
        if will is not None:
            entries.append(journal.drop_will(key))
            if clean:
                self.publish_will(will)  # the old session has ended (MQTT 5.0 §3.1.3.2.2)
        is_present = session is not None
        if session is None:
            session = self.sessions[key] = Session(key, client_id, user, expiry_s)
        was_persistent = is_present and session.is_persistent
        session.expiry_s = expiry_s
        session.ended_us = None
        session.connection = connection
        if session.is_persistent or was_persistent:
            entries.append(journal.put_session(session))
        return session, is_present, entries

    def close_session(self, session: Session, now_us: int) -> list[JournalEntry]:
        """The session's connection is gone; returns what to journal."""
        session.connection = None
        session.ended_us = now_us
        for call in session.room_calls:
            call()
        session.room_calls.clear()
        if not session.is_persistent:
            return self.end_session(session)
        self._shed(session)
        return [journal.put_session(session)]

    def end_session(self, session: Session) -> list[JournalEntry]:
        """Discards a session; what it had of shared subscriptions goes to other members. Returns what to journal."""
        for topic_filter in session.subscriptions:
            self.routes.remove(session, topic_filter)
        session.subscriptions.clear()
        self.sessions.pop(session.key, None)
        entries = journal.drop_session(session.key)
        for outgoing in session.unfinished():
            group = self.routes.group(outgoing.share) if outgoing.share is not None else None
            member = group.choose() if group is not None else None
            if member is not None:
                heir, subscription = member
                again = self._place(heir, (subscription,), outgoing.message, outgoing.share)
                if again is not None:
                    entries += self._journal_of(heir, again)
                    self._hand_over(heir, again)
        return entries

    def expire(self, now_us: int) -> None:
        """Ends sessions whose time without a connection is over, publishes wills that are due, drops expired
        retained messages. Call it about once a second."""
        entries: list[JournalEntry] = []
        for session in [found for found in self.sessions.values() if found.has_expired(now_us)]:
            will = self.wills.cancel(session.key)
            if will is not None:
                entries.append(journal.drop_will(session.key))
                self.publish_will(will)
            entries += self.end_session(session)
        for key, will in self.wills.take_due(now_us):
            entries.append(journal.drop_will(key))
            self.publish_will(will)
        for topic in self.retained.expire(now_us):
            entries.append(JournalEntry("retained_drop", (topic,)))
        self.note(entries)

    def note(self, entries: list[JournalEntry], events: list[Presence | Refusal] | None = None) -> None:
        """Journals and audits what nobody waits for."""
        if entries or events:
            self.sink.submit(Intake([], _nothing, 256, entries, events))

    def presence(self, user: str, by: int) -> Presence | None:
        """Counts a device's connections; returns what changed when its first came or its last went."""
        before = self._connections_of.get(user, 0)
        after = before + by
        if after:
            self._connections_of[user] = after
        else:
            self._connections_of.pop(user, None)
        if bool(before) == bool(after):
            return None
        return Presence(user, is_online=bool(after), at_us=self.wall_us())

    # Messages.

    def plan(self, message: Message, publisher: Session | None, entries: list[JournalEntry]) -> Delivery | None:
        """Chooses who gets the message and appends what must be committed with it; None if nobody and not retained."""
        receivers = self.routes.receivers(message.topic)
        if message.is_retain:
            entries.append(journal.put_retained(message))
        elif receivers is NOBODY:
            return None
        delivery = Delivery(message)
        for session, subscriptions in receivers.sessions:
            if session is publisher and any(found.no_local for found in subscriptions):
                subscriptions = tuple(found for found in subscriptions if not found.no_local)
                if not subscriptions:
                    continue
            self._take_place(delivery, session, subscriptions, None, entries)
        for group in receivers.groups:
            member = group.choose()
            if member is not None:
                self._take_place(delivery, member[0], (member[1],), group.filter, entries)
        return delivery

    def deliver(self, delivery: Delivery, publisher: "Connection | None") -> None:
        """Hands a committed message to its receivers. A receiver that falls behind slows the publisher down."""
        if delivery.message.is_retain:
            self.retained.put(delivery.message)
        for session, outgoing in delivery.places:
            if self.sessions.get(session.key) is not session:
                continue  # it ended between plan and commit
            self._hand_over(session, outgoing)
            if (
                publisher is not None
                and session.connection is not None
                and session.connection is not publisher
                and session.queued_bytes > self.limits.queue_bytes // 2
            ):
                publisher.wait_for(session)

    def publish_will(self, will: WillMessage) -> None:
        """Publishes a will as if its client had sent it."""
        message = will.message
        entries: list[JournalEntry] = []
        delivery = self.plan(message, None, entries)
        frame = Frame(message.topic, message.payload, self.wall_us(), will.user)

        def done() -> None:
            if delivery is not None:
                self.deliver(delivery, None)

        self.sink.submit(Intake([frame], done, message.size_bytes, entries))

    def publish(self, topic: str, payload: bytes, qos: int) -> None:
        """Publishes in the gateway's own name, a command for example; it is no frame and is not stored as one."""
        message = Message(topic, payload, qos, is_retain=False)
        entries: list[JournalEntry] = []
        delivery = self.plan(message, None, entries)
        if delivery is not None:
            found = delivery
            self.sink.submit(Intake([], lambda: self.deliver(found, None), message.size_bytes, entries))

    def _take_place(
        self,
        delivery: Delivery,
        session: Session,
        subscriptions: tuple[Subscription, ...],
        share: str | None,
        entries: list[JournalEntry],
    ) -> None:
        outgoing = self._place(session, subscriptions, delivery.message, share)
        if outgoing is not None:
            delivery.places.append((session, outgoing))
            entries += self._journal_of(session, outgoing)

    def _place(
        self, session: Session, subscriptions: tuple[Subscription, ...], message: Message, share: str | None
    ) -> Outgoing | None:
        """Overlapping subscriptions give one copy, with the highest QoS and every identifier (MQTT 5.0 §3.3.4)."""
        qos = min(message.qos, max(found.qos for found in subscriptions))
        if qos == 0 and session.connection is None:
            return None
        return Outgoing(
            session.take_number(),
            message,
            qos,
            message.is_retain and any(found.retain_as_published for found in subscriptions),
            tuple(found.subscription_id for found in subscriptions if found.subscription_id is not None),
            share,
        )

    def _journal_of(self, session: Session, outgoing: Outgoing) -> list[JournalEntry]:
        return [journal.put_queued(session.key, outgoing)] if outgoing.qos and session.is_persistent else []

    def _hand_over(self, session: Session, outgoing: Outgoing) -> None:
        connection = session.connection
        if outgoing.qos == 0:
            if connection is not None:
                connection.send_qos0(outgoing)
            return
        session.enqueue(outgoing)
        if connection is not None:
            connection.pump()
        else:
            self._shed(session)

    def _shed(self, session: Session) -> None:
        """Nobody reads this queue just now: at its cap the oldest messages go, counted."""
        entries: list[JournalEntry] = []
        while session.queued_bytes > self.limits.queue_bytes:
            dropped = session.drop_oldest()
            if dropped is None:
                break
            self.counters.queue_dropped_total += 1
            entries.append(journal.drop_queued(session.key, dropped))
        self.note(entries)


def _nothing() -> None:
    """Nobody waits for this commit."""

"""What all connections share: sessions, routes, retained messages, wills. No I/O; time is passed in.

The way of a message: `plan` chooses its receivers and journals what must survive, the writer commits, and
`deliver` hands it to the sessions. Times are µs of a steady clock that started as wall time.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

from mqtt5 import DisconnectReasonCode

from devices.frame import Frame, Intake, JournalEntry, Presence, Refusal, Sink
from devices.mqtt.server import journal
from devices.mqtt.server.counters import Counters
from devices.mqtt.server.journal import ENTRY_OVERHEAD_BYTES
from devices.mqtt.server.limits import Limits
from devices.mqtt.server.message import Message, Outgoing
from devices.mqtt.server.queues import Queues
from devices.mqtt.server.retained import RetainedMessages
from devices.mqtt.server.routes import NOBODY, Receiver, Routes
from devices.mqtt.server.session import Client, Session
from devices.mqtt.server.will import PendingWills, WillMessage
from foundation.clock import SECOND_US


@dataclass(slots=True)
class Delivery:
    """One message and the places in sessions' orders that were taken for it before the commit."""

    message: Message
    is_admitted: bool = False  # it is to be retained, and there is room
    places: list[tuple[Session, Outgoing]] = field(default_factory=list)


class Broker:
    """Owned by the event loop's thread. `wall_us`: the time for frames and audit rows; `steady_us`: for timers."""

    def __init__(self, sink: Sink, limits: Limits, wall_us: Callable[[], int], steady_us: Callable[[], int]) -> None:
        self.sink = sink
        self.limits = limits
        self.wall_us = wall_us
        self.steady_us = steady_us
        self.counters = Counters()
        self.sessions: dict[str, Session] = {}
        self.queues = Queues(self.sessions, limits, self.counters, self.note)
        self.routes = Routes()
        self.retained = RetainedMessages(limits.retained_bytes)
        self.wills = PendingWills()
        self.is_stopping = False
        self._sessions_of: dict[str | None, int] = {}
        self._connections_of: dict[str, int] = {}

    def restore(
        self,
        sessions: dict[str, Session],
        retained: Iterable[Message],
        wills: dict[str, WillMessage],
        will_due_us: int,
    ) -> None:
        """Takes in what the journal kept. Wills whose delay is over by `will_due_us` wait until then, so that the
        clients can come back."""
        now_us = self.steady_us()
        for message in retained:
            self.retained.put(message)
        for key, will in wills.items():
            session = sessions.get(key)
            was_lost = session is not None and session.ended_us is not None
            due_us = will_due_us
            if session is not None:
                since_us = now_us if session.ended_us is None else session.ended_us
                due_us = max(due_us, since_us + min(will.delay_s, session.expiry_s) * SECOND_US)
            self.wills.add(key, will, due_us, is_restored=not was_lost)
        for session in sessions.values():
            self._enter(session)
            session.count_in(self.queues.held)
            for subscription in session.subscriptions.values():
                self.routes.add(session, subscription)
            if session.ended_us is None:
                session.ended_us = now_us
                for outgoing in islice(session.queue, self.limits.max_inflight):
                    outgoing.was_sent = True  # perhaps: nothing tells what was in flight at the end

    # Sessions.

    def open_session(
        self,
        key: str,
        client_id: str,
        user: str | None,
        expiry_s: int,
        *,
        clean: bool,
        connection: Client,
    ) -> tuple[Session, bool, list[JournalEntry]]:
        """Returns the session for a CONNECT, whether it was present, and what to journal.

        The connection that held it is told to go (take-over, [MQTT-3.1.4-3]).
        """
        entries: list[JournalEntry] = []
        session = self.sessions.get(key)
        if session is not None and session.connection is not None:
            session.connection.let_go(DisconnectReasonCode.SESSION_TAKEN_OVER)  # MQTT 5.0 §3.1.4
            session = self.sessions.get(key)  # one that ended with its connection is gone
        if session is not None and (clean or session.has_expired(self.steady_us())):
            entries += self.end_session(session)
            session = None
        pending = self.wills.cancel(key)
        if pending is not None:
            if session is None and not pending.is_restored:
                self.publish_will(key, pending.will)  # the session has ended (MQTT 5.0 §3.1.3.2.2)
            else:
                entries.append(journal.drop_will(key))
        is_present = session is not None
        if session is None:
            entries += self._make_room(user)
            session = Session(key, client_id, user, expiry_s, self.queues.held)
            self._enter(session)
        session.expiry_s = expiry_s
        session.ended_us = None
        session.connection = connection
        if session.is_persistent or session.is_stored:
            session.is_stored = True
            entries.append(journal.put_session(session))
        return session, is_present, entries

    def close_session(self, session: Session, now_us: int) -> list[JournalEntry]:
        """The session's connection is gone; returns what to journal."""
        session.connection = None
        session.ended_us = now_us
        self.queues.let_publishers_go_on(session)
        if not session.is_persistent:
            return self.end_session(session)
        entries = [journal.put_session(session)]
        entries += [journal.mark_sent(session.key, outgoing) for outgoing in session.rewind()]
        passed = self._pass_on(session.queue, session)
        if passed:
            session.remove(passed)
        self.queues.shed(session, self.limits.queue_bytes)
        return entries

    def end_session(self, session: Session) -> list[JournalEntry]:
        """Discards a session; what it had of shared subscriptions goes to other members. Returns what to journal."""
        for topic_filter in session.subscriptions:
            self.routes.remove(session, topic_filter)
        session.subscriptions.clear()
        self.sessions.pop(session.key, None)
        left = self._sessions_of.get(session.user, 0) - 1
        if left > 0:
            self._sessions_of[session.user] = left
        else:
            self._sessions_of.pop(session.user, None)
        session.rewind()
        self._pass_on(session.queue, None)
        session.clear()
        return journal.drop_session(session.key) if session.is_stored else []

    def break_off(self, session: Session) -> None:
        """Ends a session whose state could not be stored: its client was told nothing of it, and begins anew."""
        if session.connection is not None:
            session.connection.let_go(DisconnectReasonCode.UNSPECIFIED_ERROR)
        if self.sessions.get(session.key) is session:
            self.note(self.end_session(session))

    def expire(self, now_us: int) -> None:
        """Ends sessions whose time without a connection is over, publishes wills that are due, drops expired
        retained messages, lets publishers go on. Call it about once a second."""
        entries: list[JournalEntry] = []
        for session in [found for found in self.sessions.values() if found.has_expired(now_us)]:
            entries += self._end_with_will(session)
        for key, will in self.wills.take_due(now_us):
            self.publish_will(key, will)
        for topic in self.retained.expire(now_us):
            entries.append(journal.drop_retained(topic))
        self.note(entries)
        self.queues.give_up_waiting(now_us)

    def note(self, entries: list[JournalEntry], events: list[Presence | Refusal] | None = None) -> None:
        """Journals and audits what nobody waits for."""
        if entries or events:
            self.sink.submit(Intake([], _nothing, ENTRY_OVERHEAD_BYTES * (1 + len(entries)), entries, events))

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

    def _enter(self, session: Session) -> None:
        self.sessions[session.key] = session
        self._sessions_of[session.user] = self._sessions_of.get(session.user, 0) + 1

    def _make_room(self, user: str | None) -> list[JournalEntry]:
        """At a cap the session that has been without its client for longest ends. Those with a client are as many
        as there are connections."""
        is_full = len(self.sessions) >= self.limits.max_sessions
        is_own = user is not None and self._sessions_of.get(user, 0) >= self.limits.max_sessions_of_a_device
        if not (is_full or is_own):
            return []
        idle = [
            session
            for session in self.sessions.values()
            if session.connection is None and (not is_own or session.user == user)
        ]
        oldest = min(idle, key=lambda session: session.ended_us or 0, default=None)
        return self._end_with_will(oldest) if oldest is not None else []

    def _end_with_will(self, session: Session) -> list[JournalEntry]:
        pending = self.wills.cancel(session.key)
        if pending is not None:
            self.publish_will(session.key, pending.will)
        return self.end_session(session)

    # Messages.

    def plan(self, message: Message, publisher: Session | None, entries: list[JournalEntry]) -> Delivery | None:
        """Chooses who gets the message and appends what must be committed with it; None if nobody and not retained."""
        receivers = self.routes.receivers(message.topic)
        delivery = Delivery(message)
        if message.is_retain:
            delivery.is_admitted = self.retained.admit(message)
            entries.append(
                journal.put_retained(message) if delivery.is_admitted else journal.drop_retained(message.topic)
            )
        elif receivers is NOBODY:
            return None
        for receiver in receivers.sessions:
            if receiver.has_no_local and receiver.session is publisher:
                remote = receiver.without_no_local()
                if remote is not None:
                    self._take_place(delivery.places, entries, remote, message, None)
            else:
                self._take_place(delivery.places, entries, receiver, message, None)
        for group in receivers.groups:
            member = group.choose()
            if member is not None:
                self._take_place(delivery.places, entries, member, message, group.filter)
        return delivery

    def deliver(self, delivery: Delivery, publisher: Client | None) -> None:
        """Hands a committed message to its receivers. A receiver that falls behind slows the publisher down."""
        message = delivery.message
        if message.is_retain:
            if delivery.is_admitted:
                self.retained.put(message)
            else:
                self.retained.drop(message.topic)
        for session, outgoing in delivery.places:
            self._hand_over(session, outgoing)
            if publisher is not None and outgoing.qos:
                self.queues.slow_down(publisher, session, self.steady_us())

    def publish_will(self, key: str, will: WillMessage) -> None:
        """Publishes a will as if its client had sent it, and forgets it in the same commit."""
        message = will.message(self.steady_us())
        entries = [journal.drop_will(key)]
        delivery = self.plan(message, None, entries)
        frame = Frame(will.topic, will.payload, self.wall_us(), will.user)

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
        places: list[tuple[Session, Outgoing]],
        entries: list[JournalEntry],
        receiver: Receiver,
        message: Message,
        share: str | None,
    ) -> None:
        session = receiver.session
        qos = min(message.qos, receiver.qos)
        if qos == 0 and session.connection is None:
            return
        is_retain = message.is_retain and receiver.is_retain_kept
        number = session.take_number() if qos else 0
        outgoing = Outgoing(number, message, qos, is_retain, receiver.subscription_ids, share)
        places.append((session, outgoing))
        if qos and session.is_persistent:
            entries.append(journal.put_queued(session.key, outgoing))

    def _pass_on(self, outgoings: Iterable[Outgoing], holder: Session | None) -> set[int]:
        """Gives what came through shared subscriptions to other members, and returns the numbers of what went.

        `holder`: the session that lost its connection, and keeps what no connected member can take; None if it
        has ended. What was sent with QoS 2 never goes to another client [MQTT-4.8.2-4], [MQTT-4.8.2-5].
        """
        places: list[tuple[Session, Outgoing]] = []
        entries: list[JournalEntry] = []
        gone: set[int] = set()
        for outgoing in outgoings:
            if outgoing.share is None or (outgoing.qos == 2 and outgoing.was_sent):
                continue
            group = self.routes.group(outgoing.share)
            member = group.choose() if group is not None else None
            if member is None or (holder is not None and member.session.connection is None):
                continue
            self._take_place(places, entries, member, outgoing.message, outgoing.share)
            gone.add(outgoing.number)
            if holder is not None:
                entries.append(journal.drop_queued(holder.key, outgoing))
        if gone:
            size_bytes = sum(outgoing.message.size_bytes for _, outgoing in places)
            self.sink.submit(Intake([], lambda: self._hand_over_all(places), size_bytes, entries))
        return gone

    def _hand_over_all(self, places: list[tuple[Session, Outgoing]]) -> None:
        for session, outgoing in places:
            self._hand_over(session, outgoing)

    def _hand_over(self, session: Session, outgoing: Outgoing) -> None:
        if self.sessions.get(session.key) is not session:
            self._pass_on([outgoing], None)  # it ended between plan and commit
            return
        if outgoing.qos:
            self.queues.put(session, outgoing)
        elif session.connection is not None:
            session.connection.send_qos0(outgoing)


def _nothing() -> None:
    """Nobody waits for this commit."""

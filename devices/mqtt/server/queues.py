"""What waits for clients: caps on it, and publishers that are slowed down by who does not keep up. No I/O."""

from collections.abc import Callable

from devices.frame import JournalEntry
from devices.mqtt.server import journal
from devices.mqtt.server.counters import Counters
from devices.mqtt.server.limits import Limits
from devices.mqtt.server.message import Outgoing
from devices.mqtt.server.session import Client, Held, Session
from foundation.clock import SECOND_US

WAIT_AT_MOST_US = 5 * SECOND_US
"""How long publishers wait for a subscriber that does not keep up; then its oldest messages go instead."""


class Queues:
    """The queues of `sessions`, which the broker owns. `note` journals what nobody waits for."""

    def __init__(
        self,
        sessions: dict[str, Session],
        limits: Limits,
        counters: Counters,
        note: Callable[[list[JournalEntry]], None],
    ) -> None:
        self._sessions = sessions
        self._limits = limits
        self._counters = counters
        self._note = note
        self._awaited: dict[str, int] = {}  # since when publishers wait, by the key of the session
        self.held = Held()

    def put(self, session: Session, outgoing: Outgoing) -> None:
        """Puts a message of QoS 1 or 2 behind the others of the session, and sends what can be sent."""
        session.enqueue(outgoing)
        if session.connection is not None:
            session.connection.pump()
        if session.held_bytes > self._limits.queue_bytes:
            self.shed(session, self._limits.queue_bytes)
        if self.held.size_bytes > self._limits.queue_total_bytes:
            fullest = max(self._sessions.values(), key=lambda found: found.held_bytes - found.inflight_bytes)
            self.shed(fullest, fullest.held_bytes // 2)

    def shed(self, session: Session, limit_bytes: int) -> None:
        """Drops the oldest messages that are not in flight, counted, until the session is below its limit."""
        entries: list[JournalEntry] = []
        while session.held_bytes > limit_bytes:
            dropped = session.drop_next()
            if dropped is None:
                break
            self._counters.queue_dropped_total += 1
            if session.is_persistent:
                entries.append(journal.drop_queued(session.key, dropped))
        self._note(entries)

    def slow_down(self, publisher: Client, session: Session, now_us: int) -> None:
        """If the session falls behind, its publisher waits until there is room, the client is gone, or the publisher
        has waited long enough."""
        if session.held_bytes <= self._limits.queue_bytes // 2 or session.is_lagging:
            return
        if session.connection not in (None, publisher) and publisher not in session.waiting:
            session.waiting[publisher] = publisher.wait()
            self._awaited.setdefault(session.key, now_us)

    def let_publishers_go_on(self, session: Session) -> None:
        """The session has room again, or nobody reads it any more."""
        session.is_lagging = False
        self._awaited.pop(session.key, None)
        session.release_waiting()

    def give_up_waiting(self, now_us: int) -> None:
        """Lets publishers go on that have waited long enough; from then on nobody waits for that session."""
        for key in [key for key, since_us in self._awaited.items() if now_us - since_us >= WAIT_AT_MOST_US]:
            del self._awaited[key]
            session = self._sessions.get(key)
            if session is not None:
                session.is_lagging = True
                session.release_waiting()

"""The live feed: what was committed, as Server-Sent Events, to whoever listens.

A subscription is a place in the ring of recent events; it takes what lies ahead of it when its reader is
ready for more. So publishing costs next to nothing while nobody listens, a slow reader holds no memory of
its own, and `Last-Event-ID` resumes exactly where a reader was, as long as the ring still holds that place.
A reader that falls out of the ring is told by `event: reset` that it lost events and has to read the lists
again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Final

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from foundation.errors import Unavailable
from gateway.attendance import taps
from gateway.committed import Committed, Series, TapRow
from gateway.fleet import listing
from gateway.live.ring import CAPACITY, FULL_CHUNK, EventRing
from gateway.live.ring import Kind as Kind
from gateway.people import people
from gateway.store.store import Store

log = structlog.get_logger("live")

MAX_READERS: Final = 256
MAX_PENDING: Final = 10_000
LOOK_UP: Final = 500
"""Taps, and devices, that are looked up at once."""

GATHER_S: Final = 0.02
RETRY_MS: Final = 2000
PACE_S: Final = 0.005
"""A reader that is behind gets a full chunk this often: a flood ends in a reset, not in encoding all of
it."""


class Hub:
    """See the module. Everything but `run` is called on the event loop and returns at once.

    `run_no`: greater than that of every earlier run on this database.
    `series`: what a series' number means; it must know every series before its first reading is published.
    """

    def __init__(self, run_no: int, store: Store, series: Callable[[int], Series], capacity: int = CAPACITY) -> None:
        self._ring = EventRing(run_no, series, capacity)
        self._store = store
        self._readers: set[Subscription] = set()
        self._pending_taps: deque[TapRow] = deque()
        self._pending_devices: dict[str, None] = {}
        self._has_pending = asyncio.Event()
        self._is_closed = False

    def publish(self, committed: Committed) -> None:
        """Takes in what one commit brought. Taps and devices follow when `run` has looked them up."""
        self._ring.add_packs(committed.packs)
        self._ring.add_packs(committed.retained_packs)
        if committed.taps or committed.device_changes:
            self._pending_taps.extend(committed.taps)
            self.note_devices(change.device_id for change in committed.device_changes)
        self._wake()

    def note_devices(self, ids: Iterable[str]) -> None:
        """Has these devices looked up and published: something about them is new."""
        self._pending_devices.update(dict.fromkeys(ids))
        if len(self._pending_taps) + len(self._pending_devices) > MAX_PENDING:
            self._lose()
        self._has_pending.set()

    def publish_event(self, kind: Kind, shown: object, device_id: str | None = None) -> None:
        """Publishes one event. `shown`: the record that the list of that kind gives; `device_id`: which
        device it is about."""
        self._ring.add(kind, shown, device_id)
        self._wake()

    def wants(self, kind: Kind) -> bool:
        """True if somebody listens for this kind."""
        return any(kind in reader.kinds for reader in self._readers)

    def subscribe(
        self, kinds: Collection[Kind], device_id: str | None = None, last_event_id: str | None = None
    ) -> "Subscription":
        """Returns a subscription from now on, or from the event after `last_event_id`; close it when done.

        An id that the ring does not hold (any more) gives a `reset` first. Raises Unavailable if too many
        listen or the gateway closes.
        """
        if self._is_closed:
            raise Unavailable("the gateway is closing", retry_after_s=10.0)
        if len(self._readers) >= MAX_READERS:
            raise Unavailable("too many listen to the live feed", retry_after_s=30.0)
        place = self._ring.last if last_event_id is None else self._ring.place_of(last_event_id)
        reader = Subscription(self._ring, self._readers.discard, frozenset(kinds), device_id, place)
        self._readers.add(reader)
        return reader

    async def run(self) -> None:
        """Looks up who tapped and what became of devices, and publishes it, until it is cancelled."""
        while True:
            await self._has_pending.wait()
            rows = [self._pending_taps.popleft() for _ in range(min(LOOK_UP, len(self._pending_taps)))]
            ids = list(self._pending_devices)[:LOOK_UP]
            for device_id in ids:
                del self._pending_devices[device_id]
            if not self._pending_taps and not self._pending_devices:
                self._has_pending.clear()
            await self._look_up(rows, ids)
            await asyncio.sleep(GATHER_S)

    async def _look_up(self, rows: list[TapRow], device_ids: list[str]) -> None:
        def query(connection: Connection) -> tuple[list[taps.Tap], list[listing.ListedDevice]]:
            known = people.holders(connection, {row.person_id for row in rows if row.person_id is not None})
            return [taps.committed_tap(row, known) for row in rows], listing.several(connection, device_ids)

        try:
            shown_taps, shown_devices = await self._store.read(query)
        except (SQLAlchemyError, Unavailable) as error:
            log.warning("live_look_up_failed", reason=str(error))
            self._lose()
            return
        for tap in shown_taps:
            self.publish_event(Kind.TAP, tap, tap.device)
        for device in shown_devices:
            self.publish_event(Kind.DEVICE, device, device.id)

    def close(self) -> None:
        """Ends every subscription; call it before the HTTP server is asked to stop."""
        self._is_closed = True
        for reader in list(self._readers):
            reader.close()

    def _lose(self) -> None:
        self._pending_taps.clear()
        self._pending_devices.clear()
        self._ring.lose()
        self._wake()

    def _wake(self) -> None:
        for reader in self._readers:
            reader.wake()


class Subscription:
    """What one reader gets: an endless iterator of chunks of SSE text (HTML, server-sent events §9.2.6).

    `place`: where in the ring the reader is; None: it has to be reset.
    """

    def __init__(
        self,
        ring: EventRing,
        leave: Callable[["Subscription"], None],
        kinds: frozenset[Kind],
        device_id: str | None,
        place: int | None,
    ) -> None:
        self.kinds = kinds
        self._ring = ring
        self._leave = leave
        self._device_id = device_id
        self._place = place
        self._greeting: bytes | None = b"retry: %d\n" % RETRY_MS
        self._waiter: asyncio.Future[None] | None = None
        self._is_behind = False
        self._is_reminded = False
        self._is_closed = False

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> bytes:
        if self._is_behind:
            await asyncio.sleep(PACE_S)
        while not self._is_closed:
            chunk = self._take()
            if chunk:
                self._is_behind = len(chunk) >= FULL_CHUNK
                return chunk
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        raise StopAsyncIteration

    def wake(self) -> None:
        """There may be something new."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def remind(self) -> None:
        """Sends a comment line if there is nothing else, so that whoever stands between keeps the line
        open."""
        self._is_reminded = True
        self.wake()

    def close(self) -> None:
        """Ends the iterator; harmless if done twice."""
        self._is_closed = True
        self._leave(self)
        self.wake()

    def _take(self) -> bytes:
        ring = self._ring
        found = None if self._place is None else ring.read_after(self._place, self.kinds, self._device_id)
        if found is None:
            self._place = ring.last
            chunk = b"event: reset\nid: %s\ndata: {}\n\n" % ring.cursor
        else:
            chunk, self._place = found
        # An id without data makes a reader resume from there, though no event of its kinds has come lately.
        if self._greeting is not None:
            chunk = self._greeting + (b"\n" + chunk if chunk else b"id: %s\n\n" % ring.cursor)
            self._greeting = None
        elif self._is_reminded and not chunk:
            chunk = b":\nid: %s\n\n" % ring.cursor
        self._is_reminded = False
        return chunk

"""The alert stage: feeds the engine what was committed, stores what comes of it, then tells."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from devices.registry import DeviceState
from foundation.clock import MINUTE_US, SECOND_US
from foundation.errors import NotFound, Unavailable
from foundation.room import Totals
from foundation.stored import Skipped
from gateway.alerts import saved
from gateway.alerts.backlog import Backlog, Batch
from gateway.alerts.engine import NAP_US, Engine
from gateway.alerts.lifecycle import Alert, Change, Reason, State
from gateway.alerts.past import Past, Tail, load_devices, load_past, load_tail
from gateway.alerts.rules import Rule, SilenceRule, ThresholdRule
from gateway.alerts.saved import Progress
from gateway.committed import Committed, Series
from gateway.logs import Repeated
from gateway.store.store import Store

log = structlog.get_logger("alerts")

PROGRESS_EVERY_US = MINUTE_US
"""How often the progress is stored though no alert changed, so that a start knows how long the gateway was
down."""

READ_AGAIN_US = SECOND_US
"""How often devices that cannot be read now are tried again; readings are evaluated meanwhile."""

SLICE = 250
"""Readings evaluated before other tasks get a turn."""


class Catalogue(Protocol):
    """What is known of series and devices. It knows every series before a commit with it is fed."""

    def series(self, series_id: int) -> Series:
        """Returns the series with this number. Raises KeyError."""

    def kind(self, device_id: str) -> str | None:
        """Returns the kind of a device, None if it is not in the registry."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """A series that some rule wants to know of: for its values, or as a sign of life of its device."""

    device_id: str
    kind: str
    measurement: str
    is_measured: bool
    is_listened_for: bool


class AlertStage:
    """All methods belong to the event loop's thread.

    `publish` is called with every change, in order, after its commit. `stale_after_s`: for how long a value
    holds before a threshold's alert is unknown.
    """

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        publish: Callable[[Change], None],
        now_us: Callable[[], int],
        stale_after_s: float,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._publish = publish
        self._now_us = now_us
        self._engine = Engine(now_us(), round(stale_after_s * SECOND_US))
        self._rules: dict[str, Rule] = {}
        self._watched: dict[int, _Watched] = {}
        self._unwatched: set[int] = set()
        self._backlog = Backlog()
        self._thinned_before = 0
        self._frame_no = 0
        self._unsaved: list[Change] = []
        self._saved = Progress()
        self._saving = asyncio.Lock()
        self._wake = asyncio.Event()
        self._ready = asyncio.Event()
        self._closing = asyncio.Event()
        self._must_read_devices = False
        self._unread = Repeated(log, "alerts_not_read")
        self._skipped = Skipped()

    # What comes in.

    def feed(self, committed: Committed) -> None:
        """Takes a commit; never blocks. What waits is bounded, see `Backlog`."""
        if self._backlog.add(committed, self._unwatched):
            self._wake.set()

    def devices_changed(self) -> None:
        """Says that the registry changed otherwise than by a commit that was fed: it is read again."""
        self._must_read_devices = True
        self._wake.set()

    def close(self) -> None:
        """Lets `run` evaluate and store what was fed, and end."""
        self._closing.set()
        self._wake.set()

    # What people ask for.

    def rules(self) -> list[Rule]:
        """Returns all rules in order of their ids, disabled ones too; none before the stage has read them."""
        return [self._rules[id_] for id_ in sorted(self._rules)]

    async def put_rule(self, rule: Rule) -> None:
        """Stores a rule, new or in place of the one with its id; returns when it is committed and in force.
        The alerts it touches are stored and told at once after that. Raises Unavailable."""
        await self._ready.wait()
        now_us = self._now_us()
        await self._store.write(lambda connection: saved.save_rule(connection, rule, now_us))
        self._rules[rule.id] = rule
        self._enforce_rules()

    async def delete_rule(self, rule_id: str) -> None:
        """Deletes a rule as `put_rule` puts one. Raises NotFound, Unavailable."""
        await self._ready.wait()
        if not await self._store.write(lambda connection: saved.delete_rule(connection, rule_id)):
            raise NotFound(f"rule {rule_id}")
        self._rules.pop(rule_id, None)
        self._enforce_rules()

    async def acknowledge(self, alert_id: int, who: str) -> Alert:
        """Notes who knows of a fired alert and returns it after the commit; again changes nothing.

        Raises NotFound if no open alert has this id, Conflict if it has not fired, Unavailable if it could
        not be stored now: the gateway goes on trying.
        """
        await self._ready.wait()
        self._unsaved += self._engine.acknowledge(alert_id, who, self._now_us())
        alert = self._engine.alert(alert_id)
        if alert is None:
            raise NotFound(f"open alert {alert_id}")
        await self._save()
        return alert

    def counts(self) -> Mapping[State, int]:
        """Returns how many alerts are in each open state, as evaluated."""
        return self._engine.counts()

    def readiness(self) -> Mapping[str, str | None]:
        """See `foundation.room.Reports`."""
        return {}

    def totals(self) -> Totals:
        """See `foundation.room.Reports`."""
        return {
            "alert_readings_thinned": ("Readings that a busy alert engine took together", self._thinned_total()),
            "alert_rows_unreadable": ("Rows that the alerts skip, for they cannot be read", self._skipped.total),
        }

    # The task.

    async def run(self) -> None:
        """Restores what was, then evaluates until `close`. Raises only what has no name here; after that it may be
        called again, and finds in the tables what it had not stored yet."""
        self._begin_anew()
        while (found := await self._read_past()) is None:
            if self._closing.is_set():
                return  # the next start finds what was fed in the tables
        await self._restore(*found)
        self._ready.set()
        self._wake.set()
        while True:
            await self._rest()
            is_last = self._closing.is_set()
            batch = self._backlog.take()
            await self._evaluate(batch)
            if self._must_read_devices:
                await self._read_devices()
            self._unsaved += self._engine.tick(self._now_us())
            await self._save_or_wait(must_save_progress=is_last)
            if is_last:
                return

    def _begin_anew(self) -> None:
        self._ready.clear()
        self._thinned_before += self._backlog.thinned_total
        self._backlog = Backlog()
        self._unsaved = []
        self._must_read_devices = False
        self._forget_look_ups()

    def _thinned_total(self) -> int:
        return self._thinned_before + self._backlog.thinned_total

    async def _read_past(self) -> tuple[Past, Tail] | None:
        """Returns what there is to restore; None, after a while, if it cannot be read now."""
        try:
            past = await self._store.read(lambda connection: load_past(connection, self._skipped))
            measured = {rule.measurement for rule in past.rules if isinstance(rule, ThresholdRule)}
            wanted = [entry for entry in past.series if entry.measurement in measured]
            tail, last_frame_no = await self._store.read(
                lambda connection: load_tail(connection, wanted, past.progress, self._skipped)
            )
        except Unavailable as error:
            self._unread.failed(reason=error.reason)
            await self._pause(error.retry_after_s)
            return None
        self._unread.succeeded()
        self._frame_no = last_frame_no
        return past, tail

    async def _restore(self, past: Past, tail: Tail) -> None:
        for rule in past.unreadable:
            log.error("rule_unreadable", rule_id=rule.id, reason=rule.reason)
        self._rules = {rule.id: rule for rule in past.rules}
        now_us = self._now_us()
        self._engine = Engine(now_us, self._engine.stale_after_us, past.progress.next_alert_id)
        self._unsaved += self._engine.restore(
            past.rules, past.devices, past.alerts, tail.newest_us, past.progress.listened_us
        )
        self._saved = past.progress
        await self._evaluate(Batch(now_us, self._frame_no, tail.missed))
        log.info(
            "alerts_restored",
            rules=len(self._rules),
            open=len(self._engine.open_alerts()),
            missed_readings=len(tail.missed),
        )

    async def _rest(self) -> None:
        nap_us = READ_AGAIN_US if self._must_read_devices else NAP_US
        wait_us = min(max(0, self._engine.next_deadline_us() - self._now_us()), nap_us)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_us / SECOND_US):
                await self._wake.wait()
        self._wake.clear()

    async def _evaluate(self, batch: Batch) -> None:
        engine, now_us = self._engine, batch.now_us
        heard_us = batch.heard_us
        for number, (series_id, at_us, _, value, _) in enumerate(batch.readings, 1):
            watched = self._watched.get(series_id) or self._look_up(series_id)
            if watched is not None:
                device_id = watched.device_id
                if watched.is_measured:
                    kind, measurement = watched.kind, watched.measurement
                    self._unsaved += engine.observe(device_id, kind, measurement, at_us, value, now_us)
                if watched.is_listened_for and at_us > heard_us.get(device_id, at_us - 1):
                    heard_us[device_id] = at_us
            if number % SLICE == 0:
                await asyncio.sleep(0)
        for device_id, at_us in heard_us.items():
            self._unsaved += engine.heard_from(device_id, now_us, at_us)
        for device_id in batch.present:
            self._unsaved += engine.heard_from(device_id, now_us)
        for device_id, state in batch.states.items():
            if (state == DeviceState.ACTIVE) != (device_id in engine.devices):
                self._must_read_devices = True
        self._frame_no = max(self._frame_no, batch.last_frame_no)

    def _look_up(self, series_id: int) -> _Watched | None:
        if series_id in self._unwatched:
            return None
        entry = self._catalogue.series(series_id)
        device_id, measurement = entry.device_id, entry.measurement
        if device_id not in self._engine.devices:
            self._must_read_devices = True
        kind = self._catalogue.kind(device_id)
        if kind is None:
            return None
        rules = self._engine.interest(device_id, kind, measurement)
        if not rules:
            self._unwatched.add(series_id)
            return None
        watched = self._watched[series_id] = _Watched(
            device_id,
            kind,
            measurement,
            any(isinstance(rule, ThresholdRule) for rule in rules),
            any(isinstance(rule, SilenceRule) for rule in rules),
        )
        return watched

    def _forget_look_ups(self) -> None:
        self._watched.clear()
        self._unwatched.clear()

    def _enforce_rules(self) -> None:
        self._unsaved += self._engine.set_rules(self._rules.values(), self._now_us())
        self._forget_look_ups()
        self._wake.set()

    async def _read_devices(self) -> None:
        self._must_read_devices = False
        try:
            devices = await self._store.read(lambda connection: load_devices(connection, self._skipped))
        except Unavailable as error:
            self._unread.failed(reason=error.reason)
            self._must_read_devices = True
            return
        self._unread.succeeded()
        before = dict(self._engine.devices)
        self._unsaved += self._engine.set_devices(devices, self._now_us())
        if self._engine.devices != before:
            self._forget_look_ups()

    # What goes out.

    async def _save_or_wait(self, *, must_save_progress: bool) -> None:
        """Stores what there is to store; while that cannot be done, tries again until `close`."""
        failures = 0
        since_us = self._now_us() - (self._saved.listened_us or 0)
        is_due = bool(self._rules) and not 0 <= since_us < PROGRESS_EVERY_US
        must_save_progress = is_due or (must_save_progress and bool(self._rules))
        while (failure := await self._failure_to_save(must_save_progress)) is not None:
            failures += 1
            if failures == 1:
                log.error("alerts_not_saved", reason=failure.reason, changes=len(self._unsaved))
            if self._closing.is_set():
                return
            await self._pause(failure.retry_after_s)
        if failures:
            log.info("alerts_saved_again", previous_errors=failures)

    async def _pause(self, for_s: float) -> None:
        """Waits, at most until `close`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                await self._closing.wait()

    async def _failure_to_save(self, must_save_progress: bool) -> Unavailable | None:
        try:
            await self._save(must_save_progress=must_save_progress)
        except Unavailable as error:
            return error
        return None

    async def _save(self, *, must_save_progress: bool = False) -> None:
        """Commits the changes so far and the progress, then tells. One at a time, so that the order stays."""
        async with self._saving:
            changes, self._unsaved = self._unsaved, []
            if not changes and not must_save_progress:
                return
            progress = Progress(self._frame_no, self._now_us(), self._engine.next_alert_id)
            is_saved = False
            try:
                await self._store.write(lambda connection: saved.save(connection, changes, progress))
                is_saved = True
            finally:
                if not is_saved:
                    self._unsaved = changes + self._unsaved
            self._saved = progress
            for change in changes:
                self._tell(change)

    def _tell(self, change: Change) -> None:
        alert = change.alert
        if alert.reason is not Reason.NEW_VALUE:
            log.info(
                "alert_changed",
                rule_id=alert.rule_id,
                subject=alert.subject,
                state=alert.state.value,
                was=change.was.value,
                reason=alert.reason.value,
            )
        self._publish(change)

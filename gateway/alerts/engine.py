"""The alert engine: readings, signs of life and time in, changes of alerts out. Pure: no I/O, no clock.

Every call takes the gateway's time `now_us`; it may jump, see `gateway.alerts.listening`. Changes come in
the order in which they happened. The engine holds a watch for each rule and subject
(`gateway.alerts.watches`); what it adds is who watches what, and whose deadline is next.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isnan

from foundation.clock import DAY_US, LIVE_TOLERANCE_US, SECOND_US
from foundation.errors import NotFound
from gateway.alerts.lifecycle import Alert, Change, Reason, State, withdrawn
from gateway.alerts.listening import NEVER_US, Listening, Timeline
from gateway.alerts.rules import Rule, SilenceRule, ThresholdRule
from gateway.alerts.watches import SilenceWatch, ThresholdWatch, Watch

NAP_US = 30 * SECOND_US
"""The engine wants a tick at least this often: half of the longest step of the clock that it believes."""

GRACE_US = 120 * SECOND_US
"""After a start of the gateway a device has at least this long to be heard again before it is called
silent."""

LONGEST_DOWNTIME_US = DAY_US
"""If the gateway's clock says that it was down for longer, or before it went down, event times from before
the start are not compared with those after it: the clock may have been set."""


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """An active device. `heard_us`: when it was last heard by the gateway's clock, or first known; None:
    now."""

    id: str
    kind: str
    heard_us: int | None = None


Key = tuple[str, str, str | None]
"""Rule id, device id, measurement (None for a silence rule)."""


class Engine:
    """All rules and their watches. `stale_after_us`: for how long a value holds, see `ThresholdWatch`."""

    def __init__(self, now_us: int, stale_after_us: int, next_alert_id: int = 1) -> None:
        self.next_alert_id = next_alert_id
        self._listening = Listening(now_us)
        self.stale_after_us = stale_after_us
        self._rules: dict[str, Rule] = {}
        self._devices: dict[str, str] = {}  # id to kind
        self._watches: dict[Key, Watch] = {}
        self._thresholds: dict[tuple[str, str], tuple[ThresholdWatch, ...]] = {}  # by device and measurement
        self._silences: dict[str, tuple[SilenceWatch, ...]] = {}  # by device
        self._open: dict[int, Watch] = {}  # by the id of the alert
        self._deadlines: list[tuple[int, int, Watch]] = []  # a heap; entries may be out of date, see _arm
        self._entries = 0

    # What is watched.

    @property
    def devices(self) -> Mapping[str, str]:
        """The active devices, id to kind."""
        return self._devices

    def restore(
        self,
        rules: Iterable[Rule],
        devices: Iterable[KnownDevice],
        alerts: Iterable[Alert],
        newest_us: Mapping[tuple[str, str], int],
        listened_until_us: int | None,
    ) -> list[Change]:
        """Goes on where another engine stopped; call it first. Returns the alerts that have nothing left to
        watch.

        `alerts`: the open ones. `newest_us`: event time of the newest reading already evaluated, by device
        and measurement. `listened_until_us`: until when the gateway is known to have listened, by its
        clock. Time since then is no silence of a device; a threshold's condition goes on over it.
        """
        listening = self._listening
        self._rules = {rule.id: rule for rule in rules if rule.enabled}
        known = {device.id: device for device in devices}
        self._devices = {device.id: device.kind for device in known.values()}
        down_us = 0 if listened_until_us is None else listening.now_us - listened_until_us
        is_comparable = -LIVE_TOLERANCE_US <= down_us <= LONGEST_DOWNTIME_US
        changes: list[Change] = []
        for alert in alerts:
            watch = self._restored(alert, newest_us, is_comparable)
            if watch is None:
                gone = Reason.DEVICE_GONE if alert.device_id not in known else Reason.RULE_GONE
                changes.append(withdrawn(alert, gone, listening.now_us))
            else:
                self._enter((alert.rule_id, alert.device_id, alert.measurement), watch)
        for (device_id, measurement), at_us in newest_us.items():
            kind = self._devices.get(device_id, "")
            for rule in self._threshold_rules(device_id, kind, measurement):
                if (rule.id, device_id, measurement) not in self._watches:
                    timeline = Timeline(0, at_us, is_comparable=is_comparable)
                    self._watch_threshold(rule, device_id, timeline)
        for device in known.values():
            silent_us = 0
            if is_comparable and listened_until_us is not None and device.heard_us is not None:
                silent_us = max(0, listened_until_us - device.heard_us)
            heard_us = listening.now_us if device.heard_us is None else device.heard_us
            self._watch_silence(device.id, -silent_us, heard_us, GRACE_US)
        return changes

    def rules(self) -> tuple[Rule, ...]:
        """Returns the rules in force, in order of their ids; disabled ones are not among them."""
        return tuple(self._rules[id_] for id_ in sorted(self._rules))

    def set_rules(self, rules: Iterable[Rule], now_us: int) -> list[Change]:
        """Puts these rules in force instead of those before. Alerts of a rule that is gone, disabled, or no
        longer about their subject end; those of a changed rule are judged anew."""
        self._listening.advance(now_us)
        old, self._rules = self._rules, {rule.id: rule for rule in rules if rule.enabled}
        changes: list[Change] = []
        for key, watch in list(self._watches.items()):
            rule = self._rules.get(key[0])
            if rule == old.get(key[0]):
                continue
            kind = self._devices.get(key[1], "")
            if rule is not None and _can_adapt(watch, rule, kind):
                changes += self._after(watch, watch.adapt(rule, self._listening))
            else:
                changes += self._remove(key, Reason.RULE_GONE if rule is None else Reason.RULE_CHANGED)
        self._thresholds.clear()
        for device_id in self._devices:
            self._watch_silence(device_id, self._listening.listened_us, now_us, 0)
        return changes

    def set_devices(self, devices: Iterable[KnownDevice], now_us: int) -> list[Change]:
        """Says which devices are active, instead of those before. The alerts of a device that is gone end."""
        self._listening.advance(now_us)
        old, self._devices = self._devices, {device.id: device.kind for device in devices}
        changed = {id_ for id_ in old.keys() | self._devices.keys() if old.get(id_) != self._devices.get(id_)}
        changes: list[Change] = []
        if not changed:
            return changes
        for key, watch in list(self._watches.items()):
            if key[1] not in changed:
                continue
            kind = self._devices.get(key[1])
            if kind is None:
                changes += self._remove(key, Reason.DEVICE_GONE)
            elif not watch.rule.applies_to(key[1], kind):
                changes += self._remove(key, Reason.RULE_CHANGED)
        self._thresholds.clear()
        for device_id in changed - self._devices.keys():
            self._silences.pop(device_id, None)
        for device_id in changed & self._devices.keys():
            self._watch_silence(device_id, self._listening.listened_us, now_us, 0)
        return changes

    def interest(self, device_id: str, kind: str, measurement: str) -> tuple[Rule, ...]:
        """Returns the rules that want to know of this series; right until rules or devices are set."""
        return tuple(
            rule
            for rule in self._rules.values()
            if rule.applies_to(device_id, kind)
            and not (isinstance(rule, ThresholdRule) and rule.measurement != measurement)
        )

    # What happens.

    def observe(
        self, device_id: str, kind: str, measurement: str, at_us: int, value: float, now_us: int
    ) -> list[Change]:
        """Takes a reading for the threshold rules; `heard_from` is called beside it, once for many readings.
        A value that is not a number is nobody's."""
        if now_us != self._listening.now_us:
            self._listening.advance(now_us)
        watches = self._thresholds.get((device_id, measurement))
        if watches is None:
            watches = self._look_up(device_id, kind, measurement)
        changes: list[Change] = []
        if not isnan(value):
            for watch in watches:
                found = watch.observe(at_us, value, self._listening)
                if found or watch.alert is not None:
                    changes += self._after(watch, found)
        return changes

    def heard_from(self, device_id: str, now_us: int, at_us: int | None = None) -> list[Change]:
        """Takes a sign of life: an event of that time, or (None) that the device is there now."""
        self._listening.advance(now_us)
        changes: list[Change] = []
        for watch in self._silences.get(device_id, ()):
            changes += self._after(watch, watch.hear(at_us, self._listening))
        return changes

    def tick(self, now_us: int) -> list[Change]:
        """Does what time alone does: durations that are over, silence, data that stopped coming."""
        listening = self._listening
        listening.advance(now_us)
        changes: list[Change] = []
        while self._deadlines and self._deadlines[0][0] <= listening.listened_us:
            deadline_us, _, watch = heapq.heappop(self._deadlines)
            if watch.queued_us == deadline_us:
                watch.queued_us = None
                changes += self._after(watch, watch.settle(listening))
        return changes

    def acknowledge(self, alert_id: int, who: str, now_us: int) -> list[Change]:
        """Notes who knows of a fired alert; again changes nothing. Raises NotFound if no open alert has this
        id, Conflict if it has not fired."""
        self._listening.advance(now_us)
        watch = self._open.get(alert_id)
        if watch is None:
            raise NotFound(f"open alert {alert_id}")
        changes = self._after(watch, watch.settle(self._listening))
        return changes + self._after(watch, watch.acknowledge(who, self._listening))

    # What is so.

    def next_deadline_us(self) -> int:
        """Returns the gateway's time at which `tick` is wanted, at most `NAP_US` after the last call."""
        wait_us = NAP_US
        if self._deadlines:
            wait_us = min(wait_us, max(0, self._deadlines[0][0] - self._listening.listened_us))
        return self._listening.now_us + wait_us

    def alert(self, alert_id: int) -> Alert | None:
        """Returns the open alert with this id."""
        watch = self._open.get(alert_id)
        return None if watch is None else watch.alert

    def open_alerts(self) -> list[Alert]:
        """Returns every open alert, oldest first."""
        watches = (self._open[id_] for id_ in sorted(self._open))
        return [watch.alert for watch in watches if watch.alert is not None]

    def counts(self) -> Mapping[State, int]:
        """Returns how many alerts are in each open state."""
        return Counter(alert.state for alert in self.open_alerts())

    # Below: the book-keeping.

    def _next_id(self) -> int:
        self.next_alert_id += 1
        return self.next_alert_id - 1

    def _threshold_rules(self, device_id: str, kind: str, measurement: str) -> list[ThresholdRule]:
        return [r for r in self.interest(device_id, kind, measurement) if isinstance(r, ThresholdRule)]

    def _look_up(self, device_id: str, kind: str, measurement: str) -> tuple[ThresholdWatch, ...]:
        watches: list[ThresholdWatch] = []
        for rule in self._threshold_rules(device_id, kind, measurement):
            watch = self._watches.get((rule.id, device_id, measurement))
            if not isinstance(watch, ThresholdWatch):
                watch = self._watch_threshold(rule, device_id, Timeline())
            watches.append(watch)
        found = self._thresholds[device_id, measurement] = tuple(watches)
        return found

    def _watch_threshold(self, rule: ThresholdRule, device_id: str, timeline: Timeline) -> ThresholdWatch:
        watch = ThresholdWatch(rule, device_id, timeline, self.stale_after_us, self._next_id)
        self._enter((rule.id, device_id, rule.measurement), watch)
        return watch

    def _watch_silence(self, device_id: str, moment_us: int, heard_us: int, grace_us: int) -> None:
        """Makes the silence watches that a device lacks, and the list of all it has."""
        watches: list[SilenceWatch] = []
        for rule in self._rules.values():
            if not isinstance(rule, SilenceRule) or not rule.applies_to(device_id, self._devices[device_id]):
                continue
            key = (rule.id, device_id, None)
            watch = self._watches.get(key)
            if not isinstance(watch, SilenceWatch):
                grace_until_us = self._listening.listened_us + grace_us if grace_us else 0
                watch = SilenceWatch(
                    rule,
                    device_id,
                    Timeline(moment_us),
                    heard_us,
                    self._next_id,
                    grace_until_us=grace_until_us,
                )
                self._enter(key, watch)
            watches.append(watch)
        self._silences[device_id] = tuple(watches)

    def _restored(self, alert: Alert, newest_us: Mapping[tuple[str, str], int], is_comparable: bool) -> Watch | None:
        """Returns the watch of an open alert, None if its rule or its device is gone."""
        rule = self._rules.get(alert.rule_id)
        kind = self._devices.get(alert.device_id)
        if rule is None or kind is None or not rule.applies_to(alert.device_id, kind):
            return None
        if isinstance(rule, SilenceRule) and alert.measurement is None:
            timeline = Timeline(-rule.after_us)
            heard_us = alert.condition_since_us
            return SilenceWatch(rule, alert.device_id, timeline, heard_us, self._next_id, alert)
        if not isinstance(rule, ThresholdRule) or rule.measurement != alert.measurement:
            return None
        value_at_us = alert.condition_since_us if alert.value_at_us is None else alert.value_at_us
        at_us = max(value_at_us, newest_us.get((alert.device_id, rule.measurement), value_at_us))
        timeline = Timeline(0, at_us, is_comparable=is_comparable)
        aged_us = max(0, self._listening.now_us - at_us) if is_comparable else -NEVER_US
        return ThresholdWatch(
            rule, alert.device_id, timeline, self.stale_after_us, self._next_id, alert, aged_us=aged_us
        )

    def _enter(self, key: Key, watch: Watch) -> None:
        self._watches[key] = watch
        if watch.alert is not None:
            self._open[watch.alert.id] = watch
        self._arm(watch)

    def _remove(self, key: Key, reason: Reason) -> list[Change]:
        watch = self._watches.pop(key)
        changes = self._after(watch, watch.withdraw(reason, self._listening))
        watch.queued_us = None  # whatever is in the heap is out of date now
        return changes

    def _after(self, watch: Watch, changes: list[Change]) -> list[Change]:
        """Keeps the books after anything a watch did; returns the changes."""
        for change in changes:
            if change.alert.is_open:
                self._open[change.alert.id] = watch
            else:
                self._open.pop(change.alert.id, None)
        self._arm(watch)
        return changes

    def _arm(self, watch: Watch) -> None:
        """Sees to it that the heap has an entry no later than the watch's deadline.

        A deadline that moved back leaves its entry where it is: when its time comes, the watch finds
        nothing to do and is entered again. So a reading that puts a deadline off costs nothing.
        """
        deadline_us = watch.deadline_us()
        if deadline_us is not None and (watch.queued_us is None or deadline_us < watch.queued_us):
            self._entries += 1
            heapq.heappush(self._deadlines, (deadline_us, self._entries, watch))
            watch.queued_us = deadline_us


def _can_adapt(watch: Watch, rule: Rule, kind: str) -> bool:
    """True if the watch can go on under the changed rule: it still applies, and to the same thing."""
    if type(rule) is not type(watch.rule) or not rule.applies_to(watch.device_id, kind):
        return False
    return not isinstance(rule, ThresholdRule) or rule.measurement == watch.measurement

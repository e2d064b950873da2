"""What one rule sees of one subject: when its alert begins, goes on and ends. Pure; times are integer µs.

A watch is fed readings or signs of life, and asked to `settle` when `deadline_us` (in listening time, see
`gateway.alerts.listening`) has come. It settles before it takes anything new, so that what comes out does not
depend on how punctual the clock's ticks are. Every kind of rule has its watch; all have this surface.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

from foundation.clock import SECOND_US
from foundation.errors import Conflict
from gateway.alerts.lifecycle import Alert, Change, Event, Reason, State, after, withdrawn
from gateway.alerts.listening import Listening, Timeline
from gateway.alerts.rules import Rule, SilenceRule, ThresholdRule

NEW_VALUE_EVERY_US = 10 * SECOND_US
"""How often the value of an open alert is brought up to date, in listening time."""


class Watch(ABC):
    """What all watches share: the open alert, if there is one, and the ways it changes."""

    __slots__ = ("_changed_us", "_next_id", "alert", "device_id", "queued_us", "timeline")

    def __init__(self, device_id: str, timeline: Timeline, next_id: Callable[[], int], alert: Alert | None) -> None:
        self.device_id = device_id
        self.timeline = timeline
        self.alert = alert
        self.queued_us: int | None = None  # the deadline the engine knows of
        self._next_id = next_id
        self._changed_us = 0

    @property
    @abstractmethod
    def rule(self) -> Rule: ...

    @property
    @abstractmethod
    def measurement(self) -> str | None: ...

    @abstractmethod
    def deadline_us(self) -> int | None:
        """Returns the listening time at which `settle` will have something to do, None if never by itself."""

    @abstractmethod
    def settle(self, listening: Listening) -> list[Change]:
        """Does what time alone does. Calling it early or again does nothing."""

    @abstractmethod
    def adapt(self, rule: Rule, listening: Listening) -> list[Change]:
        """Goes on under a rule that was changed and still applies; the open alert is judged anew."""

    def acknowledge(self, who: str, listening: Listening) -> list[Change]:
        """Notes who knows of the alert; the first to say so stays. Raises Conflict if it has not fired."""
        alert = self.alert
        if alert is None or not alert.has_fired:
            raise Conflict("the alert has not fired yet, there is nothing to acknowledge")
        if alert.acknowledged_us is not None:
            return []
        self.alert = replace(alert, acknowledged_by=who, acknowledged_us=listening.now_us)
        return [self._move(Event.ACKNOWLEDGED, Reason.ACKNOWLEDGED, listening)]

    def withdraw(self, reason: Reason, listening: Listening) -> list[Change]:
        """Ends the alert because there is nothing left to watch."""
        if self.alert is None:
            return []
        change = withdrawn(self.alert, reason, listening.now_us)
        self.alert = None
        return [change]

    def _open(self, since_us: int, reason: Reason, listening: Listening) -> Change:
        rule = self.rule
        self.alert = Alert(
            id=self._next_id(),
            rule_id=rule.id,
            rule_name=rule.name,
            severity=rule.severity,
            device_id=self.device_id,
            measurement=self.measurement,
            state=State.NONE,
            has_fired=False,
            condition_since_us=since_us,
            since_us=since_us,
            value=None,
            value_at_us=None,
            acknowledged_by=None,
            acknowledged_us=None,
            resolved_us=None,
            reason=reason,
            updated_us=listening.now_us,
        )
        return self._move(Event.MET, reason, listening)

    def _fire(self, since_us: int, reason: Reason, listening: Listening) -> Change:
        self.alert = replace(self._open_alert(), has_fired=True, since_us=since_us)
        return self._move(Event.HELD, reason, listening)

    def _clear(self, reason: Reason, at_us: int, listening: Listening) -> Change:
        self.alert = replace(self._open_alert(), resolved_us=at_us)
        change = self._move(Event.CLEARED, reason, listening)
        self.alert = None
        return change

    def _move(self, event: Event, reason: Reason, listening: Listening) -> Change:
        """The one place where an alert's state changes."""
        alert = self._open_alert()
        self.alert = replace(
            self._refreshed(alert),
            state=after(alert.state, event),
            reason=reason,
            updated_us=listening.now_us,
        )
        self._changed_us = listening.listened_us
        return Change(self.alert, alert.state)

    def _say(self, reason: Reason, listening: Listening) -> Change:
        """Tells that something about the alert is new though its state is not."""
        alert = self._open_alert()
        self.alert = replace(self._refreshed(alert), reason=reason, updated_us=listening.now_us)
        self._changed_us = listening.listened_us
        return Change(self.alert, alert.state)

    def _refreshed(self, alert: Alert) -> Alert:
        """Returns the alert with what the watch knows by now."""
        return replace(alert, rule_name=self.rule.name, severity=self.rule.severity)

    def _open_alert(self) -> Alert:
        if self.alert is None:
            raise ValueError("there is no open alert")
        return self.alert


class ThresholdWatch(Watch):
    """One measurement of one device under a threshold rule.

    A value holds for `stale_after_us`; after that nothing is concluded from it. So a duration may run out
    between two readings and the alert fires at that moment, without a further reading, if the last one
    still holds; one reading and then nothing for longer than a value holds never makes an alert. With no
    data for the longer of `for_us` and `stale_after_us` (the horizon) an open alert is unknown. A subject
    without an alert that goes quiet makes none: that is a silence rule's business.

    Readings older than the newest one change nothing. Buffered readings from before the horizon are
    followed, so that `condition_since_us` becomes right, but raise and resolve nothing: the first one that
    is recent decides. A gap longer than the horizon begins the duration anew, unless the gateway itself was
    down: over that a duration goes on, but a value from before, `aged_us` old at the start, does not hold
    for longer by it.
    """

    __slots__ = ("_aged_us", "_horizon_us", "_rule", "_since_us", "_stale_after_us", "_value")

    def __init__(
        self,
        rule: ThresholdRule,
        device_id: str,
        timeline: Timeline,
        stale_after_us: int,
        next_id: Callable[[], int],
        alert: Alert | None = None,
        *,
        aged_us: int = 0,
    ) -> None:
        super().__init__(device_id, timeline, next_id, alert)
        self._rule = rule
        self._aged_us = aged_us
        self._stale_after_us = stale_after_us
        self._horizon_us = max(rule.for_us, stale_after_us)
        self._since_us = None if alert is None else alert.condition_since_us  # None: the condition is not met
        self._value = None if alert is None else alert.value

    @property
    def rule(self) -> ThresholdRule:
        return self._rule

    @property
    def measurement(self) -> str:
        return self._rule.measurement

    def deadline_us(self) -> int | None:
        """See `Watch`."""
        if self.alert is None or self.alert.state is State.UNKNOWN:
            return None
        moment_us = self.timeline.moment_us
        if self.alert.state is State.PENDING:
            fires_us = moment_us + self._missing_us()
            if fires_us < moment_us + self._stale_after_us - self._aged_us:
                return fires_us
        return moment_us + self._horizon_us

    def settle(self, listening: Listening) -> list[Change]:
        """See `Watch`."""
        changes: list[Change] = []
        deadline_us = self.deadline_us()
        while deadline_us is not None and deadline_us <= listening.listened_us:
            if deadline_us == self.timeline.moment_us + self._horizon_us:
                changes.append(self._move(Event.LOST, Reason.NO_DATA, listening))
            else:
                changes.append(self._fire(self._due_us(), Reason.HELD, listening))
            deadline_us = self.deadline_us()
        return changes

    def observe(self, at_us: int, value: float, listening: Listening) -> list[Change]:
        """Takes a reading: its event time and its value, which is a number."""
        changes = self.settle(listening) if self.alert is not None else []
        gap_us = self.timeline.accept(at_us, listening)
        if gap_us is None:
            return changes
        self._follow(at_us, value, gap_us)
        is_recent = listening.listened_us - self.timeline.moment_us < self._horizon_us
        if is_recent and (self.alert is not None or self._since_us is not None):
            changes += self._conclude(at_us, listening)
            changes += self.settle(listening)
        return changes

    def adapt(self, rule: Rule, listening: Listening) -> list[Change]:
        """See `Watch`. A rule without an open alert speaks from the next reading on."""
        if not isinstance(rule, ThresholdRule):
            raise TypeError("a threshold watch needs a threshold rule")
        changes = self.settle(listening)
        self._rule = rule
        self._horizon_us = max(rule.for_us, self._stale_after_us)
        if self.alert is None:
            self._since_us = None
            return changes
        value = None if self.alert.state is State.UNKNOWN else self._value
        if value is not None and rule.is_cleared(value):
            self._since_us = None
            return [*changes, self._clear(Reason.RULE_CHANGED, listening.now_us, listening)]
        return [*changes, self._say(Reason.RULE_CHANGED, listening), *self.settle(listening)]

    def _follow(self, at_us: int, value: float, gap_us: int) -> None:
        """Keeps since when the condition is met, in event time."""
        self._value = value
        self._aged_us = 0
        moved_us = self.timeline.moved_us
        if moved_us and self.alert is not None:
            self.alert = replace(self.alert, since_us=self.alert.since_us + moved_us)
        if self._since_us is None:
            if self._rule.is_met(value):
                self._since_us = at_us
        elif self._rule.is_cleared(value):
            self._since_us = None
        elif gap_us > self._horizon_us and not (self.alert is not None and self.alert.has_fired):
            self._since_us = at_us
        else:
            self._since_us += moved_us

    def _conclude(self, at_us: int, listening: Listening) -> list[Change]:
        """Brings the alert in line with the newest reading; one change at most."""
        alert = self.alert
        if self._since_us is None:
            return [self._clear(Reason.CLEARED, at_us, listening)]
        was = State.NONE if alert is None else alert.state
        changes: list[Change] = []
        if alert is None:
            changes.append(self._open(self._since_us, Reason.THRESHOLD_PASSED, listening))
        elif was is State.UNKNOWN:
            changes += self._return(alert, listening)
        if self._open_alert().state is State.PENDING and self._missing_us() <= 0:
            changes.append(self._fire(self._due_us(), Reason.HELD, listening))
        if changes:
            return [Change(changes[-1].alert, was)]
        is_new = self._value != self._open_alert().value
        if is_new and listening.listened_us - self._changed_us >= NEW_VALUE_EVERY_US:
            return [self._say(Reason.NEW_VALUE, listening)]
        return []

    def _return(self, alert: Alert, listening: Listening) -> list[Change]:
        if not alert.has_fired:
            return [self._move(Event.MET, Reason.DATA_AGAIN, listening)]
        changes = [self._fire(alert.since_us, Reason.DATA_AGAIN, listening)]
        if alert.acknowledged_us is not None:
            changes.append(self._move(Event.ACKNOWLEDGED, Reason.DATA_AGAIN, listening))
        return changes

    def _due_us(self) -> int:
        """Returns the event time at which the condition has held for long enough."""
        return (self._since_us or 0) + self._rule.for_us

    def _missing_us(self) -> int:
        """Returns for how much longer after the newest reading the condition must hold."""
        return self._due_us() - (self.timeline.at_us or 0)

    def _refreshed(self, alert: Alert) -> Alert:
        since_us = alert.condition_since_us if self._since_us is None else self._since_us
        return replace(
            alert,
            rule_name=self._rule.name,
            severity=self._rule.severity,
            condition_since_us=since_us,
            since_us=alert.since_us if alert.has_fired else since_us,
            value=self._value,
            value_at_us=self.timeline.at_us,
        )


class SilenceWatch(Watch):
    """One device under a silence rule.

    Silence is counted in listening time from the last sign of life. A late event stands for its own time: it
    shortens no silence by more than that. After a start of the gateway every device has at least until
    `grace_until_us` to be heard again; what it was silent before the gateway went down still counts.
    """

    __slots__ = ("_grace_until_us", "_heard_us", "_rule")

    def __init__(
        self,
        rule: SilenceRule,
        device_id: str,
        timeline: Timeline,
        heard_us: int,
        next_id: Callable[[], int],
        alert: Alert | None = None,
        *,
        grace_until_us: int = 0,
    ) -> None:
        super().__init__(device_id, timeline, next_id, alert)
        self._rule = rule
        self._heard_us = heard_us  # for people: when the device was last heard, or first known
        self._grace_until_us = grace_until_us

    @property
    def rule(self) -> SilenceRule:
        return self._rule

    @property
    def measurement(self) -> None:
        return None

    def deadline_us(self) -> int | None:
        """See `Watch`."""
        if self.alert is not None:
            return None
        return max(self.timeline.moment_us + self._rule.after_us, self._grace_until_us)

    def settle(self, listening: Listening) -> list[Change]:
        """See `Watch`."""
        deadline_us = self.deadline_us()
        if deadline_us is None or deadline_us > listening.listened_us:
            return []
        self._open(self._heard_us, Reason.SILENT, listening)
        return [Change(self._fire(listening.now_us, Reason.SILENT, listening).alert, State.NONE)]

    def hear(self, at_us: int | None, listening: Listening) -> list[Change]:
        """Takes a sign of life: an event of that time, or (None) that the device is there now."""
        changes = self.settle(listening)
        if at_us is None:
            self.timeline.touch(listening)
            self._heard_us = listening.now_us
        elif self.timeline.accept(at_us, listening) is None:
            return changes
        else:
            self._heard_us = at_us
        if self.alert is not None and self.timeline.moment_us + self._rule.after_us > listening.listened_us:
            changes.append(self._clear(Reason.HEARD_AGAIN, self._heard_us, listening))
        return changes

    def adapt(self, rule: Rule, listening: Listening) -> list[Change]:
        """See `Watch`."""
        if not isinstance(rule, SilenceRule):
            raise TypeError("a silence watch needs a silence rule")
        changes = self.settle(listening)
        self._rule = rule
        if self.alert is None:
            return changes + self.settle(listening)
        if self.timeline.moment_us + rule.after_us > listening.listened_us:
            return [*changes, self._clear(Reason.RULE_CHANGED, listening.now_us, listening)]
        return [*changes, self._say(Reason.RULE_CHANGED, listening)]

"""The life cycle of an alert, as a table.

There is at most one open alert for a rule and its subject (a device, or one measurement of a device). It
moves only along `TRANSITIONS`; everything that can happen to it is an `Event`.

              met           held          acknowledged
        none ─────▶ pending ─────▶ firing ─────────────▶ acknowledged
                       │             │                        │
                       ├─────────────┴────────────────────────┤
                       │                                      │
                       ├── lost ──▶ unknown ── met, held ──▶ (back)
                       │               │
                       └── cleared ────┴──▶ resolved

- *Pending*: the condition is met, but not yet for as long as the rule asks. Nobody is told.
- *Firing*: it has held for long enough. *Acknowledged*: somebody said that they know. Acknowledging ends
  nothing.
- *Unknown*: the data that would tell stopped coming. No data is not good news, so an alert never goes from
  firing to resolved without a value that says so. When data are back, `met` takes one that had never fired
  back to pending and `held` takes one that had fired back to firing, and on to acknowledged if it was.
- *Resolved* is final: the condition is over, or there is nothing left to watch (the rule or the device
  went, event `withdrawn`). A condition that comes again is a new alert. An alert that resolves without
  having fired was never one for anybody: it is not kept.

A silence rule never knows pending: silence *is* duration. It never knows unknown: no data is its very
subject.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from gateway.alerts.rules import Severity


class State(enum.StrEnum):
    """Where an alert is. NONE: there is no alert; it is never stored."""

    NONE = "none"
    PENDING = "pending"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    UNKNOWN = "unknown"
    RESOLVED = "resolved"


class Event(enum.StrEnum):
    """What can happen to an alert."""

    MET = "met"
    HELD = "held"
    CLEARED = "cleared"
    LOST = "lost"
    ACKNOWLEDGED = "acknowledged"
    WITHDRAWN = "withdrawn"


TRANSITIONS: Mapping[State, Mapping[Event, State]] = MappingProxyType(
    {
        State.NONE: {Event.MET: State.PENDING},
        State.PENDING: {
            Event.HELD: State.FIRING,
            Event.CLEARED: State.RESOLVED,
            Event.LOST: State.UNKNOWN,
            Event.WITHDRAWN: State.RESOLVED,
        },
        State.FIRING: {
            Event.ACKNOWLEDGED: State.ACKNOWLEDGED,
            Event.CLEARED: State.RESOLVED,
            Event.LOST: State.UNKNOWN,
            Event.WITHDRAWN: State.RESOLVED,
        },
        State.ACKNOWLEDGED: {
            Event.CLEARED: State.RESOLVED,
            Event.LOST: State.UNKNOWN,
            Event.WITHDRAWN: State.RESOLVED,
        },
        State.UNKNOWN: {
            Event.MET: State.PENDING,
            Event.HELD: State.FIRING,
            Event.ACKNOWLEDGED: State.UNKNOWN,
            Event.CLEARED: State.RESOLVED,
            Event.WITHDRAWN: State.RESOLVED,
        },
        State.RESOLVED: {},
    }
)


def after(state: State, event: Event) -> State:
    """Returns the state that follows. Raises ValueError if the event cannot happen there."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise ValueError(f"{event.value} cannot happen to an alert that is {state.value}") from None


class Reason(enum.StrEnum):
    """Why an alert was last changed, for people and for programs."""

    THRESHOLD_PASSED = "threshold_passed"
    HELD = "held"
    CLEARED = "cleared"
    NO_DATA = "no_data"
    DATA_AGAIN = "data_again"
    SILENT = "silent"
    HEARD_AGAIN = "heard_again"
    NEW_VALUE = "new_value"
    ACKNOWLEDGED = "acknowledged"
    RULE_CHANGED = "rule_changed"
    RULE_GONE = "rule_gone"
    DEVICE_GONE = "device_gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert, from the moment its condition was met. Times are µs since 1970 UTC.

    `condition_since_us`: event time since when the condition holds; for a silent device, when it was last
    heard. `since_us`: when the alert began to fire; until it has fired (`has_fired`), `condition_since_us`.
    `value`, `value_at_us`: the newest reading it rests on, None for a silent device. `resolved_us`: event
    time of the end. `updated_us`: the gateway's time of the last change, which `reason` explains.
    """

    id: int
    rule_id: str
    rule_name: str
    severity: Severity
    device_id: str
    measurement: str | None
    state: State
    has_fired: bool
    condition_since_us: int
    since_us: int
    value: float | None
    value_at_us: int | None
    acknowledged_by: str | None
    acknowledged_us: int | None
    resolved_us: int | None
    reason: Reason
    updated_us: int

    @property
    def subject(self) -> str:
        """What the alert is about: `<device>` or `<device>/<measurement>`."""
        return self.device_id if self.measurement is None else f"{self.device_id}/{self.measurement}"

    @property
    def is_open(self) -> bool:
        return self.state is not State.RESOLVED


@dataclass(frozen=True, slots=True)
class Change:
    """An alert as it is now, and the state it had before; the same state if only a value or a name is new."""

    alert: Alert
    was: State


def withdrawn(alert: Alert, reason: Reason, now_us: int) -> Change:
    """Returns the end of an open alert that has nothing left to watch."""
    state = after(alert.state, Event.WITHDRAWN)
    ended = replace(alert, state=state, resolved_us=now_us, reason=reason, updated_us=now_us)
    return Change(ended, alert.state)

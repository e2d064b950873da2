"""Alerts as they are shown: newest first."""

from dataclasses import dataclass
from typing import Final, Literal, cast

from sqlalchemy import Connection, select

from foundation import rfc3339
from gateway.alerts.lifecycle import Alert, State
from gateway.alerts.saved import alert_from
from gateway.alerts.tables import alert
from gateway.store.page import Page, page_of

# As literals, so that the API's document spells them out; a test holds them to the words of `Severity` and `State`.
SeverityLabel = Literal["info", "warning", "critical"]
StateLabel = Literal["pending", "firing", "acknowledged", "resolved", "unknown"]
StateFilter = Literal["open", StateLabel]


@dataclass(frozen=True, slots=True)
class ListedAlert:
    """One alert. `subject`: `<device>` or `<device>/<measurement>`; `since`: when it began to fire, or if it has
    not, when its condition was met."""

    id: str
    rule: str
    rule_name: str
    subject: str
    state: StateLabel
    severity: SeverityLabel
    since: rfc3339.Moment
    value: float | None
    acknowledged_by: str | None
    acknowledged_at: rfc3339.Moment | None


_OPEN: Final = tuple(state.value for state in State if state not in (State.NONE, State.RESOLVED))


def page(
    connection: Connection, state: StateFilter | None, before_id: int | None, limit: int
) -> Page[ListedAlert, int]:
    """Returns the newest alerts first, those older than `before_id`; in one state if given, `open`: not resolved."""
    query = select(alert).order_by(alert.c.id.desc()).limit(limit + 1)
    if state is not None:
        query = query.where(alert.c.state.in_(_OPEN if state == "open" else (state,)))
    if before_id is not None:
        query = query.where(alert.c.id < before_id)
    rows = connection.execute(query).all()
    return page_of(rows, limit, lambda row: shown(alert_from(row)), lambda row: int(row.id))


def shown(entry: Alert) -> ListedAlert:
    """Returns an alert as the list shows it."""
    return ListedAlert(
        id=str(entry.id),
        rule=entry.rule_id,
        rule_name=entry.rule_name,
        subject=entry.subject,
        state=cast(StateLabel, entry.state.value),
        severity=entry.severity.value,
        since=rfc3339.text(entry.since_us),
        value=entry.value,
        acknowledged_by=entry.acknowledged_by,
        acknowledged_at=rfc3339.text_or_none(entry.acknowledged_us),
    )

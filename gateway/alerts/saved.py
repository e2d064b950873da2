"""Rules and alerts as they are stored: loading, saving, forgetting. Times are µs since 1970 UTC."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    select,
)

from foundation.errors import Invalid
from foundation.stored import UNREADABLE, Skipped, check, readable, stored, within
from gateway.alerts.lifecycle import Alert, Change, Reason, State
from gateway.alerts.rules import Rule, Severity, decode_rule, encode_rule
from gateway.alerts.tables import alert, alert_progress, rule

LAST_ID: Final = 1 << 53
"""Ids are numbered on from the highest one, and stay numbers that JSON carries; a higher one was never given."""

LAST_FRAME_NO: Final = 10**18
"""Of more digits than a fact has."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the engine has come; written together with what came of it.

    `frame_no`: the last frame whose readings were evaluated. `listened_us`: the gateway's time until which
    it is known to have listened, None on a new database.
    """

    frame_no: int = 0
    listened_us: int | None = None
    next_alert_id: int = 1


@dataclass(frozen=True, slots=True)
class UnreadableRule:
    """A stored rule that this program cannot read; it is left as it is, and does nothing."""

    id: str
    reason: str


def load_rules(connection: Connection, skipped: Skipped) -> tuple[list[Rule], list[UnreadableRule]]:
    """Returns the stored rules in order of their ids, disabled ones too, and those that cannot be read."""
    rules: list[Rule] = []
    unreadable: list[UnreadableRule] = []
    for row in connection.execute(stored(rule).order_by(rule.c.id)):
        try:
            if not (isinstance(row.id, str) and isinstance(row.body, str)):
                raise Invalid("not a rule: it is no text")
            rules.append(decode_rule(row.body))
        except Invalid as error:
            unreadable.append(UnreadableRule(str(row.id), error.reason))
            skipped.count(rule.name, row.id)
    return rules, unreadable


def save_rule(connection: Connection, new: Rule, now_us: int) -> None:
    """Stores the rule, over an older one with its id."""
    connection.execute(delete(rule).where(rule.c.id == new.id))
    connection.execute(
        insert(rule).values(id=new.id, body=encode_rule(new).decode(), enabled=new.enabled, updated_us=now_us)
    )


def delete_rule(connection: Connection, rule_id: str) -> bool:
    """Deletes the rule; returns whether there was one. Its alerts are the engine's business."""
    return connection.execute(delete(rule).where(rule.c.id == rule_id)).rowcount > 0


def alert_from(row: Row[Any]) -> Alert:
    """Returns the alert that a row of the table `alert` holds. Raises ValueError for a word that is none of ours."""
    return Alert(
        id=row.id,
        rule_id=row.rule_id,
        rule_name=row.rule_name,
        severity=Severity(row.severity),
        device_id=row.device_id,
        measurement=row.measurement,
        state=State(row.state),
        has_fired=bool(row.has_fired),
        condition_since_us=row.condition_since_us,
        since_us=row.since_us,
        value=row.value,
        value_at_us=row.value_at_us,
        acknowledged_by=row.acknowledged_by,
        acknowledged_us=row.acknowledged_us,
        resolved_us=row.resolved_us,
        reason=Reason(row.reason),
        updated_us=row.updated_us,
    )


def load_open_alerts(connection: Connection, skipped: Skipped) -> list[Alert]:
    """Returns every alert that is not resolved and can be read, oldest first."""
    query = stored(alert).where(alert.c.state != State.RESOLVED).order_by(alert.c.id)
    return list(readable(connection, alert, _open_alert, skipped, query))


def _open_alert(row: Row[Any]) -> Alert:
    within(row.id, 1, LAST_ID)
    found = alert_from(row)
    if not found.is_open or found.subject != row.subject:
        raise ValueError("no open alert of this subject")
    return found


def load_progress(connection: Connection, skipped: Skipped) -> Progress:
    """Returns how far the engine had come at the last `save`, as far as that can be read; no id of a stored alert is
    given out again."""
    highest = select(func.coalesce(func.max(alert.c.id), 0)).where(alert.c.id.between(0, LAST_ID))
    last_id = int(connection.execute(highest).scalar_one())
    for noted in readable(connection, alert_progress, _progress, skipped):
        return replace(noted, next_alert_id=max(noted.next_alert_id, last_id + 1))
    return Progress(next_alert_id=last_id + 1)


def _progress(row: Row[Any]) -> Progress:
    frame_no, next_id = within(row.frame_no, 0, LAST_FRAME_NO), within(row.next_alert_id, 1, LAST_ID)
    return Progress(frame_no, row.listened_us, next_id)


def save(connection: Connection, changes: Iterable[Change], progress: Progress) -> None:
    """Stores the alerts as the changes leave them, and the progress. Saving the same again changes nothing.

    `changes` are in order. An alert that resolved without having fired is deleted. The table itself refuses a
    second open alert for a rule and subject.
    """
    latest = {change.alert.id: change.alert for change in changes}
    if latest:
        connection.execute(delete(alert).where(alert.c.id == bindparam("old")), [{"old": id_} for id_ in latest])
        rows = [_row_of(entry) for entry in latest.values() if entry.is_open or entry.has_fired]
        if rows:
            _make_way(connection, [entry for entry in latest.values() if entry.is_open])
            connection.execute(insert(alert), rows)
    connection.execute(delete(alert_progress))
    if progress.listened_us is not None:
        connection.execute(
            insert(alert_progress).values(
                id=1,
                frame_no=progress.frame_no,
                listened_us=progress.listened_us,
                next_alert_id=progress.next_alert_id,
            )
        )


def _make_way(connection: Connection, alerts: Iterable[Alert]) -> None:
    """Deletes what stands where these open alerts go and cannot be read: else they could never be stored."""
    for entry in alerts:
        same = (alert.c.rule_id == entry.rule_id, alert.c.subject == entry.subject, alert.c.state != State.RESOLVED)
        for row in connection.execute(stored(alert).where(*same)).all():
            try:
                check(alert, row)
                _open_alert(row)
            except UNREADABLE:
                connection.execute(delete(alert).where(alert.c.id == row.id))


def _row_of(entry: Alert) -> dict[str, object]:
    return {
        "id": entry.id,
        "rule_id": entry.rule_id,
        "rule_name": entry.rule_name,
        "severity": entry.severity,
        "device_id": entry.device_id,
        "measurement": entry.measurement,
        "subject": entry.subject,
        "state": entry.state,
        "has_fired": entry.has_fired,
        "condition_since_us": entry.condition_since_us,
        "since_us": entry.since_us,
        "value": entry.value,
        "value_at_us": entry.value_at_us,
        "acknowledged_by": entry.acknowledged_by,
        "acknowledged_us": entry.acknowledged_us,
        "resolved_us": entry.resolved_us,
        "reason": entry.reason,
        "updated_us": entry.updated_us,
    }


def forget_resolved(connection: Connection, before_us: int) -> int:
    """Deletes alerts that were resolved and last changed before `before_us`; returns how many."""
    gone = delete(alert).where(alert.c.state == State.RESOLVED, alert.c.updated_us < before_us)
    return connection.execute(gone).rowcount

"""Rules, alerts and progress in the tables."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, func, insert, select
from sqlalchemy.exc import IntegrityError

from foundation.stored import Skipped
from gateway.alerts import saved, tables
from gateway.alerts.lifecycle import Alert, Change, Reason, State
from gateway.alerts.rules import Severity
from gateway.alerts.saved import Progress
from tests.unit.gateway.alerts_bench import HOT, QUIET, hot

ALERT = Alert(
    id=3,
    rule_id="hot",
    rule_name="Hot",
    severity=Severity.WARNING,
    device_id="lab-1",
    measurement="temperature_c",
    state=State.ACKNOWLEDGED,
    has_fired=True,
    condition_since_us=10,
    since_us=20,
    value=31.5,
    value_at_us=25,
    acknowledged_by="ada",
    acknowledged_us=30,
    resolved_us=None,
    reason=Reason.ACKNOWLEDGED,
    updated_us=30,
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{tmp_path / 'alerts.db'}")
    tables.metadata.create_all(engine)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def changed(alert: Alert, **changes: object) -> Change:
    fields = {name: getattr(alert, name) for name in Alert.__slots__}
    return Change(Alert(**(fields | changes)), alert.state)


def stored(connection: Connection) -> list[Alert]:
    return [saved.alert_from(row) for row in connection.execute(select(tables.alert).order_by(tables.alert.c.id))]


def test_an_alert_is_the_same_after_the_table(connection: Connection) -> None:
    saved.save(connection, [Change(ALERT, State.FIRING)], Progress(5, 40, 4))
    assert saved.load_open_alerts(connection, Skipped()) == [ALERT]
    assert saved.load_progress(connection, Skipped()) == Progress(5, 40, 4)


def test_saving_the_same_again_changes_nothing(connection: Connection) -> None:
    for _ in range(2):
        saved.save(connection, [Change(ALERT, State.FIRING)], Progress(5, 40, 4))
    assert stored(connection) == [ALERT]


def test_of_several_changes_of_an_alert_the_last_is_stored(connection: Connection) -> None:
    changes = [changed(ALERT, state=State.FIRING), changed(ALERT, state=State.RESOLVED, resolved_us=50)]
    saved.save(connection, changes, Progress(5, 40, 4))
    assert [alert.state for alert in stored(connection)] == [State.RESOLVED]
    assert saved.load_open_alerts(connection, Skipped()) == []


def test_an_alert_that_never_fired_is_not_kept(connection: Connection) -> None:
    pending = changed(ALERT, state=State.PENDING, has_fired=False)
    saved.save(connection, [pending], Progress(5, 40, 4))
    assert len(saved.load_open_alerts(connection, Skipped())) == 1
    saved.save(connection, [changed(pending.alert, state=State.RESOLVED)], Progress(5, 40, 4))
    assert stored(connection) == []


def test_an_alert_may_end_and_the_next_begin_in_one_transaction(connection: Connection) -> None:
    saved.save(connection, [Change(ALERT, State.FIRING)], Progress(5, 40, 4))
    changes = [changed(ALERT, state=State.RESOLVED, resolved_us=50), changed(ALERT, id=4, state=State.FIRING)]
    saved.save(connection, changes, Progress(5, 60, 5))
    assert [(alert.id, alert.is_open) for alert in stored(connection)] == [(3, False), (4, True)]


def test_the_table_refuses_a_second_open_alert_for_a_rule_and_subject(connection: Connection) -> None:
    saved.save(connection, [Change(ALERT, State.FIRING)], Progress(5, 40, 4))
    with pytest.raises(IntegrityError):
        saved.save(connection, [changed(ALERT, id=4)], Progress(5, 40, 5))


def test_a_new_database_has_no_progress(connection: Connection) -> None:
    assert saved.load_progress(connection, Skipped()) == Progress(0, None, 1)


def test_the_id_of_a_stored_alert_is_not_given_out_again(connection: Connection) -> None:
    saved.save(connection, [Change(ALERT, State.FIRING)], Progress(5, 40, 2))
    assert saved.load_progress(connection, Skipped()).next_alert_id == 4


def test_rules_come_back_in_order_and_the_newest_of_an_id(connection: Connection) -> None:
    for rule in (QUIET, HOT, hot(name="Hotter", enabled=False)):
        saved.save_rule(connection, rule, 1)
    assert saved.load_rules(connection, Skipped()) == ([hot(name="Hotter", enabled=False), QUIET], [])
    assert saved.delete_rule(connection, "hot")
    assert not saved.delete_rule(connection, "hot")
    assert saved.load_rules(connection, Skipped()) == ([QUIET], [])


def test_a_rule_that_cannot_be_read_is_named_and_stays(connection: Connection) -> None:
    saved.save_rule(connection, HOT, 1)
    body = '{"kind":"rate_of_change","id":"later"}'
    connection.execute(insert(tables.rule).values(id="later", body=body, enabled=True, updated_us=1))
    rules, (unreadable,) = saved.load_rules(connection, Skipped())
    assert rules == [HOT]
    assert unreadable.id == "later"
    assert "rate_of_change" in unreadable.reason
    assert connection.execute(select(func.count()).select_from(tables.rule)).scalar() == 2


def test_retention_takes_old_resolved_alerts_only(connection: Connection) -> None:
    changes = [
        changed(ALERT, id=1, state=State.RESOLVED, updated_us=10),
        changed(ALERT, id=2, state=State.RESOLVED, updated_us=100),
        changed(ALERT, id=3, updated_us=10),
    ]
    saved.save(connection, changes, Progress(5, 40, 4))
    assert saved.forget_resolved(connection, before_us=50) == 1
    assert [alert.id for alert in stored(connection)] == [2, 3]

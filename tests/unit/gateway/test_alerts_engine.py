"""The engine under threshold and silence rules: durations, unknown, late data, restarts, clocks that jump."""

import pytest

from foundation.errors import Conflict, NotFound
from gateway.alerts.engine import GRACE_US, KnownDevice
from gateway.alerts.lifecycle import Reason, State
from gateway.alerts.rules import Severity, SilenceRule, ThresholdRule
from tests.unit.gateway.alerts_bench import HOT, MINUTE, QUIET, START, YEAR, Bench, hot

FIRING, PENDING, UNKNOWN, RESOLVED = State.FIRING, State.PENDING, State.UNKNOWN, State.RESOLVED


# Thresholds.


def test_a_value_beyond_the_limit_is_pending_and_fires_when_it_has_lasted() -> None:
    bench = Bench(HOT)
    assert bench.read(31) == [PENDING]
    assert bench.every(MINUTE, 4, 31) == []
    assert bench.wait(MINUTE) == [FIRING]
    assert bench.alert().condition_since_us == START
    assert bench.alert().since_us == START + 5 * MINUTE


def test_a_rule_without_a_duration_fires_with_the_first_value() -> None:
    bench = Bench(hot(for_s=0))
    assert bench.read(30) == []
    assert bench.read(30.1) == [FIRING]
    assert bench.alert().value == 30.1


def test_between_the_limit_and_clear_nothing_changes() -> None:
    bench = Bench(hot(for_s=0, clear=28))
    assert bench.read(29) == []
    assert bench.read(31) == [FIRING]
    assert bench.read(29) == []
    assert bench.read(28) == [RESOLVED]
    assert bench.read(29) == []


def test_a_value_that_trembles_around_the_limit_does_not_start_the_duration_anew() -> None:
    bench = Bench(HOT)
    bench.read(31)
    for value in (29, 31, 29, 31):
        bench.wait(MINUTE)
        bench.read(value)
    assert bench.wait(MINUTE) == [FIRING]


def test_a_duration_that_is_cut_short_leaves_no_alert() -> None:
    bench = Bench(HOT)
    bench.read(31)
    bench.wait(MINUTE)
    assert bench.read(20) == [RESOLVED]
    assert not bench.changes[-1].alert.has_fired
    assert bench.wait(10 * MINUTE) == []
    bench.read(31)
    assert bench.alert().condition_since_us == START + 11 * MINUTE


def test_a_rule_may_look_below_a_limit() -> None:
    cold = ThresholdRule(id="cold", name="Cold", measurement="temperature_c", below=5, clear=7)
    bench = Bench(cold)
    assert bench.read(5) == []
    assert bench.read(4) == [FIRING]
    assert bench.read(6) == []
    assert bench.read(7) == [RESOLVED]


def test_a_condition_that_comes_again_is_a_new_alert_and_one_that_stays_is_not() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    first = bench.alert().id
    assert bench.every(MINUTE, 3, 35) == [FIRING]
    assert bench.alert().id == first
    assert bench.alert().value == 35
    bench.read(20)
    bench.read(31)
    assert bench.alert().id == first + 1


def test_the_value_of_an_open_alert_is_told_at_most_every_ten_seconds() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    told = [bench.every(1_000_000, 1, 31 + second) for second in range(1, 31)]
    assert [second for second, states in enumerate(told, 1) if states] == [10, 20, 30]


def test_each_device_and_rule_has_its_own_alert() -> None:
    bench = Bench(hot(for_s=0), hot(for_s=0, id="hotter", above=40, clear=39))
    bench.read(50, device="lab-1")
    bench.read(35, device="lab-2")
    assert [(alert.rule_id, alert.subject) for alert in bench.engine.open_alerts()] == [
        ("hot", "lab-1/temperature_c"),
        ("hotter", "lab-1/temperature_c"),
        ("hot", "lab-2/temperature_c"),
    ]


def test_a_value_that_is_not_a_number_changes_nothing() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    assert bench.read(float("nan")) == []
    assert bench.read(float("inf"), after_us=0) == []
    assert bench.read(float("-inf"), after_us=0) == [RESOLVED]


# No data.


def test_the_last_value_holds_for_a_while_so_that_a_duration_may_run_out_without_a_further_reading() -> None:
    bench = Bench(HOT)
    bench.read(31)
    assert bench.wait(5 * MINUTE) == [FIRING]
    assert bench.wait(5 * MINUTE) == [UNKNOWN]
    assert bench.alert().reason is Reason.NO_DATA


def test_one_reading_and_then_nothing_for_longer_than_a_value_holds_does_not_fire() -> None:
    bench = Bench(hot(for_s=900))
    bench.read(31)
    assert bench.wait(14 * MINUTE) == []
    assert bench.wait(MINUTE) == [UNKNOWN]
    assert not bench.alert().has_fired


def test_at_the_moment_a_value_goes_stale_it_does_not_hold_any_more() -> None:
    bench = Bench(hot(for_s=900))
    bench.read(31)
    bench.wait(5 * MINUTE)
    bench.read(31)
    assert bench.wait(15 * MINUTE - 1) == []
    assert bench.wait(1) == [UNKNOWN]


def test_what_was_due_before_a_reading_happens_before_it_though_no_tick_came() -> None:
    bench = Bench(hot(for_s=30))
    bench.read(31)
    assert bench.read(20, after_us=MINUTE) == [FIRING, RESOLVED]


def test_a_duration_that_runs_out_on_a_stale_value_fires_with_the_next_reading() -> None:
    bench = Bench(hot(for_s=900))
    bench.read(31)
    bench.wait(4 * MINUTE)
    bench.read(31)
    assert bench.wait(11 * MINUTE + MINUTE // 2) == []
    assert bench.read(31) == [FIRING]
    assert bench.alert().since_us == START + 15 * MINUTE


def test_an_alert_without_data_is_unknown_and_never_resolved() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    assert bench.wait(24 * 60 * MINUTE) == [UNKNOWN]
    assert bench.alert().value == 31


@pytest.mark.parametrize(("value", "state"), [(31, FIRING), (29, FIRING), (20, RESOLVED)])
def test_the_first_value_after_no_data_decides(value: float, state: State) -> None:
    bench = Bench(hot(for_s=0, clear=28))
    bench.read(31)
    bench.wait(60 * MINUTE)
    assert bench.read(value) == [state]


def test_an_acknowledged_alert_is_acknowledged_again_when_data_are_back() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    bench.acknowledge("ada")
    assert bench.wait(60 * MINUTE) == [UNKNOWN]
    assert bench.read(31) == [State.ACKNOWLEDGED]
    assert bench.alert().acknowledged_by == "ada"
    assert bench.alert().since_us == START


def test_a_duration_begins_anew_after_a_gap() -> None:
    bench = Bench(HOT)
    bench.read(31)
    bench.wait(MINUTE)
    bench.read(31)
    bench.engine.set_rules([hot(for_s=3600)], bench.now_us)
    assert bench.wait(61 * MINUTE) == [UNKNOWN]
    assert bench.read(31) == [PENDING]
    assert bench.alert().condition_since_us == START + 62 * MINUTE


def test_a_subject_without_an_alert_that_goes_quiet_makes_none() -> None:
    bench = Bench(HOT)
    bench.read(20)
    assert bench.wait(24 * 60 * MINUTE) == []


# Late data.


def test_a_reading_older_than_the_newest_neither_raises_nor_resolves() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(20)
    assert bench.read(31, at_us=START - MINUTE) == []
    bench.wait(MINUTE)
    bench.read(31)
    assert bench.read(20, at_us=START + MINUTE - 1) == []
    assert bench.alert().value == 31


def test_a_late_reading_does_not_put_off_unknown() -> None:
    bench = Bench(hot(for_s=0))
    bench.wait(10 * MINUTE)
    bench.read(31)
    for minute in range(9):
        assert bench.wait(MINUTE) == []
        bench.read(31, at_us=START + minute * MINUTE)
    assert bench.wait(MINUTE) == [UNKNOWN]


def test_what_was_buffered_during_an_outage_is_followed_and_the_recent_end_of_it_decides() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    assert bench.wait(60 * MINUTE) == [UNKNOWN]
    flushed = [bench.read(20 if 10 <= minute < 50 else 31, at_us=START + minute * MINUTE) for minute in range(1, 60)]
    assert flushed[:50] == [[]] * 50
    assert [state for states in flushed for state in states] == [FIRING]
    assert bench.alert().condition_since_us == START + 50 * MINUTE


def test_a_buffer_that_covers_the_outage_keeps_the_duration() -> None:
    bench = Bench(hot(for_s=1800))
    bench.read(31)
    assert bench.wait(60 * MINUTE) == [UNKNOWN]
    for minute in range(1, 60):
        bench.read(31, at_us=START + minute * MINUTE)
    assert bench.alert().state is FIRING
    assert bench.alert().condition_since_us == START
    assert bench.alert().since_us == START + 30 * MINUTE


def test_a_buffer_that_is_over_raises_nothing() -> None:
    bench = Bench(hot(for_s=0))
    bench.wait(60 * MINUTE)
    for minute in range(20):
        assert bench.read(31, at_us=START + minute * MINUTE) == []


def test_a_device_whose_clock_is_an_hour_slow_has_alerts_like_any_other() -> None:
    bench = Bench(HOT, QUIET)
    bench.lag_us = 60 * MINUTE
    states = bench.every(MINUTE, 30, 31)
    assert states[:2] == [PENDING, FIRING]
    assert UNKNOWN not in states
    assert [alert.rule_id for alert in bench.engine.open_alerts()] == ["hot"]


# Silence.


def test_a_silent_device_fires_and_resolves_when_it_is_heard() -> None:
    bench = Bench(QUIET)
    bench.read(20)
    assert bench.wait(30 * MINUTE - 1) == []
    assert bench.wait(1) == [FIRING]
    assert bench.alert().subject == "lab-1"
    assert bench.alert().condition_since_us == START
    assert bench.alert().since_us == START + 30 * MINUTE
    assert bench.wait(60 * MINUTE) == []
    assert bench.read(20) == [RESOLVED]


def test_a_device_that_was_never_heard_is_silent_from_when_it_was_known() -> None:
    bench = Bench(QUIET)
    assert bench.wait(30 * MINUTE) == [FIRING]


def test_a_new_rule_gives_every_device_its_full_time() -> None:
    bench = Bench()
    bench.read(20)
    bench.wait(60 * MINUTE)
    bench.engine.set_rules([QUIET], bench.now_us)
    assert bench.wait(30 * MINUTE - 1) == []
    assert bench.wait(1) == [FIRING]


def test_late_data_do_not_end_a_silence_unless_they_are_recent() -> None:
    bench = Bench(QUIET)
    bench.read(20)
    assert bench.wait(120 * MINUTE) == [FIRING]
    assert bench.read(20, at_us=START - MINUTE) == []
    assert bench.read(20, at_us=START + 80 * MINUTE) == []
    assert bench.read(20, at_us=START + 100 * MINUTE) == [RESOLVED]
    assert bench.wait(10 * MINUTE) == [FIRING]


def test_a_connection_that_opens_is_a_sign_of_life() -> None:
    bench = Bench(QUIET)
    assert bench.wait(30 * MINUTE) == [FIRING]
    assert bench.note(bench.engine.heard_from("lab-1", bench.now_us)) == [RESOLVED]


def test_a_silence_rule_for_one_kind_leaves_the_others_alone() -> None:
    bench = Bench(
        SilenceRule(id="quiet", name="Quiet", device_kind="reader", after_s=180),
        devices=[KnownDevice("lab-1", "sensor"), KnownDevice("door-1", "reader")],
    )
    assert bench.wait(3 * MINUTE) == [FIRING]
    assert bench.alert().subject == "door-1"


# Acknowledging.


def test_acknowledging_is_noted_once_and_ends_nothing() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    assert bench.acknowledge("ada") == [State.ACKNOWLEDGED]
    assert bench.acknowledge("bob") == []
    assert (bench.alert().acknowledged_by, bench.alert().acknowledged_us) == ("ada", START)
    assert bench.read(20) == [RESOLVED]


def test_an_unknown_alert_that_fired_can_be_acknowledged() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    bench.wait(60 * MINUTE)
    assert bench.acknowledge("ada") == [UNKNOWN]
    assert bench.read(31) == [State.ACKNOWLEDGED]


def test_a_pending_alert_cannot_be_acknowledged() -> None:
    bench = Bench(HOT)
    bench.read(31)
    with pytest.raises(Conflict):
        bench.acknowledge("ada")


def test_an_alert_that_was_due_to_fire_when_it_is_acknowledged_has_fired() -> None:
    bench = Bench(hot(for_s=30))
    bench.read(31)
    bench.now_us += MINUTE
    assert bench.acknowledge("ada") == [FIRING, State.ACKNOWLEDGED]


def test_an_alert_that_is_not_open_cannot_be_acknowledged() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    number = bench.alert().id
    bench.read(20)
    with pytest.raises(NotFound):
        bench.engine.acknowledge(number, "ada", bench.now_us)


# Rules and devices that change.


def test_a_changed_rule_judges_its_alerts_anew() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31, device="lab-1")
    bench.read(36, device="lab-2")
    changed = hot(for_s=0, above=35, clear=34, name="Very hot", severity=Severity.CRITICAL)
    assert bench.note(bench.engine.set_rules([changed], bench.now_us)) == [RESOLVED, FIRING]
    assert bench.changes[-2].alert.reason is Reason.RULE_CHANGED
    assert (bench.alert().rule_name, bench.alert().severity) == ("Very hot", Severity.CRITICAL)


def test_a_shorter_duration_fires_at_once() -> None:
    bench = Bench(HOT)
    bench.read(31)
    bench.wait(2 * MINUTE)
    bench.read(31)
    assert bench.note(bench.engine.set_rules([hot(for_s=60)], bench.now_us)) == [PENDING, FIRING]
    assert bench.alert().since_us == START + MINUTE


def test_a_changed_rule_resolves_nothing_of_which_there_are_no_data() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    bench.wait(60 * MINUTE)
    changed = hot(for_s=0, above=35, clear=34)
    assert bench.note(bench.engine.set_rules([changed], bench.now_us)) == [UNKNOWN]
    assert bench.read(31) == [RESOLVED]


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([], Reason.RULE_GONE),
        ([hot(for_s=0, enabled=False)], Reason.RULE_GONE),
        ([hot(for_s=0, device="lab-9")], Reason.RULE_CHANGED),
        ([hot(for_s=0, measurement="humidity_pct")], Reason.RULE_CHANGED),
        ([SilenceRule(id="hot", name="Hot", after_s=60)], Reason.RULE_CHANGED),
    ],
)
def test_an_alert_ends_when_its_rule_is_no_longer_about_it(
    rules: list[ThresholdRule | SilenceRule], reason: Reason
) -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    assert bench.note(bench.engine.set_rules(rules, bench.now_us)) == [RESOLVED]
    assert bench.changes[-1].alert.reason is reason
    assert bench.engine.open_alerts() == []


def test_a_changed_silence_rule_counts_what_is_silent_already() -> None:
    bench = Bench(QUIET)
    bench.read(20)
    bench.wait(10 * MINUTE)
    longer = SilenceRule(id="quiet", name="Quiet", after_s=3600)
    shorter = SilenceRule(id="quiet", name="Quiet", after_s=300)
    assert bench.note(bench.engine.set_rules([shorter], bench.now_us)) == [FIRING]
    assert bench.note(bench.engine.set_rules([longer], bench.now_us)) == [RESOLVED]
    assert bench.wait(50 * MINUTE) == [FIRING]


def test_the_alerts_of_a_revoked_device_end() -> None:
    bench = Bench(hot(for_s=0), QUIET, devices=[KnownDevice("lab-1", "sensor"), KnownDevice("lab-2", "sensor")])
    bench.read(31)
    assert bench.note(bench.engine.set_devices([KnownDevice("lab-2", "sensor")], bench.now_us)) == [RESOLVED]
    assert bench.changes[-1].alert.reason is Reason.DEVICE_GONE
    assert bench.wait(30 * MINUTE) == [FIRING]
    assert bench.alert().subject == "lab-2"


def test_a_device_of_another_kind_comes_under_other_rules() -> None:
    rule = SilenceRule(id="quiet", name="Quiet", device_kind="sensor", after_s=180)
    bench = Bench(rule)
    bench.wait(3 * MINUTE)
    assert bench.note(bench.engine.set_devices([KnownDevice("lab-1", "reader")], bench.now_us)) == [RESOLVED]
    bench.engine.set_devices([KnownDevice("lab-1", "sensor")], bench.now_us)
    assert bench.wait(3 * MINUTE) == [FIRING]


def test_only_rules_about_a_series_are_interested_in_it() -> None:
    bench = Bench(hot(device_kind="sensor"), SilenceRule(id="quiet", name="Quiet", device="door-1", after_s=60))

    def interested(device_id: str, kind: str, measurement: str) -> list[str]:
        return [rule.id for rule in bench.engine.interest(device_id, kind, measurement)]

    assert interested("lab-1", "sensor", "temperature_c") == ["hot"]
    assert interested("lab-1", "sensor", "humidity_pct") == []
    assert interested("lab-1", "reader", "temperature_c") == []
    assert interested("door-1", "reader", "humidity_pct") == ["quiet"]


# Restarts.


def test_a_duration_goes_on_over_a_restart() -> None:
    bench = Bench(HOT)
    bench.read(31)
    bench.wait(MINUTE)
    bench.read(31)
    bench = bench.restarted(after_us=60 * MINUTE)
    assert bench.read(31) == [FIRING]
    assert bench.alert().condition_since_us == START
    assert bench.alert().since_us == START + 5 * MINUTE


def test_a_value_from_before_a_long_downtime_does_not_fire_by_itself() -> None:
    bench = Bench(HOT)
    bench.read(31)
    bench = bench.restarted(after_us=3 * 60 * MINUTE)
    assert bench.wait(9 * MINUTE) == []
    assert bench.wait(MINUTE) == [UNKNOWN]


def test_a_value_from_just_before_the_restart_still_holds() -> None:
    bench = Bench(HOT)
    bench.read(31)
    bench.wait(3 * MINUTE)
    bench.read(31)
    bench = bench.restarted(after_us=MINUTE)
    assert bench.wait(2 * MINUTE) == [FIRING]


def test_an_open_alert_survives_a_restart_and_is_not_raised_again() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    bench.acknowledge("ada")
    before = bench.alert()
    bench = bench.restarted(after_us=60 * MINUTE)
    assert bench.alert() == before
    assert bench.read(32) == []
    assert bench.read(20) == [RESOLVED]
    bench.read(31)
    assert bench.alert().id == before.id + 1


def test_late_data_after_a_restart_neither_raise_nor_resolve() -> None:
    bench = Bench(hot(for_s=0))
    bench.wait(MINUTE)
    bench.read(31, device="lab-1")
    bench.read(20, device="lab-2")
    bench = bench.restarted(after_us=MINUTE)
    assert bench.read(20, device="lab-1", at_us=START) == []
    assert bench.read(31, device="lab-2", at_us=START) == []


def test_the_gateways_downtime_is_no_silence_of_the_devices() -> None:
    bench = Bench(QUIET)
    bench.read(20)
    bench.wait(10 * MINUTE)
    bench = bench.restarted(after_us=8 * 60 * MINUTE)
    assert bench.wait(20 * MINUTE - 1) == []
    assert bench.wait(1) == [FIRING]


def test_after_a_restart_a_device_has_some_time_to_be_heard_again() -> None:
    bench = Bench(QUIET)
    bench.read(20)
    bench.wait(30 * MINUTE - 1)
    bench = bench.restarted(after_us=60 * MINUTE)
    assert bench.wait(GRACE_US - 1) == []
    assert bench.wait(1) == [FIRING]


def test_a_silent_device_is_still_silent_after_a_restart_and_told_once() -> None:
    bench = Bench(QUIET)
    bench.wait(30 * MINUTE)
    bench = bench.restarted(after_us=60 * MINUTE)
    assert bench.wait(60 * MINUTE) == []
    assert bench.alert().state is FIRING
    assert bench.read(20, at_us=START) == []
    assert bench.read(20) == [RESOLVED]


def test_alerts_whose_rule_or_device_went_meanwhile_end_at_the_start() -> None:
    bench = Bench(hot(for_s=0), QUIET)
    bench.read(31)
    bench = bench.restarted(after_us=MINUTE, rules=[QUIET])
    assert bench.changes[-1].alert.reason is Reason.RULE_GONE
    bench.wait(60 * MINUTE)
    bench = bench.restarted(after_us=MINUTE, devices=[])
    assert bench.changes[-1].alert.reason is Reason.DEVICE_GONE
    assert bench.engine.open_alerts() == []


# The gateway's clock.


@pytest.mark.parametrize("jump_us", [10 * YEAR, -10 * YEAR, YEAR, -60 * MINUTE, 2 * MINUTE])
@pytest.mark.parametrize("are_devices_stamping", [True, False])
def test_a_clock_that_jumps_fires_nothing_and_loses_nothing(jump_us: int, are_devices_stamping: bool) -> None:
    bench = Bench(HOT, QUIET)
    bench.read(31, device="lab-1")
    bench.wait(2 * MINUTE)
    assert bench.set_clock(jump_us) == []
    bench.lag_us = jump_us if are_devices_stamping else 0
    assert bench.wait(MINUTE) == []
    assert bench.every(MINUTE, 2, 31) == [FIRING]
    assert UNKNOWN not in bench.every(MINUTE, 25, 31)
    assert [alert.rule_id for alert in bench.engine.open_alerts()] == ["hot"]
    assert bench.wait(30 * MINUTE)[-1] is FIRING  # and silence is still noticed
    assert {alert.rule_id for alert in bench.engine.open_alerts()} == {"hot", "quiet"}


@pytest.mark.parametrize("jump_us", [10 * YEAR, -10 * YEAR])
def test_a_clock_that_jumps_and_comes_back_fires_nothing(jump_us: int) -> None:
    bench = Bench(HOT, QUIET)
    bench.every(MINUTE, 3, 20)
    assert bench.set_clock(jump_us) == []
    assert bench.every(MINUTE, 3, 20) == []
    assert bench.set_clock(-jump_us) == []
    assert bench.every(MINUTE, 3, 20) == []
    assert bench.read(31) == [PENDING]


def test_a_clock_that_is_behind_after_a_restart_does_not_make_all_readings_late() -> None:
    bench = Bench(hot(for_s=0))
    bench.read(31)
    bench = bench.restarted(after_us=-10 * YEAR)
    assert bench.read(20) == [RESOLVED]


def test_a_device_that_stamped_years_ahead_is_followed_when_it_is_right_again() -> None:
    bench = Bench(hot(for_s=0))
    bench.lag_us = -10 * YEAR
    assert bench.every(MINUTE, 2, 31) == [FIRING]
    bench.lag_us = 0
    assert bench.read(20) == [RESOLVED]


def test_a_clock_that_is_set_after_a_restart_does_not_fire_what_is_pending() -> None:
    bench = Bench(HOT)
    bench.read(31)
    bench.wait(MINUTE)
    bench.read(31)
    bench = bench.restarted(after_us=-10 * YEAR)
    assert bench.read(31) == []
    assert bench.set_clock(10 * YEAR) == []
    assert bench.read(31) == []
    assert bench.every(MINUTE, 3, 31) == []
    assert bench.every(MINUTE, 1, 31) == [FIRING]


def test_a_small_step_back_is_waited_out() -> None:
    bench = Bench(HOT)
    bench.read(31)
    assert bench.set_clock(-MINUTE) == []
    assert bench.wait(5 * MINUTE) == []
    assert bench.wait(MINUTE) == [FIRING]


def test_a_gateway_that_stood_still_calls_nobody_silent() -> None:
    bench = Bench(QUIET)
    bench.read(20)
    assert bench.set_clock(8 * 60 * MINUTE) == []
    assert bench.wait(30 * MINUTE - 1) == []
    assert bench.wait(1) == [FIRING]


def test_the_next_deadline_is_never_far_off() -> None:
    bench = Bench(QUIET)
    for _ in range(100):
        wanted_us = bench.engine.next_deadline_us()
        assert bench.now_us <= wanted_us <= bench.now_us + MINUTE // 2
        bench.now_us = wanted_us
        bench.note(bench.engine.tick(wanted_us))
    assert bench.alert().since_us == START + 30 * MINUTE

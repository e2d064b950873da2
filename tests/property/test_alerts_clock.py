"""Whatever the gateway's clock does: nobody is called silent who is not, and no alert comes or goes by it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alerts.lifecycle import State
from tests.unit.gateway.alerts_bench import HOT, MINUTE, QUIET, SECOND, YEAR, Bench

jumps = st.one_of(
    st.just(0),
    st.integers(-20 * YEAR, 20 * YEAR),
    st.integers(-300 * SECOND, 300 * SECOND),
)


@settings(max_examples=100, deadline=None)
@given(minutes=st.lists(jumps, min_size=10, max_size=40), is_stamping=st.booleans(), value=st.sampled_from([20, 31]))
def test_a_clock_that_jumps_about_raises_and_ends_nothing(minutes: list[int], is_stamping: bool, value: float) -> None:
    bench = Bench(HOT, QUIET)
    device_us = bench.now_us
    for jump_us in minutes:
        bench.set_clock(jump_us)
        bench.wait(MINUTE)
        device_us += MINUTE
        bench.read(value, at_us=device_us if is_stamping else bench.now_us)
        assert all(alert.rule_id == "hot" for alert in bench.engine.open_alerts())
    assert all(change.alert.state in (State.PENDING, State.FIRING) for change in bench.changes)
    assert len({change.alert.id for change in bench.changes}) == (1 if value > 30 else 0)
    if not any(minutes):
        assert value < 30 or bench.alert().has_fired

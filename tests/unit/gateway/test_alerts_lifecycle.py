"""The table of the life cycle."""

import pytest

from gateway.alerts.lifecycle import TRANSITIONS, Event, State, after


def test_every_state_is_in_the_table_and_every_state_but_none_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    reached = {state for events in TRANSITIONS.values() for state in events.values()}
    assert reached == set(State) - {State.NONE}


def test_every_open_alert_can_end_by_a_value_and_be_withdrawn() -> None:
    for state in set(State) - {State.NONE, State.RESOLVED}:
        assert after(state, Event.CLEARED) is State.RESOLVED
        assert after(state, Event.WITHDRAWN) is State.RESOLVED


def test_losing_the_data_never_resolves() -> None:
    leads_to = {state: events.get(Event.LOST) for state, events in TRANSITIONS.items()}
    assert set(leads_to.values()) == {State.UNKNOWN, None}
    assert all(leads_to[state] for state in (State.PENDING, State.FIRING, State.ACKNOWLEDGED))


@pytest.mark.parametrize("event", list(Event))
def test_resolved_is_final(event: Event) -> None:
    with pytest.raises(ValueError, match="resolved"):
        after(State.RESOLVED, event)

"""The API's document spells states and kinds out; the enums behind them know the same words."""

from enum import StrEnum
from typing import Any, get_args

import pytest

from devices.registry import DeviceState, PayloadFormat
from foundation.clock import CLOCK_LABELS, Clock, ClockLabel
from gateway.alerts.lifecycle import State
from gateway.alerts.listing import SeverityLabel, StateFilter, StateLabel
from gateway.alerts.rules import Severity
from gateway.fleet import listing


@pytest.mark.parametrize(
    ("literal", "members"),
    [
        (SeverityLabel, list(Severity)),
        (StateLabel, [state for state in State if state is not State.NONE]),
        (listing.State, list(DeviceState)),
        (listing.Format, list(PayloadFormat)),
    ],
)
def test_a_literal_and_its_enum_have_the_same_words(literal: Any, members: list[StrEnum]) -> None:
    assert sorted(get_args(literal)) == sorted(member.value for member in members)


def test_alerts_can_be_asked_for_in_every_state_and_as_open() -> None:
    assert set(get_args(StateFilter)) == {"open", *get_args(StateLabel)}


def test_every_clock_has_its_label_at_its_number() -> None:
    assert get_args(ClockLabel) == CLOCK_LABELS
    assert tuple(clock.name.lower() for clock in Clock) == CLOCK_LABELS
    assert [clock.label for clock in sorted(Clock)] == list(CLOCK_LABELS)

"""How sure a time is."""

from foundation.clock import DAY_US, LIVE_TOLERANCE_US, OLDEST_PLAUSIBLE_US, Clock, judge

NOW = 1_795_000_000_000_000


def judged(stamp_us: int | None, *, device: bool = False, gateway: bool = True) -> tuple[int, Clock]:
    return judge(stamp_us, NOW, is_device_clock_right=device, is_gateway_clock_right=gateway)


def test_a_stamp_near_the_moment_of_receipt_is_good() -> None:
    assert judged(NOW - LIVE_TOLERANCE_US) == (NOW - LIVE_TOLERANCE_US, Clock.GOOD)
    assert judged(NOW + LIVE_TOLERANCE_US) == (NOW + LIVE_TOLERANCE_US, Clock.GOOD)


def test_without_a_stamp_the_gateways_time_is_an_estimate() -> None:
    assert judged(None) == (NOW, Clock.ESTIMATED)


def test_a_stamp_from_the_future_gives_way_to_the_gateways_time() -> None:
    assert judged(NOW + LIVE_TOLERANCE_US + 1) == (NOW, Clock.ESTIMATED)
    assert judged(NOW + 3_650 * DAY_US) == (NOW, Clock.ESTIMATED)


def test_a_clock_that_was_never_set_gives_way_to_the_gateways_time() -> None:
    assert judged(0) == (NOW, Clock.ESTIMATED)
    assert judged(NOW - 3_650 * DAY_US) == (NOW, Clock.ESTIMATED)
    assert judged(NOW - OLDEST_PLAUSIBLE_US - 1) == (NOW, Clock.ESTIMATED)


def test_a_late_message_is_believed_of_a_device_whose_clock_was_right() -> None:
    assert judged(NOW - DAY_US, device=True) == (NOW - DAY_US, Clock.GOOD)


def test_a_late_message_of_an_unconfirmed_clock_keeps_its_stamp_as_unknown() -> None:
    assert judged(NOW - DAY_US) == (NOW - DAY_US, Clock.UNKNOWN)


def test_while_the_gateways_own_clock_is_in_doubt_nothing_is_sure() -> None:
    assert judged(None, gateway=False) == (NOW, Clock.UNKNOWN)
    assert judged(NOW - 3_650 * DAY_US, gateway=False) == (NOW - 3_650 * DAY_US, Clock.UNKNOWN)


def test_labels_are_the_words_of_the_contract() -> None:
    assert [clock.label for clock in Clock] == ["good", "estimated", "unknown"]

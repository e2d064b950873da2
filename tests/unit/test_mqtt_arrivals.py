"""How fast one address may open connections."""

from devices.mqtt.arrivals import LONGEST_WAIT_S, MAX_ADDRESSES, Arrivals

HERE, THERE = "192.0.2.7", "192.0.2.8"


def test_a_burst_of_a_second_is_served_at_once_and_then_the_rate_holds() -> None:
    arrivals = Arrivals(10)
    waits = [arrivals.wait_s(HERE, 100.0) for _ in range(14)]
    assert waits[:10] == [0.0] * 10
    assert [round(wait, 6) for wait in waits[10:] if wait is not None] == [0.0, 0.1, 0.2, 0.3]


def test_who_would_have_to_wait_for_too_long_is_turned_away() -> None:
    arrivals = Arrivals(10)
    waits = [arrivals.wait_s(HERE, 0.0) for _ in range(100)]
    served = [wait for wait in waits if wait is not None]
    assert max(served) <= LONGEST_WAIT_S
    assert len(served) < 40
    assert arrivals.wait_s(HERE, 10.0) == 0.0


def test_an_address_does_not_slow_another_down() -> None:
    arrivals = Arrivals(10)
    for _ in range(100):
        arrivals.wait_s(HERE, 0.0)
    assert arrivals.wait_s(THERE, 0.0) == 0.0


def test_memory_is_bounded_however_many_addresses_come() -> None:
    arrivals = Arrivals(10)
    for number in range(3 * MAX_ADDRESSES):
        arrivals.wait_s(str(number), number / 1000)
    assert len(arrivals._next_s) <= MAX_ADDRESSES

"""What waits for the stage: bounded, and thinned so that what matters stays."""

from foundation.clock import Clock
from gateway.alerts.backlog import Backlog, thinned
from gateway.committed import Committed, DeviceChange, Reading, TapRow
from tests.packed import pack_of


def reading(series_id: int, at_us: int, value: float) -> Reading:
    return (series_id, at_us, at_us, value, 0)


def commit(*readings: Reading, frame_no: int = 1) -> Committed:
    return Committed(committed_us=1_000 + frame_no, last_frame_no=frame_no, packs=[pack_of(one) for one in readings])


def test_readings_of_unwatched_series_and_retained_ones_do_not_enter() -> None:
    backlog = Backlog()
    committed = commit(reading(1, 10, 5.0), reading(2, 10, 5.0))
    committed.retained_packs.append(pack_of(reading(1, 11, 99.0)))
    assert backlog.add(committed, {2})
    assert backlog.take().readings == [reading(1, 10, 5.0)]


def test_a_commit_without_anything_of_interest_still_moves_the_frame_number() -> None:
    backlog = Backlog()
    assert not backlog.add(commit(reading(2, 10, 5.0), frame_no=7), {2})
    batch = backlog.take()
    assert (batch.readings, batch.last_frame_no) == ([], 7)
    assert backlog.take().last_frame_no == 7


def test_a_commit_without_content_does_not_set_the_time() -> None:
    backlog = Backlog()
    backlog.add(commit(reading(1, 10, 5.0)), set())
    backlog.add(Committed(committed_us=0, last_frame_no=0), set())
    assert backlog.take().now_us == 1_001


def test_taps_and_connections_are_signs_of_life() -> None:
    backlog = Backlog()
    committed = Committed(committed_us=1, last_frame_no=1)
    for at_us in (20, 30, 25):
        committed.taps.append(TapRow(at_us, "door-1", at_us, at_us, Clock.GOOD, "ref", "uid", None, None))
    committed.device_changes.append(DeviceChange("lab-1", "active", True, 5))
    committed.device_changes.append(DeviceChange("lab-2", "active", False, 5))
    backlog.add(committed, set())
    batch = backlog.take()
    assert batch.heard_us == {"door-1": 30}
    assert batch.present == {"lab-1"}
    assert batch.states == {"lab-1": "active", "lab-2": "active"}


def test_thinning_keeps_the_newest_the_lowest_and_the_highest_in_order() -> None:
    values = [5.0, 9.0, 7.0, 1.0, 6.0, 4.0, 5.0]
    readings = [reading(1, at_us, value) for at_us, value in enumerate(values)]
    assert thinned(readings) == [readings[1], readings[3], readings[6]]


def test_thinning_drops_late_readings_and_keeps_series_apart() -> None:
    readings = [reading(1, 10, 5.0), reading(2, 10, 50.0), reading(1, 9, 99.0), reading(1, 11, 6.0)]
    assert thinned(readings) == [reading(1, 10, 5.0), reading(2, 10, 50.0), reading(1, 11, 6.0)]


def test_what_waits_is_bounded_by_the_limit_or_by_the_number_of_series() -> None:
    backlog = Backlog(limit=100)
    most = 0
    for number in range(2_000):
        backlog.add(commit(*(reading(series, number, float(number % 7)) for series in range(10))), set())
        most = max(most, len(backlog._batch.readings))
    assert most <= 100
    assert backlog.thinned_total > 19_000
    batch = backlog.take()
    assert {row[0] for row in batch.readings} == set(range(10))
    assert max(row[1] for row in batch.readings) == 1_999

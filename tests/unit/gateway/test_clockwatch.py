"""Whether the gateway believes its own clock."""

from gateway.clockwatch import AGREEING, AHEAD_US, MADE_US, MAX_DEVICES, QUORUM, ClockWatch

NOW = MADE_US + 30_000_000_000_000
TEN_YEARS_US = 315_576_000_000_000


def test_a_fresh_database_and_a_plausible_clock_are_believed() -> None:
    watch = ClockWatch(0)
    assert not watch.judge(NOW, 0)
    assert watch.is_right


def test_a_clock_from_before_the_program_was_made_is_not() -> None:
    watch = ClockWatch(0)
    assert watch.judge(MADE_US - 1, 0)
    assert watch.doubt == "the clock is before this program was made"


def test_a_clock_behind_the_database_is_in_doubt_until_it_has_caught_up() -> None:
    watch = ClockWatch(NOW)
    watch.judge(NOW - TEN_YEARS_US // 100, 0)
    assert not watch.is_right
    assert watch.judge(NOW, 0)
    assert watch.is_right


def test_a_clock_that_goes_back_while_running_is_noticed() -> None:
    watch = ClockWatch(0)
    watch.judge(NOW, 0)
    assert watch.judge(NOW - 2 * 3_600_000_000, 0)
    assert not watch.is_right


def test_most_devices_disagreeing_is_a_doubt() -> None:
    watch = ClockWatch(0)
    for number in range(QUORUM):
        watch.note_stamp(f"d{number}", -TEN_YEARS_US)
    watch.judge(NOW, 0)
    assert watch.doubt is not None
    assert "most devices" in watch.doubt


def test_one_device_with_a_wrong_clock_is_outvoted() -> None:
    watch = ClockWatch(0)
    watch.note_stamp("wrong", TEN_YEARS_US)
    for number in range(QUORUM):
        watch.note_stamp(f"d{number}", 1_000)
    watch.judge(NOW, 0)
    assert watch.is_right


def test_devices_that_are_wrong_each_in_its_own_way_say_nothing() -> None:
    watch = ClockWatch(0)
    for number in range(2 * QUORUM):
        watch.note_stamp(f"d{number}", (number - QUORUM) * TEN_YEARS_US // 10)
    watch.judge(NOW, 0)
    assert watch.is_right


def test_devices_outvote_a_database_that_learnt_from_a_wrong_clock() -> None:
    watch = ClockWatch(NOW + TEN_YEARS_US)
    watch.judge(NOW, 0)
    assert not watch.is_right
    for number in range(QUORUM):
        watch.note_stamp(f"d{number}", 0)
    assert watch.judge(NOW, 0)
    assert watch.is_right
    for number in range(QUORUM):
        watch.note_stamp(f"d{number}", 600_000_000)  # ten minutes: neither for nor against
    assert not watch.judge(NOW + 1, 0)


def test_two_devices_that_agree_speak_for_the_clock_and_two_that_do_not_say_nothing() -> None:
    watch = ClockWatch(NOW + TEN_YEARS_US)
    for number in range(AGREEING):
        watch.note_stamp(f"d{number}", -TEN_YEARS_US)
    watch.judge(NOW, 0)
    assert watch.doubt == "the clock is behind the newest time in the database"
    for number in range(AGREEING):
        watch.note_stamp(f"d{number}", 1_000)
    assert watch.judge(NOW, 0)
    assert watch.is_right


def test_a_clock_far_ahead_of_the_database_is_in_doubt_until_devices_agree() -> None:
    watch = ClockWatch(NOW)
    watch.judge(NOW + AHEAD_US, 0)
    assert watch.is_right
    watch = ClockWatch(NOW)
    watch.judge(NOW + TEN_YEARS_US, 0)
    assert watch.doubt == "the clock is 3652 days ahead of the newest time in the database"
    for number in range(AGREEING):
        watch.note_stamp(f"d{number}", 0)
    assert watch.judge(NOW + TEN_YEARS_US, 0)
    assert watch.is_right


def test_a_jump_is_noticed_before_it_is_judged() -> None:
    watch = ClockWatch(0)
    watch.judge(NOW, 0)
    assert watch.is_right_at(NOW + 1_000_000, 1_000_000)
    assert not watch.is_right_at(NOW + TEN_YEARS_US, 1_000_000)
    assert not watch.is_right_at(NOW - TEN_YEARS_US, 1_000_000)


def test_after_a_jump_devices_have_to_speak_anew() -> None:
    watch = ClockWatch(0)
    for number in range(QUORUM):
        watch.note_stamp(f"d{number}", 0)
    watch.judge(NOW, 0)
    watch.judge(NOW + TEN_YEARS_US, 1_000_000)
    assert not watch.is_right
    watch.judge(NOW + 2_000_000, 2_000_000)
    assert watch.is_right


def test_the_best_time_is_the_databases_while_the_clock_is_in_doubt() -> None:
    watch = ClockWatch(NOW)
    watch.judge(NOW - TEN_YEARS_US, 0)
    assert watch.best_us(NOW - TEN_YEARS_US) == NOW
    watch.judge(NOW + 1, 0)
    assert watch.best_us(NOW + 1) == NOW + 1
    new = ClockWatch(0)
    new.judge(MADE_US - 1, 0)
    assert new.best_us(MADE_US - 1) == MADE_US - 1


def test_memory_is_bounded_however_many_devices_stamp() -> None:
    watch = ClockWatch(0)
    for number in range(MAX_DEVICES + 100):
        watch.note_stamp(f"d{number}", 0)
    assert len(watch._offsets_us) == MAX_DEVICES

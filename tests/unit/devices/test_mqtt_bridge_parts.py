"""The parts of the bridge that know no socket and no clock."""

from devices.mqtt.client.canary import Canary, topic_of
from devices.mqtt.client.outgoing import OutgoingQueue
from devices.mqtt.client.redelivery import MAX_REMEMBERED, Window
from devices.mqtt.client.subscriptions import Subscriptions, cross, without_covered
from foundation.backoff import Backoff

TOPIC = "sg/a/telemetry"


def test_waits_are_drawn_from_a_bound_that_doubles_up_to_the_cap() -> None:
    backoff = Backoff(0.5, 30.0, lambda: 1.0)
    assert [backoff.next_s() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert Backoff(0.5, 30.0, lambda: 0.0).next_s() == 0.0


def test_only_what_held_for_long_makes_the_waits_short_again() -> None:
    backoff = Backoff(0.5, 30.0, lambda: 1.0)
    backoff.next_s()
    backoff.note_lived(29.0)
    assert backoff.next_s() == 1.0
    backoff.note_lived(30.0)
    assert backoff.next_s() == 0.5


def test_a_canary_flies_at_once_and_then_at_its_interval() -> None:
    canary = Canary(every_s=30, wait_s=5)
    assert not canary.is_due(0)
    canary.start(100)
    assert canary.is_due(100)
    payload = canary.fly(100)
    assert not canary.is_due(131)  # one at a time
    assert canary.came_back(payload)
    assert not canary.is_due(129)
    assert canary.is_due(130)


def test_a_canary_is_lost_after_silence_and_not_while_others_come_or_we_are_slow() -> None:
    canary = Canary(every_s=30, wait_s=5)
    canary.start(0)
    payload = canary.fly(0)
    assert not canary.is_overdue(5)
    assert canary.is_overdue(6)
    canary.note_heard(6)
    assert not canary.is_overdue(11)
    canary.note_heard(60)
    assert canary.is_overdue(61)  # it has been queued behind others for too long
    canary.note_busy(61)
    assert not canary.is_overdue(66)
    assert canary.came_back(payload)
    assert not canary.is_overdue(1_000)


def test_a_canary_of_an_earlier_connection_proves_nothing() -> None:
    canary = Canary(every_s=30, wait_s=5)
    canary.start(0)
    old = canary.fly(0)
    canary.start(1)
    assert not canary.came_back(old)
    canary.fly(1)
    assert not canary.came_back(old)
    assert canary.is_overdue(7)


def test_a_canary_that_is_not_allowed_is_neither_due_nor_overdue() -> None:
    canary = Canary(every_s=30, wait_s=5)
    canary.start(0)
    canary.fly(0)
    canary.stop()
    assert not canary.is_on
    assert not canary.is_due(1_000)
    assert not canary.is_overdue(1_000)


def test_a_canarys_topic_is_one_level_below_its_prefix_for_any_client_id() -> None:
    assert topic_of("schoolgate") == "schoolgate/canary/schoolgate"
    for client_id in ("a/b", "#", "+", "$share", "ä", "x" * 65_535):
        prefix, _, name = topic_of(client_id).rpartition("/")
        assert prefix == "schoolgate/canary"
        assert name
        assert len(name) <= 200
        assert not set("+#\0") & set(name)


def test_an_acknowledgement_leaves_after_the_commit_on_the_same_connection() -> None:
    window = Window()
    window.connected(is_session_present=False)
    first, is_new = window.take(1, 1, TOPIC, b"1", is_dup=False)
    second, _ = window.take(2, 1, TOPIC, b"2", is_dup=False)
    assert is_new
    assert window.committed([first, second]) == [first, second]


def test_a_delivery_of_an_earlier_connection_is_not_acknowledged_on_the_next() -> None:
    window = Window()
    window.connected(is_session_present=False)
    delivery, _ = window.take(1, 1, TOPIC, b"1", is_dup=False)
    window.connected(is_session_present=True)
    assert window.committed([delivery]) == []


def test_what_comes_again_is_not_new_and_is_acknowledged_where_it_came_last() -> None:
    window = Window()
    window.connected(is_session_present=False)
    delivery, _ = window.take(1, 1, TOPIC, b"1", is_dup=False)
    window.connected(is_session_present=True)
    again, is_new = window.take(1, 1, TOPIC, b"1", is_dup=True)
    assert again is delivery
    assert not is_new
    assert not again.is_committed
    assert window.committed([delivery]) == [delivery]


def test_what_comes_again_after_its_commit_is_acknowledged_at_once() -> None:
    window = Window()
    window.connected(is_session_present=False)
    lost, _ = window.take(1, 1, TOPIC, b"1", is_dup=False)
    unsent, _ = window.take(2, 1, TOPIC, b"2", is_dup=False)
    assert window.committed([lost]) == [lost]  # acknowledged, and the acknowledgement is lost
    window.connected(is_session_present=True)
    window.committed([unsent])
    for packet_id, payload in ((1, b"1"), (2, b"2")):
        again, is_new = window.take(packet_id, 1, TOPIC, payload, is_dup=True)
        assert not is_new
        assert again.is_committed


def test_without_the_session_without_dup_or_with_other_content_it_is_another_message() -> None:
    for is_session_present, is_dup, payload in ((False, True, b"1"), (True, False, b"1"), (True, True, b"2")):
        window = Window()
        window.connected(is_session_present=False)
        window.take(1, 1, TOPIC, b"1", is_dup=False)
        window.connected(is_session_present=is_session_present)
        assert window.take(1, 1, TOPIC, payload, is_dup=is_dup)[1]


def test_only_the_latest_acknowledgements_are_remembered() -> None:
    window = Window()
    window.connected(is_session_present=False)
    for number in range(MAX_REMEMBERED + 1):
        window.committed([window.take(number + 1, 1, TOPIC, b"", is_dup=False)[0]])
    window.connected(is_session_present=True)
    assert window.take(1, 1, TOPIC, b"", is_dup=True)[1]
    assert not window.take(2, 1, TOPIC, b"", is_dup=True)[1]


def test_a_filter_that_another_covers_is_not_subscribed() -> None:
    assert without_covered(["a/b", "a/+", "a/#", "a/#", "b"]) == ["a/#", "b"]
    assert without_covered(["#", "$SYS/#"]) == ["#", "$SYS/#"]
    assert without_covered(["$share/g/a/b", "a/#", "$share/g/#"]) == ["$share/g/a/b", "a/#", "$share/g/#"]


def test_identifiers_are_needed_only_where_filters_cross() -> None:
    assert not Subscriptions(["sg/+/telemetry", "sg/+/tap", "sg/+/status"]).do_cross
    assert not Subscriptions(["sg/#", "sg/+/tap"]).do_cross
    assert Subscriptions(["a/+", "+/b"]).do_cross


def test_filters_cross_if_a_topic_matches_both() -> None:
    for one, other in (("a/+", "+/b"), ("a/#", "a"), ("#", "a/b"), ("+/b/#", "a/+/c"), ("$SYS/+", "$SYS/#")):
        assert cross(one, other)
        assert cross(other, one)
    for one, other in (("a/+", "b/+"), ("a", "a/b"), ("a/+", "a/+/c"), ("#", "$SYS/a"), ("+/a", "$SYS/a")):
        assert not cross(one, other)
        assert not cross(other, one)


def test_a_copy_for_a_subscription_of_an_earlier_configuration_is_taken() -> None:
    subscriptions = Subscriptions(["a/+", "+/b"])
    strange = next(number for number in range(1, 9) if number not in {one.identifier for one in subscriptions.all})
    assert not subscriptions.is_further_copy("a/b", [strange])
    assert not subscriptions.is_further_copy("a/b", [])
    assert not subscriptions.is_wanted("c")


def test_a_message_waits_until_it_is_confirmed_and_no_longer_than_it_is_kept() -> None:
    queue = OutgoingQueue(kept_s=60, cap_bytes=10_000)
    queue.add("a", b"1", 1, now_s=0)
    queue.add("a", b"2", 0, now_s=0)
    first, second = queue.to_send(0)
    queue.sent(first, 1)
    queue.sent(second, 2)
    assert queue.to_send(1) == []
    queue.connected()
    assert queue.to_send(2) == [first]
    queue.sent(first, 7)
    assert queue.confirmed(1) is None
    assert queue.confirmed(7) is first
    queue.add("a", b"3", 1, now_s=10)
    assert queue.to_send(71) == []
    assert queue.dropped_total == 1


def test_at_the_cap_the_oldest_message_goes() -> None:
    queue = OutgoingQueue(kept_s=60, cap_bytes=1_000)
    for number in range(10):
        queue.add("a", b"%d" % number, 1, now_s=0)
    assert [one.payload for one in queue.to_send(0)] == [b"6", b"7", b"8", b"9"]
    assert queue.dropped_total == 6

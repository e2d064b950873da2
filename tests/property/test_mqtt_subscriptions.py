"""Subscriptions against brokers that deliver as MQTT 5.0 §3.3.4 allows."""

from hypothesis import given
from hypothesis import strategies as st

from devices.mqtt.client.subscriptions import Subscriptions, cross
from devices.mqtt.topics import filter_fault, matches

LEVELS = st.sampled_from(["a", "b", "", "$x"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = (
    st.tuples(st.lists(st.one_of(LEVELS, st.just("+")), min_size=0, max_size=4), st.sampled_from([[], ["#"]]))
    .map(lambda parts: "/".join([*parts[0], *parts[1]]))
    .filter(lambda text: text != "" and filter_fault(text) is None)
)


@given(st.lists(FILTERS, min_size=1, max_size=6), TOPICS)
def test_exactly_one_copy_is_taken_whether_the_broker_sends_one_or_many(filters: list[str], topic: str) -> None:
    subscriptions = Subscriptions(filters)
    matching = [one.identifier for one in subscriptions.all if matches(one.topic_filter, topic)]
    is_wanted = any(matches(one, topic) for one in filters)
    assert subscriptions.is_wanted(topic) == is_wanted == bool(matching)
    if not is_wanted:
        return
    assert not subscriptions.is_further_copy(topic, matching)
    assert sum(not subscriptions.is_further_copy(topic, [identifier]) for identifier in matching) == 1
    if not subscriptions.do_cross:
        assert len(matching) == 1  # no identifiers are needed, since there is one copy


@given(FILTERS, FILTERS, TOPICS)
def test_filters_that_match_one_topic_cross(one: str, other: str, topic: str) -> None:
    if matches(one, topic) and matches(other, topic):
        assert cross(one, other)
        assert cross(other, one)


@given(st.lists(FILTERS, min_size=1, max_size=6))
def test_identifiers_are_all_different_and_do_not_depend_on_the_order(filters: list[str]) -> None:
    found = {one.topic_filter: one.identifier for one in Subscriptions(filters).all}
    again = {one.topic_filter: one.identifier for one in Subscriptions(reversed(filters)).all}
    assert found == again
    assert len(set(found.values())) == len(found)

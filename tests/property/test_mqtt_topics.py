"""Matching agrees with a regular expression, and the trees agree with matching one by one."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from devices.mqtt.server.topic_tree import SubscriptionTree, TopicTree
from devices.mqtt.topics import filter_fault, matches, name_fault, split_share

DEEP = st.sampled_from(["", "p/" * 29, "p/" * 31, "p/" * 32, "p/" * 40])
"""What stands before all paths of a case: the trees treat levels beyond the 32nd in another way."""

level = st.sampled_from(["a", "b", "", "$s", "cc"])
names = st.lists(level, min_size=1, max_size=4).map("/".join).filter(bool)


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(level | st.just("+"), min_size=1, max_size=4))
    if draw(st.booleans()):
        levels.append("#")
    found = "/".join(levels)
    return found or "+"


def as_expression(topic_filter: str) -> re.Pattern[str]:
    """The filter as a regular expression, by other means than splitting into levels."""
    expression = re.escape(topic_filter).replace(r"\+", "[^/]*")
    if expression == r"\#":
        return re.compile(r"(?!\$).*", re.DOTALL)
    if expression.endswith(r"/\#"):
        expression = expression[:-3] + "(/.*)?"
    hidden = r"(?!\$)" if topic_filter[0] == "+" else ""
    return re.compile(hidden + expression, re.DOTALL)


@settings(max_examples=700, deadline=None)
@given(filters(), names)
def test_matching_agrees_with_a_regular_expression(topic_filter: str, topic: str) -> None:
    assert filter_fault(topic_filter) is None
    assert name_fault(topic) is None
    assert matches(topic_filter, topic) == bool(as_expression(topic_filter).fullmatch(topic))


@settings(max_examples=300, deadline=None)
@given(
    DEEP,
    st.lists(st.tuples(st.booleans(), filters(), st.sampled_from("xyz"), st.integers()), max_size=40),
    st.lists(names, min_size=1, max_size=8),
)
def test_the_tree_of_subscriptions_agrees_with_matching_one_by_one(
    deep: str, changes: list[tuple[bool, str, str, int]], topics: list[str]
) -> None:
    tree: SubscriptionTree[int] = SubscriptionTree()
    held: dict[tuple[str, str], int] = {}
    for is_added, short, key, value in changes:
        topic_filter = deep + short
        if is_added:
            assert tree.add(topic_filter, key, value) == ((key, topic_filter) not in held)
            held[key, topic_filter] = value
        else:
            assert tree.remove(topic_filter, key) == (held.pop((key, topic_filter), None) is not None)
    for topic in topics:
        expected = [
            (key, topic_filter, value)
            for (key, topic_filter), value in held.items()
            if matches(topic_filter, deep + topic)
        ]
        assert sorted(tree.match(deep + topic)) == sorted(expected)


@settings(max_examples=300, deadline=None)
@given(
    DEEP,
    st.lists(st.tuples(st.booleans(), names), max_size=40),
    st.lists(filters(), min_size=1, max_size=8),
)
def test_the_tree_of_topics_agrees_with_matching_one_by_one(
    deep: str, changes: list[tuple[bool, str]], topic_filters: list[str]
) -> None:
    tree = TopicTree()
    held = set()
    for is_added, short in changes:
        if is_added:
            tree.add(deep + short)
            held.add(deep + short)
        else:
            tree.remove(deep + short)
            held.discard(deep + short)
    assert len(tree) == len(held)
    for short in topic_filters:
        for topic_filter in (deep + short, short):
            expected = [topic for topic in held if matches(topic_filter, topic)]
            assert sorted(tree.match(topic_filter)) == sorted(expected)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20) | st.text(alphabet="$share/+#a\0", max_size=16))
def test_any_text_is_a_filter_or_has_a_stated_fault(text: str) -> None:
    fault = filter_fault(text)
    if fault is not None:
        assert isinstance(fault, str)
        return
    share, inner = split_share(text)
    assert inner
    assert share != ""
    assert filter_fault(inner) is None or inner.startswith("$share/")
    if name_fault(text) is None:
        assert matches(text, text)

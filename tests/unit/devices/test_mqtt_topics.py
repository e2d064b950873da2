"""Topic names, filters and the trees that find them (MQTT 5.0 §4.7, §4.8.2)."""

import pytest

from devices.mqtt.server.topic_tree import SubscriptionTree, TopicTree
from devices.mqtt.topics import covers, filter_fault, matches, name_fault, split_share, text_fault


@pytest.mark.parametrize("topic", ["a", "/", "//", " ", "sg/door-1/tap", "$SYS/broker", "käse/☃/😀", "a" * 65_535])
def test_a_topic_name_may_be_any_text_without_wildcards(topic: str) -> None:
    assert name_fault(topic) is None
    assert filter_fault(topic) is None


@pytest.mark.parametrize(
    "topic",
    ["", "+", "#", "a/+/b", "a/#", "a+", "a\0b", "a\nb", "a\x7f", "a\x9f", "\ud800", "\ufffe", "\U0010ffff", "\ufdd0"],
)
def test_a_topic_name_is_not_empty_and_holds_no_wildcard_and_no_disallowed_character(topic: str) -> None:
    assert name_fault(topic) is not None


def test_a_text_is_at_most_65535_bytes_long_however_few_characters_these_are() -> None:
    assert text_fault("ü" * 32_767) is None
    assert text_fault("ü" * 32_768) is not None
    assert text_fault("😀" * 16_384) is not None
    assert name_fault("a" * 65_536) is not None
    assert filter_fault("$share/a/" + "a" * 65_536) is not None


@pytest.mark.parametrize(
    "topic_filter",
    ["#", "+", "/#", "+/#", "+/+", "/+", "sport/+/player1", "sport/tennis/#", "$SYS/#", "$share/group/#", "$share"],
)
def test_a_filter_may_hold_wildcards_that_are_whole_levels(topic_filter: str) -> None:
    assert filter_fault(topic_filter) is None


@pytest.mark.parametrize(
    "topic_filter",
    ["", "a#", "a/#/b", "##", "#/", "a/b#", "+a", "a+/b", "++", "a/++", "a/+b/c", "\0", "a/\x01", "\ud800/#"],
)
def test_a_wildcard_that_is_not_a_whole_level_makes_a_filter_invalid(topic_filter: str) -> None:
    assert filter_fault(topic_filter) is not None


@pytest.mark.parametrize(
    "topic_filter",
    ["$share/", "$share/a", "$share//a", "$share/a/", "$share/+/a", "$share/a#/b", "$share/a/b#", "$share/\0/b"],
)
def test_a_shared_subscription_has_a_name_and_a_filter(topic_filter: str) -> None:
    assert filter_fault(topic_filter) is not None


def test_a_shared_subscription_is_split_into_its_name_and_its_filter() -> None:
    assert split_share("$share/hall/sg/+/tap") == ("hall", "sg/+/tap")
    assert split_share("$share/hall//") == ("hall", "/")
    assert split_share("sg/+/tap") == (None, "sg/+/tap")
    assert split_share("$shared/hall/a") == (None, "$shared/hall/a")


@pytest.mark.parametrize(
    ("topic_filter", "topic"),
    [
        ("sport/tennis/player1/#", "sport/tennis/player1"),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking"),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
        ("sport/#", "sport"),
        ("#", "a/b"),
        ("#", "/"),
        ("sport/tennis/+", "sport/tennis/player1"),
        ("sport/+", "sport/"),
        ("+/+", "/finance"),
        ("/+", "/finance"),
        ("+", "finance"),
        ("$SYS/#", "$SYS/"),
        ("$SYS/monitor/+", "$SYS/monitor/Clients"),
        ("a/+/$b", "a/x/$b"),
        ("a/#", "a/$b"),
    ],
)
def test_the_examples_of_the_specification_match(topic_filter: str, topic: str) -> None:
    assert matches(topic_filter, topic)


@pytest.mark.parametrize(
    ("topic_filter", "topic"),
    [
        ("sport/tennis/+", "sport/tennis/player1/ranking"),
        ("sport/+", "sport"),
        ("+", "/finance"),
        ("#", "$SYS"),
        ("#", "$SYS/a"),
        ("+/monitor/Clients", "$SYS/monitor/Clients"),
        ("+", "$SYS"),
        ("ACCOUNTS", "Accounts"),
        ("a/b", "a/b/"),
        ("/a", "a"),
        ("a/b/#", "a"),
    ],
)
def test_the_counterexamples_of_the_specification_do_not_match(topic_filter: str, topic: str) -> None:
    assert not matches(topic_filter, topic)


def test_a_tree_gives_each_subscriber_with_each_of_its_filters() -> None:
    tree: SubscriptionTree[int] = SubscriptionTree()
    assert tree.add("sg/+/tap", "hall", 1)
    assert tree.add("sg/#", "hall", 2)
    assert tree.add("sg/door/tap", "office", 0)
    assert tree.add("other", "office", 0)
    assert sorted(tree.match("sg/door/tap")) == [
        ("hall", "sg/#", 2),
        ("hall", "sg/+/tap", 1),
        ("office", "sg/door/tap", 0),
    ]
    assert tree.match("nobody") == []


def test_a_subscription_made_again_replaces_the_first() -> None:
    tree: SubscriptionTree[int] = SubscriptionTree()
    assert tree.add("a/b", "hall", 0)
    assert not tree.add("a/b", "hall", 2)
    assert tree.match("a/b") == [("hall", "a/b", 2)]


def test_removing_a_subscription_leaves_the_others() -> None:
    tree: SubscriptionTree[int] = SubscriptionTree()
    tree.add("a/b/c", "hall", 0)
    tree.add("a/b/c", "office", 0)
    tree.add("a/b", "office", 0)
    assert tree.remove("a/b/c", "hall")
    assert not tree.remove("a/b/c", "hall")
    assert not tree.remove("a/b/d", "office")
    assert tree.match("a/b/c") == [("office", "a/b/c", 0)]
    assert tree.remove("a/b", "office")
    assert tree.match("a/b") == []


def test_a_filter_of_slashes_alone_is_found_and_removed() -> None:
    slashes = "/" * 65_535
    tree: SubscriptionTree[int] = SubscriptionTree()
    tree.add(slashes, "hall", 0)
    tree.add(slashes[:-1] + "+", "hall", 0)
    tree.add(slashes[:-1] + "#", "hall", 0)
    assert len(tree.match(slashes)) == 2
    assert len(tree.match(slashes[:-1])) == 2
    assert tree.remove(slashes, "hall")
    assert [topic_filter[-1] for _, topic_filter, _ in tree.match(slashes)] == ["#"]


def test_topics_are_found_by_filter() -> None:
    tree = TopicTree()
    for topic in ("sg/door/status", "sg/hall/status", "sg/hall/tap", "sg", "$SYS/version", "/"):
        tree.add(topic)
    tree.add("sg/hall/tap")
    assert len(tree) == 6
    assert sorted(tree.match("sg/+/status")) == ["sg/door/status", "sg/hall/status"]
    assert sorted(tree.match("sg/hall/#")) == ["sg/hall/status", "sg/hall/tap"]
    assert sorted(tree.match("#")) == ["/", "sg", "sg/door/status", "sg/hall/status", "sg/hall/tap"]
    assert tree.match("$SYS/#") == ["$SYS/version"]
    assert tree.match("sg/hall/tap") == ["sg/hall/tap"]
    assert tree.match("+") == ["sg"]
    assert tree.match("nothing/#") == []


def test_a_removed_topic_is_not_found() -> None:
    tree = TopicTree()
    tree.add("a/b")
    tree.add("a/b/c")
    tree.remove("a/b")
    tree.remove("a/b")
    tree.remove("a")
    assert tree.match("#") == ["a/b/c"]
    tree.remove("a/b/c")
    assert tree.match("#") == []
    assert len(tree) == 0


def test_topics_of_slashes_alone_are_found() -> None:
    tree = TopicTree()
    deep = ["/" * length for length in (65_533, 65_534, 65_535)]
    for topic in deep:
        tree.add(topic)
    assert sorted(tree.match("/" * 65_533 + "#")) == deep
    assert tree.match("+" + "/+" * 40) == []


@pytest.mark.parametrize(
    ("allowed", "requested", "is_covered"),
    [
        ("#", "#", True),
        ("#", "a/+/b", True),
        ("#", "$SYS/#", False),
        ("a/#", "a", True),
        ("a/#", "a/#", True),
        ("a/#", "+/b", False),
        ("a/+", "a/b", True),
        ("a/+", "a/+", True),
        ("a/+", "a/#", False),
        ("a/+", "a", False),
        ("a/b", "a/+", False),
        ("+/b", "a/b", True),
        ("a/b/c", "a/b", False),
    ],
)
def test_a_filter_covers_another_if_it_matches_all_that_the_other_could(
    allowed: str, requested: str, is_covered: bool
) -> None:
    assert covers(allowed, requested) is is_covered

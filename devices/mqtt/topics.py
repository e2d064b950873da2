"""Topic names and topic filters: what they may be, which match, which cover others (MQTT 5.0 §4.7, §4.8.2). Pure.

The rules are the same in 3.1.1. A *fault* is a sentence that says what is wrong, or None. A shared
subscription, `$share/<name>/<filter>`, is one in both versions, as in other brokers; what matches takes the
filter inside.
"""

import re

MAX_TEXT_BYTES = 65_535
"""A UTF-8 Encoded String has a two-byte length (MQTT 5.0 §1.5.4)."""

MAX_LEVELS = 32
"""Of a topic name, and of the filter inside a shared subscription, at the door. The protocol knows no such limit, but
what a topic with very many levels costs to match is paid by everybody else; real ones have fewer than ten."""

_MAX_UTF8_BYTES_A_CHARACTER = 4
_SHARE = "$share/"

_DISALLOWED = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)
"""U+0000 and surrogates MUST NOT be in a string [MQTT-1.5.4-1, -2]; control and non-characters SHOULD NOT.
Those are refused too, as Mosquitto does: forwarded, they make a stricter subscriber hang up (§5.4.9)."""


def text_fault(text: str) -> str | None:
    """What keeps `text` from being a UTF-8 Encoded String of MQTT."""
    if _DISALLOWED.search(text) is not None:
        return "text holds a character that MQTT disallows"
    if len(text) > MAX_TEXT_BYTES // _MAX_UTF8_BYTES_A_CHARACTER and len(text.encode()) > MAX_TEXT_BYTES:
        return "text is longer than 65,535 bytes"
    return None


def name_fault(topic: str) -> str | None:
    """What keeps `topic` from being a topic name, which a message is published to."""
    if not topic:
        return "topic name is empty"  # [MQTT-4.7.3-1]
    if "+" in topic or "#" in topic:
        return "topic name holds a wildcard"  # [MQTT-4.7.1-1]
    return text_fault(topic)


def filter_fault(topic_filter: str) -> str | None:
    """What keeps `topic_filter` from being a topic filter, which a client subscribes to; shared or not."""
    fault = text_fault(topic_filter)
    if fault is not None:
        return fault
    if topic_filter.startswith(_SHARE):
        share, _, topic_filter = topic_filter[len(_SHARE) :].partition("/")
        if not share or not topic_filter or "+" in share or "#" in share:
            return "shared subscription is not $share/<name>/<filter>"  # [MQTT-4.8.2-1, -2]
    if not topic_filter:
        return "topic filter is empty"  # [MQTT-4.7.3-1]
    if "#" in topic_filter:
        before = topic_filter[:-1]
        if "#" in before or (before and before[-1] != "/"):
            return "# is not the whole last level of the topic filter"  # [MQTT-4.7.1-1]
    if "+" in topic_filter and any("+" in level and level != "+" for level in topic_filter.split("/")):
        return "+ is not a whole level of the topic filter"  # [MQTT-4.7.1-2]
    return None


def is_too_deep(topic: str) -> bool:
    """Whether a topic name, or a filter without its share, has more levels than the door takes."""
    return topic.count("/") >= MAX_LEVELS


def split_share(topic_filter: str) -> tuple[str | None, str]:
    """The share name, or None, and the filter that topics are matched with. `topic_filter` has no fault."""
    if not topic_filter.startswith(_SHARE):
        return None, topic_filter
    share, _, inner = topic_filter[len(_SHARE) :].partition("/")
    return share, inner


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a message to `topic` goes to a subscription of `topic_filter`. Neither has a fault."""
    if topic.startswith("$") and topic_filter.startswith(("+", "#")):
        return False  # [MQTT-4.7.2-1]
    levels = topic.split("/")
    count = len(levels)
    depth = 0
    for wanted in topic_filter.split("/"):
        if wanted == "#":
            return True  # the level above it too: "sport/#" matches "sport" (§4.7.1.2)
        if depth == count or (wanted != "+" and wanted != levels[depth]):
            return False
        depth += 1
    return depth == count


def covers(allowed: str, requested: str) -> bool:
    """Whether every topic that the filter `requested` matches is matched by the filter `allowed` too."""
    if allowed == requested:
        return True
    allowed_levels, requested_levels = allowed.split("/"), requested.split("/")
    if requested.startswith("$") and allowed.startswith(("+", "#")):
        return False
    for depth, level in enumerate(allowed_levels):
        if level == "#":
            return True
        if depth >= len(requested_levels):
            return False
        wanted = requested_levels[depth]
        if wanted == "#" or (level != "+" and level != wanted):
            return False
    return len(allowed_levels) == len(requested_levels)

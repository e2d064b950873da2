"""Which filters to subscribe so that no message is taken in twice. Pure.

MQTT 5.0 §3.3.4 lets a broker deliver one copy of a message for each of a client's subscriptions that match it. So:

- A filter that another one covers is not subscribed.
- Filters that only cross each other (`a/+` and `+/b`) are both needed. They get subscription identifiers, and a
  message belongs to the first filter that matches its topic: a copy that names other subscriptions of ours, but
  not that one, is the further copy. A broker that sends one copy names all that matched; then it is taken.
- Identifiers are made from the filter's text: those of an earlier configuration, whose messages may still be queued
  at the broker, are not mistaken for today's. A copy that names none of ours is taken if its topic is wanted.

A shared subscription gets only part of the messages, so its copies are always taken and it never covers another.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from devices.mqtt.topics import covers, matches, split_share

MAX_IDENTIFIER = 268_435_455
"""MQTT 5.0 §3.8.2.1.2."""

MAX_TOPICS = 50_000
"""Topics whose owner is remembered; a peer that invents topics only makes us look again."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A filter and the identifier it is subscribed with."""

    topic_filter: str
    identifier: int

    @property
    def is_shared(self) -> bool:
        return split_share(self.topic_filter)[0] is not None

    def matches(self, topic: str) -> bool:
        return matches(split_share(self.topic_filter)[1], topic)


def cross(one: str, other: str) -> bool:
    """True if there is a topic that both filters match."""
    if one.startswith("$") != other.startswith("$") and (one[:1] in ("+", "#") or other[:1] in ("+", "#")):
        return False  # [MQTT-4.7.2-1]
    left, right = one.split("/"), other.split("/")
    for depth in range(max(len(left), len(right))):
        mine = left[depth] if depth < len(left) else None
        theirs = right[depth] if depth < len(right) else None
        if mine == "#" or theirs == "#":
            return True  # it matches the level above it too (§4.7.1.2)
        if mine is None or theirs is None or (mine != theirs and "+" not in (mine, theirs)):
            return False
    return True


def without_covered(filters: Iterable[str]) -> list[str]:
    """Returns the filters, in their order, that no other one covers."""
    wanted = list(dict.fromkeys(filters))
    return [
        one
        for one in wanted
        if split_share(one)[0] is not None
        or not any(other != one and split_share(other)[0] is None and covers(other, one) for other in wanted)
    ]


class Subscriptions:
    """What to subscribe for a list of filters, and which of the copies that then arrive to take in."""

    def __init__(self, filters: Iterable[str]) -> None:
        self.all = tuple(_numbered(without_covered(filters)))
        self._plain = [one for one in self.all if not one.is_shared]
        self._shared = [one for one in self.all if one.is_shared]
        self._identifiers = {one.identifier for one in self.all}
        self._owners: dict[str, Subscription | None] = {}
        self.do_cross = any(
            cross(one.topic_filter, other.topic_filter)
            for number, one in enumerate(self._plain)
            for other in self._plain[:number]
        ) or (bool(self._shared) and len(self.all) > 1)
        """Only then are identifiers needed."""

    def is_wanted(self, topic: str) -> bool:
        """Whether any filter matches; the broker may keep subscriptions of an earlier configuration."""
        return self._owner(topic) is not None

    def is_further_copy(self, topic: str, identifiers: Sequence[int]) -> bool:
        """`topic` is wanted; `identifiers`: those the copy came with, none if they are not in use."""
        owner = self._owner(topic)
        if owner is None or owner.is_shared or owner.identifier in identifiers:
            return False
        ours = self._identifiers.intersection(identifiers)
        return bool(ours) and not any(one.identifier in ours for one in self._shared)

    def _owner(self, topic: str) -> Subscription | None:
        if topic in self._owners:
            return self._owners[topic]
        if len(self._owners) >= MAX_TOPICS:
            self._owners.clear()
        found = next((one for one in (*self._plain, *self._shared) if one.matches(topic)), None)
        self._owners[topic] = found
        return found


def _numbered(filters: list[str]) -> Iterable[Subscription]:
    taken: set[int] = set()
    for one in sorted(filters):
        identifier = zlib.crc32(one.encode()) % MAX_IDENTIFIER + 1
        while identifier in taken:
            identifier = identifier % MAX_IDENTIFIER + 1
        taken.add(identifier)
        yield Subscription(one, identifier)

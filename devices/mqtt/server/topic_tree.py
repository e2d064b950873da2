"""Many filters or many topics at once, in tries by level: which of them match (MQTT 5.0 §4.7). Pure.

Nothing recurses and nothing is deeper than `_DEPTH`, whatever a peer asks for.
"""

from typing import Generic, TypeVar

from devices.mqtt.topics import MAX_LEVELS, matches

V = TypeVar("V")

_DEPTH = MAX_LEVELS
"""Levels of a trie that are branches: all that the door takes. What is deeper, from an earlier version's database, is
one last level, whose paths are compared one by one: a path of 65,535 slashes must not cost much more memory than its
text."""


class _Branch(Generic[V]):
    """One level of a trie: what ends `here`, and what goes on, by the next level."""

    __slots__ = ("children", "here")

    def __init__(self) -> None:
        self.children: dict[str, _Branch[V] | tuple[str, V]] = {}
        self.here: tuple[str, V] | None = None


class _Trie(Generic[V]):
    """Values by path. Where only one path goes on it stands as a leaf, (path, value), for a branch."""

    __slots__ = ("root",)

    def __init__(self) -> None:
        self.root: _Branch[V] = _Branch()

    def get(self, path: str) -> V | None:
        branch = self.root
        for level in path.split("/", _DEPTH):
            child = branch.children.get(level)
            if not isinstance(child, _Branch):
                return child[1] if child is not None and child[0] == path else None
            branch = child
        return branch.here[1] if branch.here is not None else None

    def put(self, path: str, value: V) -> bool:
        """Returns whether the path is new; its value is replaced if not."""
        branch = self.root
        for depth, level in enumerate(path.split("/", _DEPTH)):
            child = branch.children.get(level)
            if child is None or (isinstance(child, tuple) and child[0] == path):
                branch.children[level] = (path, value)
                return child is None
            if isinstance(child, tuple):
                lower: _Branch[V] = _Branch()
                levels = child[0].split("/", _DEPTH)
                if len(levels) == depth + 1:
                    lower.here = child
                else:
                    lower.children[levels[depth + 1]] = child
                branch.children[level] = child = lower
            branch = child
        is_new = branch.here is None
        branch.here = (path, value)
        return is_new

    def remove(self, path: str) -> bool:
        """Removes the path and the branches that only it needed; returns whether it was there."""
        branch = self.root
        trail: list[tuple[_Branch[V], str]] = []
        for level in path.split("/", _DEPTH):
            child = branch.children.get(level)
            if not isinstance(child, _Branch):
                if child is None or child[0] != path:
                    return False
                del branch.children[level]
                break
            trail.append((branch, level))
            branch = child
        else:
            if branch.here is None:
                return False
            branch.here = None
        while trail and not branch.children and branch.here is None:
            branch, level = trail.pop()
            del branch.children[level]
        return True


class SubscriptionTree(Generic[V]):
    """Subscriptions by filter: finds a topic's in steps of its levels, not of the number of subscriptions.

    Filters have no fault and no share name. A `key` holds a filter once; adding it again replaces its value.
    """

    __slots__ = ("_trie",)

    def __init__(self) -> None:
        self._trie: _Trie[dict[str, tuple[str, str, V]]] = _Trie()

    def add(self, topic_filter: str, key: str, value: V) -> bool:
        """Returns whether `key` did not hold this filter before."""
        holders = self._trie.get(topic_filter)
        if holders is None:
            holders = {}
            self._trie.put(topic_filter, holders)
        is_new = key not in holders
        holders[key] = (key, topic_filter, value)
        return is_new

    def remove(self, topic_filter: str, key: str) -> bool:
        """Returns whether `key` held this filter."""
        holders = self._trie.get(topic_filter)
        if holders is None or holders.pop(key, None) is None:
            return False
        if not holders:
            self._trie.remove(topic_filter)
        return True

    def match(self, topic: str) -> list[tuple[str, str, V]]:
        """All (key, filter, value) whose filter matches the topic; a key once for each of its filters."""
        found: list[tuple[str, str, V]] = []
        branches = [self._trie.root]
        for depth, level in enumerate(topic.split("/", _DEPTH)):
            names = (level,) if depth == 0 and topic.startswith("$") else (level, "+", "#")  # [MQTT-4.7.2-1]
            deeper: list[_Branch[dict[str, tuple[str, str, V]]]] = []
            for branch in branches:
                children = branch.children
                if depth == _DEPTH:
                    candidates = list(children.values())
                else:
                    candidates = [children[name] for name in names if name in children]
                for child in candidates:
                    if isinstance(child, _Branch):
                        deeper.append(child)
                    elif matches(child[0], topic):
                        found.extend(child[1].values())
            branches = deeper
        for branch in branches:
            if branch.here is not None:
                found.extend(branch.here[1].values())
            below = branch.children.get("#")  # "sport/#" matches "sport" too
            if isinstance(below, tuple):
                found.extend(below[1].values())
        return found


class TopicTree:
    """A set of topics, of retained messages for example: finds a filter's without a look at the others."""

    __slots__ = ("_count", "_trie")

    def __init__(self) -> None:
        self._trie: _Trie[None] = _Trie()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, topic: str) -> None:
        """`topic` has no fault; adding it again changes nothing."""
        self._count += self._trie.put(topic, None)

    def remove(self, topic: str) -> None:
        """Harmless if the topic is not there."""
        self._count -= self._trie.remove(topic)

    def match(self, topic_filter: str) -> list[str]:
        """The topics that the filter matches, in no order."""
        found: list[tuple[str, None]] = []
        branches = [self._trie.root]
        for depth, wanted in enumerate(topic_filter.split("/", _DEPTH)):
            deeper: list[_Branch[None]] = []
            for branch in branches:
                if wanted == "#" and branch.here is not None:
                    found.append(branch.here)
                for child in _candidates(branch, wanted, depth):
                    if isinstance(child, _Branch):
                        deeper.append(child)
                    elif matches(topic_filter, child[0]):
                        found.append(child)
            branches = deeper
            if wanted == "#":
                found.extend(_leaves(branches))
                branches = []
        found.extend(branch.here for branch in branches if branch.here is not None)
        return [topic for topic, _ in found]


def _candidates(branch: _Branch[V], wanted: str, depth: int) -> list[_Branch[V] | tuple[str, V]]:
    """What a level of a filter may match among the topics that go on from `branch`."""
    if wanted not in ("+", "#") and depth < _DEPTH:
        return [branch.children[wanted]] if wanted in branch.children else []
    if depth > 0:
        return list(branch.children.values())
    return [child for level, child in branch.children.items() if not level.startswith("$")]  # [MQTT-4.7.2-1]


def _leaves(branches: list[_Branch[V]]) -> list[tuple[str, V]]:
    """Everything in and below the branches."""
    found: list[tuple[str, V]] = []
    waiting = list(branches)
    while waiting:
        branch = waiting.pop()
        if branch.here is not None:
            found.append(branch.here)
        for child in branch.children.values():
            if isinstance(child, _Branch):
                waiting.append(child)
            else:
                found.append(child)
    return found

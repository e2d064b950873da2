"""Retained messages by topic, with a cap on their bytes. No I/O.

A message is admitted before the commit and kept after it, so that nobody sees what may be gone after a crash.
"""

import heapq

from devices.mqtt.server.message import Message
from devices.mqtt.server.topic_tree import TopicTree


class RetainedMessages:
    """At the cap a message is not retained, and what its topic held goes, since it is the last one no more;
    counted in `refused`."""

    def __init__(self, cap_bytes: int) -> None:
        self._cap_bytes = cap_bytes
        self._messages: dict[str, Message] = {}
        self._tree = TopicTree()
        self._expiring: list[tuple[int, str]] = []  # a heap; entries whose message was replaced stay until they are due
        self.held_bytes = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._messages)

    def admit(self, message: Message) -> bool:
        """Returns whether the message is to be retained; if not, its topic is to be dropped. An empty payload
        removes what is retained (MQTT 5.0 §3.3.1.3)."""
        if not message.payload:
            return False
        old = self._messages.get(message.topic)
        freed = old.size_bytes if old is not None else 0
        if self.held_bytes - freed + message.size_bytes <= self._cap_bytes:
            return True
        self.refused += 1
        return False

    def put(self, message: Message) -> None:
        """Retains the message in place of the one that its topic holds."""
        topic = message.topic
        old = self._messages.get(topic)
        if old is None:
            self._tree.add(topic)
        else:
            self.held_bytes -= old.size_bytes
        self._messages[topic] = message
        self.held_bytes += message.size_bytes
        if message.expires_us is not None:
            heapq.heappush(self._expiring, (message.expires_us, topic))
            if len(self._expiring) > 2 * len(self._messages) + 64:
                self._tidy()

    def drop(self, topic: str) -> None:
        """Removes what the topic holds; harmless if that is nothing."""
        message = self._messages.pop(topic, None)
        if message is not None:
            self._tree.remove(topic)
            self.held_bytes -= message.size_bytes

    def get(self, topic: str) -> Message | None:
        return self._messages.get(topic)

    def topics(self, topic_filter: str) -> list[str]:
        """Returns the topics with a retained message that an unshared filter matches."""
        return self._tree.match(topic_filter)

    def expire(self, now_us: int) -> list[str]:
        """Drops what has expired; returns those topics."""
        gone = []
        while self._expiring and self._expiring[0][0] <= now_us:
            expires_us, topic = heapq.heappop(self._expiring)
            message = self._messages.get(topic)
            if message is not None and message.expires_us == expires_us:
                self.drop(topic)
                gone.append(topic)
        return gone

    def _tidy(self) -> None:
        self._expiring = [
            (message.expires_us, topic) for topic, message in self._messages.items() if message.expires_us is not None
        ]
        heapq.heapify(self._expiring)

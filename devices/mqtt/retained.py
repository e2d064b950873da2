"""Retained messages by topic, with a cap on their bytes. No I/O."""

from devices.mqtt.message import Message
from devices.mqtt.topic_tree import TopicTree


class RetainedMessages:
    """At the cap a new topic is not retained, counted in `refused`; a topic that is there is always replaced."""

    def __init__(self, cap_bytes: int) -> None:
        self._cap_bytes = cap_bytes
        self._messages: dict[str, Message] = {}
        self._tree = TopicTree()
        self._expiring: set[str] = set()
        self.held_bytes = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message) -> None:
        """Retains the message; one without payload removes what is retained (MQTT 5.0 §3.3.1.3)."""
        topic = message.topic
        old = self._messages.get(topic)
        if not message.payload:
            if old is not None:
                self._drop(topic, old)
            return
        if old is None:
            if self.held_bytes + message.size_bytes > self._cap_bytes:
                self.refused += 1
                return
            self._tree.add(topic)
        else:
            self.held_bytes -= old.size_bytes
        self._messages[topic] = message
        self.held_bytes += message.size_bytes
        if message.expires_us is not None:
            self._expiring.add(topic)
        else:
            self._expiring.discard(topic)

    def get(self, topic: str) -> Message | None:
        return self._messages.get(topic)

    def topics(self, topic_filter: str) -> list[str]:
        """Returns the topics with a retained message that an unshared filter matches."""
        return self._tree.match(topic_filter)

    def expire(self, now_us: int) -> list[str]:
        """Drops what has expired; returns those topics."""
        gone = []
        for topic in self._expiring:
            message = self._messages[topic]
            if message.expires_us is not None and message.expires_us <= now_us:
                gone.append(topic)
        for topic in gone:
            self._drop(topic, self._messages[topic])
        return gone

    def _drop(self, topic: str, message: Message) -> None:
        del self._messages[topic]
        self._expiring.discard(topic)
        self._tree.remove(topic)
        self.held_bytes -= message.size_bytes

"""What the bridge asked its broker to subscribe, and what the broker answered."""

from dataclasses import dataclass

from paho.mqtt.subscribeoptions import SubscribeOptions

from devices.mqtt.client.line import Line
from devices.mqtt.client.subscriptions import Subscriptions


@dataclass(frozen=True, slots=True)
class Request:
    """One SUBSCRIBE. `is_own_wanted`: our own publications are to come back too (No Local, MQTT 5.0 §3.8.3.1)."""

    topic_filter: str
    identifier: int | None
    is_own_wanted: bool


class Grants:
    """The filters of `subscriptions`, and `own_topic` unless one of them covers it already.

    `refused`: filter to the broker's reason. Retained messages are not asked for.
    """

    def __init__(self, subscriptions: Subscriptions, own_topic: str) -> None:
        self._subscriptions = subscriptions
        self._own_topic = own_topic
        self._asked: dict[int, Request] = {}
        self._requests: dict[str, Request] = {}
        self._granted: set[str] = set()
        self.refused: dict[str, str] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether the broker has yet to answer."""
        return bool(self._asked)

    @property
    def has_any(self) -> bool:
        """Whether the broker granted any filter of the configuration."""
        return any(one.topic_filter in self._granted for one in self._subscriptions.all)

    def ask_all(self, line: Line, *, use_identifiers: bool) -> None:
        """Asks for everything on a new connection; where the broker's session still has it, nothing changes."""
        self._asked.clear()
        self._granted.clear()
        self.refused.clear()
        self._requests.clear()
        is_own_covered = False
        for one in self._subscriptions.all:
            brings_own = not one.is_shared and one.matches(self._own_topic)
            is_own_covered = is_own_covered or brings_own
            identifier = one.identifier if use_identifiers else None
            self._ask(line, Request(one.topic_filter, identifier, brings_own or one.is_shared))
        if not is_own_covered:
            self._ask(line, Request(self._own_topic, None, is_own_wanted=True))

    def ask_again(self, line: Line) -> None:
        """Asks for what was refused: somebody may have granted it meanwhile."""
        waiting = {request.topic_filter for request in self._asked.values()}
        for topic_filter in self.refused:
            if topic_filter not in waiting:
                self._ask(line, self._requests[topic_filter])

    def answered(self, packet_id: int, refusal: str | None) -> str | None:
        """Notes a SUBACK; returns its filter, None if it answers none of these."""
        request = self._asked.pop(packet_id, None)
        if request is None:
            return None
        if refusal is None:
            self.refused.pop(request.topic_filter, None)
            self._granted.add(request.topic_filter)
        else:
            self.refused[request.topic_filter] = refusal
        return request.topic_filter

    def _ask(self, line: Line, request: Request) -> None:
        self._requests[request.topic_filter] = request
        options = SubscribeOptions(
            qos=1, noLocal=not request.is_own_wanted, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND
        )
        packet_id = line.subscribe(request.topic_filter, options, request.identifier)
        if packet_id is not None:
            self._asked[packet_id] = request

"""What a convention is: a way in which devices name their topics and write their payloads."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from devices.frame import Frame
from gateway.ingest.transaction import Transaction

MAX_PLANS = 50_000
"""Topics whose handling is remembered; a peer that invents topics only makes us look again."""

Handler: TypeAlias = Callable[[Transaction, Frame, int], None]
"""Writes what a frame says into the transaction; given the frame's number. Raises DecodeError."""


class Convention(Protocol):
    """One way of speaking. All of it runs in the writer's thread."""

    def claims(self, transaction: Transaction, topic: str) -> Handler | None:
        """Returns what is done with frames of the topic, None if it is not of this convention. The answer is remembered
        until `Plans.forget`. Raises DecodeError if the topic's device cannot be taken in."""

    def forget(self) -> None:
        """Drops what may be ahead of the disk after a rollback; it is read again when needed."""


class Plans:
    """What is done with a topic, decided once and remembered."""

    def __init__(self) -> None:
        self.by_topic: dict[str, Handler] = {}

    def remember(self, topic: str, handler: Handler) -> Handler:
        if len(self.by_topic) >= MAX_PLANS:
            self.by_topic.clear()
        self.by_topic[topic] = handler
        return handler

    def forget(self) -> None:
        """Has every topic decided anew."""
        self.by_topic.clear()

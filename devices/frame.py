"""What a way in hands to the writer: frames as they came off the wire, grouped as they arrived."""

from collections.abc import Callable
from typing import Protocol

import msgspec


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One message of one peer, not yet decoded.

    `device_id` is who signed in, None for an anonymous client and for the bridge, whose broker signs peers in.
    `is_retained`: it came out of a broker's retained store, so its age is unknown; it may fill a last value, but
    resets no timer and makes no tap. `is_late`: it waited at a broker while nobody took it, for an unknown time; it
    resets no timer, and only its own stamp says when it was. `received_us`: µs since 1970 UTC by the gateway's clock.
    """

    topic: str
    payload: bytes
    received_us: int
    device_id: str | None = None
    is_retained: bool = False
    is_late: bool = False

    @property
    def is_live(self) -> bool:
        """Whether it was sent when it was received."""
        return not (self.is_retained or self.is_late)


class Presence(msgspec.Struct, frozen=True, gc=False):
    """A signed-in device's connection opened or closed."""

    device_id: str
    is_online: bool
    at_us: int


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Something a peer was not allowed to do, for the audit log. `detail` never holds a payload or a secret."""

    actor: str
    action: str
    detail: str
    at_us: int


class JournalEntry(msgspec.Struct, frozen=True, gc=False):
    """One change of MQTT session state to be committed: a statement's name and its parameters, in order."""

    statement: str
    parameters: tuple[object, ...]


def _nobody() -> None:
    """Nobody has to be told."""


class Intake:
    """What one peer handed in at once. All of it is committed in one transaction, then `done` is called.

    `done` runs on the event loop after the commit, exactly once; the acknowledgements leave there. If the journal or
    the events cannot be stored, nothing of the intake is, and `lost` runs in its place: nothing may be promised.
    `size_bytes` is what the intake holds in memory until then. `refused` is filled by the commit: the frames that
    became dead letters, and why.
    """

    __slots__ = ("done", "events", "frames", "journal", "lost", "refused", "size_bytes")

    def __init__(
        self,
        frames: list[Frame],
        done: Callable[[], None],
        size_bytes: int,
        journal: list[JournalEntry] | None = None,
        events: list[Presence | Refusal] | None = None,
        lost: Callable[[], None] = _nobody,
    ) -> None:
        self.frames = frames
        self.done = done
        self.size_bytes = size_bytes
        self.journal = journal if journal is not None else []
        self.events = events if events is not None else []
        self.lost = lost
        self.refused: list[tuple[Frame, str]] = []


class Sink(Protocol):
    """Where intakes go: the gateway's writer."""

    def submit(self, intake: Intake) -> None:
        """Queues the intake for the next commit; on the event loop's thread, never blocks, keeps the order."""

    def on_room(self, call: Callable[[], None]) -> bool:
        """True if there is room below the byte cap. Otherwise False, and `call` is called once when there is:
        the way in stops reading from its peers until then."""

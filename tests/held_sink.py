"""A sink that commits when it is let: the port of the ways in, with a commit that a test decides on."""

import asyncio
from collections import deque
from collections.abc import Callable

from devices.frame import Frame, Intake


class HeldSink:
    """Commits at once while `is_open`, else when `commit` is called. `frames`: what is committed, in order."""

    def __init__(self, *, is_open: bool = True, cap_bytes: int = 1 << 26) -> None:
        self.is_open = is_open
        self._cap_bytes = cap_bytes
        self._waiting_for_room: deque[Callable[[], None]] = deque()
        self.held: deque[Intake] = deque()
        self.held_bytes = 0
        self.most_held_bytes = 0
        self.frames: list[Frame] = []

    def submit(self, intake: Intake) -> None:
        """See `devices.frame.Sink`."""
        self.held.append(intake)
        self.held_bytes += intake.size_bytes
        self.most_held_bytes = max(self.most_held_bytes, self.held_bytes)
        if self.is_open:
            asyncio.get_running_loop().call_soon(self.commit)

    def on_room(self, call: Callable[[], None]) -> bool:
        """See `devices.frame.Sink`."""
        if self.held_bytes < self._cap_bytes:
            return True
        self._waiting_for_room.append(call)
        return False

    @property
    def held_frames(self) -> list[Frame]:
        return [frame for intake in self.held for frame in intake.frames]

    @property
    def payloads(self) -> list[bytes]:
        return [frame.payload for frame in self.frames]

    def commit(self) -> None:
        """Commits everything that is held."""
        while self.held:
            intake = self.held.popleft()
            self.held_bytes -= intake.size_bytes
            self.frames += intake.frames
            intake.done()
        while self._waiting_for_room and self.held_bytes < self._cap_bytes // 2:
            self._waiting_for_room.popleft()()

    def open(self) -> None:
        """Commits what is held, and everything from now on at once."""
        self.is_open = True
        self.commit()

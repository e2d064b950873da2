"""Wills: what is published in a client's name when its connection ends without DISCONNECT (MQTT 5.0 §3.1.2.5). Pure."""

from dataclasses import dataclass

from devices.mqtt.message import Message


@dataclass(frozen=True, slots=True)
class WillMessage:
    """`delay_s`: how long the client has to come back before it is published. `user`: who signed in."""

    message: Message
    delay_s: int
    user: str | None


class PendingWills:
    """Wills whose clients are gone and whose delay runs, by session key. Times are µs since 1970 UTC."""

    def __init__(self) -> None:
        self._due: dict[str, tuple[int, WillMessage]] = {}

    def add(self, key: str, will: WillMessage, due_us: int) -> None:
        self._due[key] = (due_us, will)

    def cancel(self, key: str) -> WillMessage | None:
        """Takes a will back, because its client is; returns it, None if there was none."""
        entry = self._due.pop(key, None)
        return entry[1] if entry is not None else None

    def take_due(self, now_us: int) -> list[tuple[str, WillMessage]]:
        """Takes out the wills whose time has come."""
        ready = [(key, will) for key, (due_us, will) in self._due.items() if due_us <= now_us]
        for key, _ in ready:
            del self._due[key]
        return ready

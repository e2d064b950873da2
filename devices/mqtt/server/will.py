"""Wills: what is published in a client's name when its connection ends without DISCONNECT (MQTT 5.0 §3.1.2.5). Pure."""

from dataclasses import dataclass

from mqtt5 import Will

from devices.mqtt.server.message import NO_PROPERTIES, Message, Properties, properties_of
from foundation.clock import SECOND_US


@dataclass(frozen=True, slots=True)
class WillMessage:
    """`delay_s`: how long the client has to come back before it is published. `expiry_s`: its life after that,
    None for ever. `user`: who signed in."""

    topic: str
    payload: bytes
    qos: int
    is_retain: bool
    user: str | None
    delay_s: int = 0
    expiry_s: int | None = None
    properties: Properties = NO_PROPERTIES

    @classmethod
    def of(cls, will: Will, user: str | None) -> "WillMessage":
        return cls(
            will.topic,
            will.payload or b"",
            int(will.qos),
            will.retain,
            user,
            will.will_delay_interval,
            will.message_expiry_interval,
            properties_of(will),
        )

    def message(self, now_us: int) -> Message:
        """Returns what is published now: its expiry begins only here (MQTT 5.0 §3.1.3.2.4)."""
        expires_us = None if self.expiry_s is None else now_us + self.expiry_s * SECOND_US
        return Message(self.topic, self.payload, self.qos, self.is_retain, self.properties, expires_us)


@dataclass(frozen=True, slots=True)
class PendingWill:
    """A will whose client is gone. `is_restored`: it was the gateway that ended, not the client; the client's
    coming back takes the will away, even if its session does not go on."""

    will: WillMessage
    due_us: int
    is_restored: bool


class PendingWills:
    """Wills whose delay runs, by session key. Times are µs of the broker's steady clock."""

    def __init__(self) -> None:
        self._pending: dict[str, PendingWill] = {}

    def add(self, key: str, will: WillMessage, due_us: int, *, is_restored: bool = False) -> None:
        self._pending[key] = PendingWill(will, due_us, is_restored)

    def cancel(self, key: str) -> PendingWill | None:
        """Takes a will back; returns it, None if there was none."""
        return self._pending.pop(key, None)

    def take_due(self, now_us: int) -> list[tuple[str, WillMessage]]:
        """Takes out the wills whose time has come."""
        ready = [(key, pending.will) for key, pending in self._pending.items() if pending.due_us <= now_us]
        for key, _ in ready:
            del self._pending[key]
        return ready

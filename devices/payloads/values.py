"""What payload formats yield. Times are µs since 1970 UTC, as the device gave them, believed or not."""

from typing import Literal, TypeAlias

import msgspec

CredentialKind: TypeAlias = Literal["uid", "nfc", "qr"]
Direction: TypeAlias = Literal["in", "out"]


class Telemetry(msgspec.Struct, frozen=True, gc=False):
    """Readings of one moment: `values` by measurement, the unit in the name; booleans are 0.0 and 1.0.

    `stamp_us` is None where the device gave no time, or one outside the years 1970 to 9999. `boot` and `seq`
    together tell a message from its repetition; either both are there or both are None.
    """

    values: dict[str, float]
    stamp_us: int | None = None
    boot: str | None = None
    seq: int | None = None


class Tap(msgspec.Struct, frozen=True, gc=False):
    """A card, chip or code held to a reader. `credential` is normalised and never logged or quoted.

    `stamp_us`, `boot` and `seq` are as in `Telemetry`. `direction` is None for a reader that does not know.
    """

    credential: str
    kind: CredentialKind
    direction: Direction | None = None
    stamp_us: int | None = None
    boot: str | None = None
    seq: int | None = None

    def __repr__(self) -> str:
        return f"Tap(credential=…, kind={self.kind!r}, direction={self.direction!r}, stamp_us={self.stamp_us!r})"


class Status(msgspec.Struct, frozen=True, gc=False):
    """The device, or the broker in its name, says that it is online or offline."""

    is_online: bool


class CommandAck(msgspec.Struct, frozen=True, gc=False):
    """The device's answer to the command `name`; `payload` is whatever it said."""

    name: str
    payload: bytes


class StateMessage(msgspec.Struct, frozen=True, gc=False):
    """What one message on a state topic said about all the entities that read it; both may be empty.

    Neither is what a message without data gives: an entity that is unknown, a reader without a card.
    """

    telemetry: Telemetry | None = None
    taps: tuple[Tap, ...] = ()

"""Alert rules: what must hold for an alert, as values, and their JSON.

A rule's JSON is the same in the store and at the API: flat, `kind` says which rule it is, nothing unknown
is let through. A further kind of rule is a further struct in `Rule`, and a watch of it in
`gateway.alerts.watches`; the API takes the bounds of its fields and what is said of it from here.
"""

import enum
import math
from typing import Annotated

import msgspec

from devices.ids import DEVICE_ID, KIND
from foundation.errors import Invalid

SECOND_US = 1_000_000
LONGEST_S = 366 * 86_400
LARGEST = 1e15
RULE_ID = r"^[A-Za-z0-9_-]{1,64}$"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Id = Annotated[str, msgspec.Meta(pattern=RULE_ID)]
DeviceId = Annotated[str, msgspec.Meta(max_length=64, pattern=f"^{DEVICE_ID.pattern}$")]
DeviceKind = Annotated[str, msgspec.Meta(max_length=32, pattern=f"^{KIND.pattern}$")]
Measurement = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Number = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_S)]
SilentSeconds = Annotated[float, msgspec.Meta(ge=1, le=LONGEST_S)]


class Severity(enum.StrEnum):
    """How much it matters, for people; the engine treats all alike."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class _Selected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every rule has. It applies to one device, or to the devices of one kind, or (both None) to all."""

    id: Id
    name: Name
    severity: Severity = Severity.WARNING
    enabled: bool = True
    device: Annotated[DeviceId | None, msgspec.Meta(description="For this device only")] = None
    device_kind: Annotated[DeviceKind | None, msgspec.Meta(description="For devices of this kind only")] = None

    def __post_init__(self) -> None:
        if self.device is not None and self.device_kind is not None:
            raise ValueError("give device or device_kind, not both")

    def applies_to(self, device_id: str, kind: str) -> bool:
        """True if the rule is about this device of this kind."""
        if self.device is not None:
            return self.device == device_id
        return self.device_kind is None or self.device_kind == kind


class ThresholdRule(_Selected, frozen=True, kw_only=True, tag="threshold"):
    """Fires when a measurement is above, or below, a limit for `for_s` seconds, until it is back at `clear`.

    The condition is met by a value beyond the limit and over with a value at `clear` or on its good side;
    between the two nothing changes, so that a value that trembles around the limit makes one alert. Values
    have the unit that is in the measurement's name.
    """

    measurement: Measurement
    above: Number | None = None
    below: Number | None = None
    clear: Number
    for_s: Seconds = 0.0

    def __post_init__(self) -> None:
        _Selected.__post_init__(self)
        if (self.above is None) == (self.below is None):
            raise ValueError("give either above or below")
        limits = {"above": self.above, "below": self.below, "clear": self.clear}
        for field, limit in limits.items():
            if limit is not None and not math.isfinite(limit):
                raise ValueError(f"{field} is not a finite number")
        if self.above is not None and self.clear > self.above:
            raise ValueError("clear is above the limit: an alert would clear while its condition still holds")
        if self.below is not None and self.clear < self.below:
            raise ValueError("clear is below the limit: an alert would clear while its condition still holds")
        if not 0 <= self.for_s <= LONGEST_S:
            raise ValueError(f"for_s is not between 0 and {LONGEST_S} seconds")

    @property
    def for_us(self) -> int:
        return round(self.for_s * SECOND_US)

    def is_met(self, value: float) -> bool:
        """True if the value is beyond the limit."""
        if self.above is not None:
            return value > self.above
        return self.below is not None and value < self.below

    def is_cleared(self, value: float) -> bool:
        """True if the value is at `clear` or on its good side."""
        return value <= self.clear if self.above is not None else value >= self.clear


class SilenceRule(_Selected, frozen=True, kw_only=True, tag="silence"):
    """Fires when nothing was heard of a device for `after_s` seconds."""

    after_s: SilentSeconds

    def __post_init__(self) -> None:
        _Selected.__post_init__(self)
        if not 1 <= self.after_s <= LONGEST_S:
            raise ValueError(f"after_s is not between 1 and {LONGEST_S} seconds")

    @property
    def after_us(self) -> int:
        return round(self.after_s * SECOND_US)


Rule = ThresholdRule | SilenceRule

_decoder: msgspec.json.Decoder[Rule] = msgspec.json.Decoder(Rule)


def encode_rule(rule: Rule) -> bytes:
    """Returns the rule as JSON; `decode_rule` returns an equal one."""
    return msgspec.json.encode(rule)


def decode_rule(body: bytes | str) -> Rule:
    """Returns the rule that the JSON describes. Raises Invalid, saying which field is wrong and why."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Invalid(f"not a rule: {error}") from error

"""What fields of requests may be: every text, number and time has its bounds, here and in the OpenAPI document."""

from typing import Annotated, Final

from fastapi import Header, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from devices.ids import DEVICE_ID, KIND
from foundation import rfc3339
from gateway.alerts.rules import RULE_ID

MAX_INT: Final = 2**63 - 1
LAST_US: Final = 4_102_444_800_000_000
"""2100-01-01."""

NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"
"""No control characters, so no zero byte, which neither SQLite nor a terminal takes well."""


class Body(BaseModel):
    """A request's JSON object: nothing unknown, no conversions."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


def _moment(text: str) -> str:
    rfc3339.parse(text)
    return text


DeviceId = Annotated[str, StringConstraints(pattern=f"^{DEVICE_ID.pattern}$", max_length=64)]
DeviceKind = Annotated[str, StringConstraints(pattern=f"^{KIND.pattern}$", max_length=32)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_CONTROLS)]
MaybeEmptyName = Annotated[str, StringConstraints(max_length=200, pattern=NO_CONTROLS)]
TopicFilter = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=NO_CONTROLS)]
Measurement = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
HexId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}(?:[0-9a-f]{4})?$")]
RuleId = Annotated[str, StringConstraints(pattern=RULE_ID)]
CardRef = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Number = Annotated[float, Field(ge=-1e15, le=1e15)]

DevicePath = Annotated[DeviceId, Path(alias="id")]
HexPath = Annotated[HexId, Path(alias="id")]
RulePath = Annotated[RuleId, Path(alias="id")]
NumberPath = Annotated[int, Path(alias="id", ge=1, le=MAX_INT)]

Limit = Annotated[int, Query(ge=1, le=1000, description="How many items at most")]
DeviceQuery = Annotated[DeviceId | None, Query(description="Of this device only")]
MomentText = Annotated[
    str,
    StringConstraints(pattern=rfc3339.PATTERN, max_length=40),
    AfterValidator(_moment),
    WithJsonSchema({"type": "string", "pattern": rfc3339.PATTERN, "examples": ["2026-11-23T08:00:00Z"]}),
]
From = Annotated[MomentText | None, Query(alias="from", description="From this moment on, RFC 3339")]
To = Annotated[MomentText | None, Query(alias="to", description="Before this moment, RFC 3339")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[!-~]{1,200}$",
        description="A word of the caller's own; the same request with the same word is carried out once in 24 hours",
    ),
]


def span_us(from_: str | None, to: str | None) -> tuple[int, int]:
    """Returns the span of time that a request asks for, in µs; without bounds where it gives none."""
    return 0 if from_ is None else rfc3339.parse(from_), LAST_US if to is None else rfc3339.parse(to)

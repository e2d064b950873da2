"""The native format: JSON on `sg/<device_id>/telemetry`, `tap`, `status` and `cmd/<name>/ack`. Pure.

    telemetry   {"at", "boot", "seq", "values": {"temperature_c": 21.5, ...}}
    tap         {"at", "boot", "seq", "credential", "kind": "uid"|"nfc"|"qr", "direction": "in"|"out"|null}
    status      online, offline

`at` (see `stamps`), `boot` and `seq` are optional and may be null. Further keys are ignored; of a key that
comes twice the last counts. `boot` names one run of the device, `seq` counts its messages from there, and
only together do they make a repetition known: a device that sends `seq` alone starts again at 0 after a power
cut, and taking its first messages for repetitions would lose them. One without the other is therefore as if
neither were there.
"""

import enum
import re
from datetime import datetime
from typing import Annotated, Final, Literal, NoReturn, get_args

import msgspec

from devices.errors import DecodeError
from devices.payloads import stamps
from devices.payloads.credentials import normalise_credential
from devices.payloads.measurements import WELL_KNOWN, legal_name
from devices.payloads.values import CommandAck, CredentialKind, Direction, Status, Tap, Telemetry
from foundation import rfc3339

PREFIX: Final = "sg"
LARGEST_BYTES: Final = 65_536
"""Of any native payload."""
MOST_MEASUREMENTS: Final = 64
"""Of one message."""

_LAST_SEQ: Final = 2**63 - 1
_Boot = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=_LAST_SEQ)]
_NULL: Final = msgspec.Raw(b"null")


class Kind(enum.Enum):
    """What a native topic carries."""

    TELEMETRY = "telemetry"
    TAP = "tap"
    STATUS = "status"
    COMMAND_ACK = "ack"


class NativeTopic(msgspec.Struct, frozen=True, gc=False):
    """A topic that a device publishes on; `command` names what an acknowledgement answers, else empty."""

    device_id: str
    kind: Kind
    command: str = ""


_KINDS: Final = {kind.value: kind for kind in (Kind.TELEMETRY, Kind.TAP, Kind.STATUS)}


def parse_topic(topic: str) -> NativeTopic | None:
    """Returns whose topic it is and what it carries; None for any topic that devices do not publish on."""
    levels = topic.split("/")
    if levels[0] != PREFIX:
        return None
    if len(levels) == 3 and levels[1]:
        kind = _KINDS.get(levels[2])
        return None if kind is None else NativeTopic(levels[1], kind)
    if len(levels) == 5 and levels[1] and levels[2] == "cmd" and levels[3] and levels[4] == "ack":
        return NativeTopic(levels[1], Kind.COMMAND_ACK, levels[3])
    return None


class _Telemetry(msgspec.Struct, gc=False):
    """What nearly every message is. JSON null, true and false have to be looked for afterwards."""

    values: dict[str, float | bool | None]
    at: datetime | int | float | None = None
    boot: _Boot | _Count | None = None
    seq: _Count | None = None


class _OddTelemetry(msgspec.Struct, gc=False):
    """What the rest is: measured piece by piece, to keep what can be kept and to name what cannot."""

    values: dict[str, msgspec.Raw]
    at: msgspec.Raw = _NULL
    boot: _Boot | _Count | None = None
    seq: _Count | None = None


class _Tap(msgspec.Struct, gc=False):
    credential: str
    kind: str
    direction: str | None = None
    at: msgspec.Raw = _NULL
    boot: _Boot | _Count | None = None
    seq: _Count | None = None


_telemetry: Final = msgspec.json.Decoder(_Telemetry)
_odd_telemetry: Final = msgspec.json.Decoder(_OddTelemetry)
_tap: Final = msgspec.json.Decoder(_Tap)
_float: Final = msgspec.json.Decoder(float)


def decode_telemetry(payload: bytes) -> Telemetry:
    """Returns the readings of a telemetry message.

    A value is a number, or a boolean (1.0, 0.0); null is "no data" and is left out, so that `values` can be
    empty. Names are brought to `[a-z][a-z0-9_]{0,63}` by `measurements.legal_name`. Raises `DecodeError`
    naming the measurement for any other value or name, for two names that become the same, and for none or
    more than 64.
    """
    if len(payload) > LARGEST_BYTES:
        raise DecodeError(f"telemetry: larger than {LARGEST_BYTES} bytes")
    try:
        document = _telemetry.decode(payload)
    except msgspec.ValidationError:
        return _decode_odd_telemetry(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _raise_malformed("telemetry", error)
    measured = document.values
    if not 0 < len(measured) <= MOST_MEASUREMENTS:
        raise DecodeError(f"telemetry: needs 1 to {MOST_MEASUREMENTS} values")
    values: dict[str, float]
    for name, value in measured.items():
        if value.__class__ is not float or name not in WELL_KNOWN:
            values = _checked(measured)
            break
    else:
        values = measured  # type: ignore[assignment]  # the loop has just seen that every value is a float
    at = document.at
    if at is None:
        stamp_us = None
    elif isinstance(at, datetime):
        if at.tzinfo is None:
            raise DecodeError(f"at: {rfc3339.NO_ZONE}")
        stamp_us = rfc3339.since_1970(at)
    else:
        stamp_us = stamps.from_epoch_ms(at)
    boot, seq = document.boot, document.seq
    if seq is None or boot is None:
        return Telemetry(values, stamp_us)
    if boot.__class__ is not str or not boot.isprintable():
        boot = _boot(boot)
    return Telemetry(values, stamp_us, boot, seq)


def decode_tap(payload: bytes) -> Tap:
    """Returns the tap, its credential in one spelling (`credentials.normalise_credential`).

    Raises `DecodeError`, whose reason holds nothing of the payload.
    """
    if len(payload) > LARGEST_BYTES:
        raise DecodeError(f"tap: larger than {LARGEST_BYTES} bytes")
    try:
        document = _tap.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _raise_malformed("tap", error)
    kind = _kind(document.kind)
    credential = normalise_credential(document.credential, kind)
    direction = _direction(document.direction)
    stamp_us = stamps.from_json(document.at)
    if document.boot is None or document.seq is None:
        return Tap(credential, kind, direction, stamp_us)
    return Tap(credential, kind, direction, stamp_us, _boot(document.boot), document.seq)


def decode_status(payload: bytes) -> Status:
    """Returns what `online` or `offline` says, in any case; raises `DecodeError` for anything else."""
    word = payload.strip().lower() if len(payload) <= 64 else b""
    if word == b"online":
        return Status(True)
    if word == b"offline":
        return Status(False)
    raise DecodeError("status: neither online nor offline")


def decode_command_ack(name: str, payload: bytes) -> CommandAck:
    """Returns the answer to the command `name`; any payload will do, if it is not larger than 64 KiB."""
    if len(payload) > LARGEST_BYTES:
        raise DecodeError(f"ack: larger than {LARGEST_BYTES} bytes")
    return CommandAck(name, payload)


def _checked(measured: dict[str, float | bool | None]) -> dict[str, float]:
    """Returns the values under legal names, without those that are null."""
    named = {legal_name(name): value for name, value in measured.items()}
    if len(named) < len(measured):
        raise DecodeError("values: a measurement is there twice, in different spellings")
    return {name: float(value) for name, value in named.items() if value is not None}


_NOT_A_VALUE: Final = {ord('"'): "a text", ord("{"): "an object", ord("["): "a list"}
_WORDS: Final = {b"true": True, b"false": False, b"null": None}


def _decode_odd_telemetry(payload: bytes) -> Telemetry:
    """Decodes what the typed decoder refused: an unusual `at`, or something to be named in the reason."""
    try:
        document = _odd_telemetry.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _raise_malformed("telemetry", error)
    if not 0 < len(document.values) <= MOST_MEASUREMENTS:
        raise DecodeError(f"telemetry: needs 1 to {MOST_MEASUREMENTS} values")
    measured: dict[str, float | bool | None] = {}
    for name, raw in document.values.items():
        text = bytes(raw)
        if text[0] in _NOT_A_VALUE:
            raise DecodeError(f"values.{legal_name(name)}: {_NOT_A_VALUE[text[0]]}, not a number or a boolean")
        try:
            measured[name] = _WORDS[text] if text in _WORDS else _float.decode(text)
        except msgspec.ValidationError as error:
            raise DecodeError(f"values.{legal_name(name)}: number out of range") from error
    stamp_us = stamps.from_json(document.at)
    values = _checked(measured)
    if document.boot is None or document.seq is None:
        return Telemetry(values, stamp_us)
    return Telemetry(values, stamp_us, _boot(document.boot), document.seq)


def _boot(boot: str | int) -> str:
    """Returns the name of the device's run; some count them with a number."""
    text = str(boot)
    if not text.isprintable():
        raise DecodeError("boot: needs 1 to 64 printable characters")
    return text


_CREDENTIAL_KINDS: Final[tuple[CredentialKind, ...]] = get_args(CredentialKind)
_DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)


def _kind(kind: str) -> CredentialKind:
    for one in _CREDENTIAL_KINDS:
        if kind == one:
            return one
    raise DecodeError("kind: none of uid, nfc, qr")


def _direction(direction: str | None) -> Direction | None:
    if direction is None:
        return None
    for one in _DIRECTIONS:
        if direction == one:
            return one
    raise DecodeError("direction: none of in, out, null")


_FIELD: Final = re.compile(r"`\$\.([a-z]+)")
_ABSENT: Final = re.compile(r"missing required field `([a-z]+)`")


def _raise_malformed(
    what: Literal["telemetry", "tap"], error: msgspec.DecodeError | UnicodeDecodeError | RecursionError
) -> NoReturn:
    """Raises the `DecodeError`, whose reason names at most a field of the format, nothing of the payload."""
    if isinstance(error, RecursionError):
        reason = "nested too deeply"
    elif isinstance(error, UnicodeDecodeError):
        reason = "not UTF-8"
    elif not isinstance(error, msgspec.ValidationError):
        reason = "not JSON"
    elif absent := _ABSENT.search(str(error)):
        reason = f"needs {absent[1]}"
    elif field := _FIELD.search(str(error)):
        reason = f"{field[1]} is not of the type, length or range that it needs"
    else:
        reason = "not a JSON object"
    raise DecodeError(f"{what}: {reason}") from error

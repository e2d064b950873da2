"""What a device says: the native topics and payloads, encoded. Pure."""

import msgspec

from firmware_sim.school import Tap

QOS = 1


class Telemetry(msgspec.Struct, frozen=True):
    """`at`: ms since 1970 UTC by the device's clock. `boot` and `seq` make the message one of a kind."""

    at: int
    boot: str
    seq: int
    values: dict[str, float]


class TapMessage(msgspec.Struct, frozen=True):
    at: int
    boot: str
    seq: int
    credential: str
    kind: str
    direction: str | None


class CommandAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`payload` is what the command said, sent back; `error` says why nothing was done."""

    ok: bool
    name: str
    at: int
    payload: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""


def status_topic(device_id: str) -> str:
    return f"sg/{device_id}/status"


def command_filter(device_id: str) -> str:
    return f"sg/{device_id}/cmd/+"


def telemetry(device_id: str, at_ms: int, boot: str, seq: int, values: dict[str, float]) -> tuple[str, bytes]:
    """Topic and payload of a telemetry message."""
    return f"sg/{device_id}/telemetry", msgspec.json.encode(Telemetry(at_ms, boot, seq, values))


def tap(device_id: str, at_ms: int, boot: str, seq: int, seen: Tap) -> tuple[str, bytes]:
    """Topic and payload of a card at a reader."""
    message = TapMessage(at_ms, boot, seq, seen.credential, seen.kind, seen.direction)
    return f"sg/{device_id}/tap", msgspec.json.encode(message)


def answer(topic: str, payload: bytes, at_ms: int, known: frozenset[str]) -> tuple[str, bytes]:
    """Topic and payload of the answer to a command: what was asked is done if its name is `known`."""
    name = topic.rpartition("/")[2]
    error = "" if name in known else "this device does not know the command"
    try:
        echoed = msgspec.json.decode(payload, type=msgspec.Raw) if payload else msgspec.Raw(b"null")
    except msgspec.DecodeError:
        echoed, error = msgspec.Raw(b"null"), "the command's payload is not JSON"
    return f"{topic}/ack", msgspec.json.encode(CommandAnswer(not error, name, at_ms, echoed, error))

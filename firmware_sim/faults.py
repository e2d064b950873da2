"""Faults to order: clocks that are wrong, payloads that are garbage, and how often. Pure."""

import enum
import json
import random
from dataclasses import dataclass

TEN_YEARS_MS = 3653 * 86_400_000


@dataclass(frozen=True, slots=True)
class FaultOrders:
    """What goes wrong. `drops_per_min`: lines cut in the middle of a packet. `repeat_share`: of the messages that
    are sent again. `wrong_clocks`: devices with a wrong clock. `garbage_per_min`: payloads that mean nothing.
    `flood_per_s`: messages that one device sends besides its own."""

    drops_per_min: float = 0.0
    repeat_share: float = 0.0
    wrong_clocks: int = 0
    garbage_per_min: float = 0.0
    flood_per_s: float = 0.0


class WrongClock(enum.Enum):
    """How a device's clock is wrong."""

    TEN_YEARS_AHEAD = "ten years ahead"
    TEN_YEARS_BEHIND = "ten years behind"
    NEVER_SET = "never set, counting from 1970"
    BACKWARDS = "running backwards"

    def stamp(self, now_ms: int, started_ms: int) -> int:
        """What this clock shows, in ms since 1970 UTC, on a device that started at `started_ms`."""
        match self:
            case WrongClock.TEN_YEARS_AHEAD:
                return now_ms + TEN_YEARS_MS
            case WrongClock.TEN_YEARS_BEHIND:
                return now_ms - TEN_YEARS_MS
            case WrongClock.NEVER_SET:
                return now_ms - started_ms
            case WrongClock.BACKWARDS:
                return 2 * started_ms - now_ms


@dataclass(frozen=True, slots=True)
class Garbage:
    """A payload that means nothing: what is wrong with it, the end of its topic, its bytes."""

    title: str
    suffix: str
    payload: bytes


def garbage(rng: random.Random) -> Garbage:
    """One of the payloads that broken firmware sends, each time another."""
    return rng.choice(_RECIPES)(rng)


def _cut_short(rng: random.Random) -> Garbage:
    whole = json.dumps({"at": 1, "boot": "b", "seq": 1, "values": {"temperature_c": 21.5}}).encode()
    return Garbage("JSON cut short", "telemetry", whole[: rng.randrange(1, len(whole))])


def _random_bytes(rng: random.Random) -> Garbage:
    return Garbage("random bytes", "telemetry", rng.randbytes(rng.randrange(1, 200)))


def _fixed(title: str, payload: bytes, suffix: str = "telemetry") -> Garbage:
    return Garbage(title, suffix, payload)


_FIXED = (
    _fixed("nothing at all", b""),
    _fixed("plain text", b"temperature=21.5"),
    _fixed("not UTF-8", b'{"values":{"temperature_c\xff\xfe":21.5}}'),
    _fixed("a list instead of an object", b"[21.5, 40.1]"),
    _fixed("no values", b'{"boot":"b","seq":1}'),
    _fixed("values that are no object", b'{"values":[1,2,3]}'),
    _fixed("a text for a number", b'{"values":{"temperature_c":"warm"}}'),
    _fixed("not a number", b'{"values":{"temperature_c":NaN}}'),
    _fixed("infinity", b'{"values":{"temperature_c":1e999}}'),
    _fixed("a sequence number that is a text", b'{"boot":"b","seq":"one","values":{"temperature_c":20}}'),
    _fixed("a stamp that is no time", b'{"at":"yesterday","values":{"temperature_c":20}}'),
    _fixed("brackets without end", b"[" * 20_000),
    _fixed("a name of 5,000 letters", b'{"values":{"' + b"x" * 5000 + b'":1}}'),
    _fixed("5,000 measurements", json.dumps({"values": {f"m{i}": i for i in range(5000)}}).encode()),
    _fixed("a tap without a card", b'{"kind":"uid","direction":"in"}', "tap"),
    _fixed("a tap of an unknown kind", b'{"credential":"04AABBCC","kind":"retina"}', "tap"),
    _fixed("a topic nobody knows", b'{"values":{"temperature_c":20}}', "telemetrie"),
)
_RECIPES = (_cut_short, _random_bytes, *(lambda rng, one=one: one for one in _FIXED))

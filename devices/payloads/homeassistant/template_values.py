"""The values of a template's expressions, and their operators. Pure.

A value is a text, a number, a boolean, None, a list or a mapping as JSON has them, or UNDEFINED. An operation
that has no result (text that is no number, a list where a number is needed, a result larger than the bounds)
raises `NoValue`, and the message then has no value for that entity, as in Home Assistant.

Every operation takes a bounded time: texts are at most LONGEST_TEXT characters, only lists of at most
LONGEST_LIST are walked through, and integers beyond 64 bits become floating point.
"""

import enum
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

LONGEST_TEXT: Final = 4096
LONGEST_LIST: Final = 256


class NoValue(Exception):  # it is an outcome of evaluating, not an error of anybody
    """The expression has no value for this message."""


class _Undefined(enum.Enum):
    UNDEFINED = "undefined"

    def __bool__(self) -> bool:
        return False


UNDEFINED: Final = _Undefined.UNDEFINED


def bounded(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise NoValue
    return text


def text_of(value: object) -> str:
    """Returns how a value is written out: as in Python, since `payload_on: true` is compared with `True`."""
    if isinstance(value, str):
        return bounded(value)
    if value is UNDEFINED:
        return ""
    if value is None or isinstance(value, bool | float):
        return str(value)
    if isinstance(value, int):
        return str(number_of(value))
    raise NoValue


def number_of(value: object) -> int | float:
    """Returns the number, a boolean as 0 or 1; a text is none."""
    if isinstance(value, int):
        if -(2**63) <= value < 2**64:
            return int(value)
        try:
            return float(value)
        except OverflowError:
            raise NoValue from None
    if isinstance(value, float):
        return value
    raise NoValue


def float_of(value: object) -> float:
    """Returns a number, or the number that a text says, as a finite float."""
    if isinstance(value, str):
        if "_" in bounded(value):  # Python reads 1_000 as a number, nobody else does
            raise NoValue
        try:
            number = float(value)
        except ValueError:
            raise NoValue from None
    else:
        number = float(number_of(value))
    if not math.isfinite(number):
        raise NoValue
    return number


def scalar(value: object) -> object:
    """Returns the value if comparing it takes bounded time."""
    if isinstance(value, list | dict):
        raise NoValue
    return value


def list_of(value: object) -> list[object]:
    """Returns a list that is short enough to walk through."""
    if not isinstance(value, list) or len(value) > LONGEST_LIST:
        raise NoValue
    return value


def contains(container: object, item: object) -> bool:
    """Returns whether a key is in a mapping, an item in a list, a text in a text."""
    if isinstance(container, dict):
        return scalar(item) in container
    if isinstance(container, list):
        return scalar(item) in list_of(container)
    if isinstance(container, str) and isinstance(item, str):
        return bounded(item) in bounded(container)
    raise NoValue


def item_of(value: object, key: object) -> object:
    """Returns what is at a key or an index, UNDEFINED where nothing is; `value.key` and `value[key]` alike.

    Raises `NoValue` if `value` itself is undefined, as Jinja does.
    """
    if value is UNDEFINED:
        raise NoValue
    if isinstance(value, dict):
        return value.get(scalar(key), UNDEFINED)
    if isinstance(value, list | str) and isinstance(key, int):
        return value[key] if -len(value) <= key < len(value) else UNDEFINED
    return UNDEFINED


def slice_of(value: object, start: object, stop: object) -> object:
    """Returns a part of a text or a list."""
    if not (start is None or isinstance(start, int)) or not (stop is None or isinstance(stop, int)):
        raise NoValue
    return bounded(value)[start:stop] if isinstance(value, str) else list_of(value)[start:stop]


def equal(left: object, right: object) -> bool:
    return scalar(left) == scalar(right)


def ordered(left: object, right: object) -> int:
    """Returns -1, 0 or 1 as left is before, like or after right: two numbers, or two texts."""
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    one, other = number_of(left), number_of(right)
    return (one > other) - (one < other)


def _finite(number: int | float) -> int | float:
    if isinstance(number, float) and not math.isfinite(number):
        raise NoValue
    return number_of(number)


def add(left: object, right: object) -> object:
    if isinstance(left, str) and isinstance(right, str):
        return bounded(left + right)
    return _finite(number_of(left) + number_of(right))


def subtract(left: object, right: object) -> object:
    return _finite(number_of(left) - number_of(right))


def multiply(left: object, right: object) -> object:
    return _finite(number_of(left) * number_of(right))


def divide(left: object, right: object) -> object:
    return _quotient(left, right, lambda one, other: one / other)


def floor_divide(left: object, right: object) -> object:
    return _quotient(left, right, lambda one, other: one // other)


def remainder(left: object, right: object) -> object:
    return _quotient(left, right, lambda one, other: one % other)


def _quotient(left: object, right: object, operate: Callable[[float, float], float]) -> object:
    dividend, divisor = number_of(left), number_of(right)
    if divisor == 0:
        raise NoValue
    try:
        return _finite(operate(dividend, divisor))
    except OverflowError:
        raise NoValue from None


COMPARISONS: Final[Mapping[str, Callable[[object, object], bool]]] = MappingProxyType(
    {
        "eq": equal,
        "ne": lambda left, right: not equal(left, right),
        "lt": lambda left, right: ordered(left, right) < 0,
        "lteq": lambda left, right: ordered(left, right) <= 0,
        "gt": lambda left, right: ordered(left, right) > 0,
        "gteq": lambda left, right: ordered(left, right) >= 0,
        "in": lambda left, right: contains(right, left),
        "notin": lambda left, right: not contains(right, left),
    }
)

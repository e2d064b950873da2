"""The filters, functions, methods and tests that a template may use, by name. Pure.

They behave as Home Assistant's and Jinja's of the same name as far as a number, a state or a card can depend
on it. What has no result raises `NoValue`; with a `default`, that is the result.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from devices.payloads.homeassistant.template_values import (
    LONGEST_LIST,
    LONGEST_TEXT,
    UNDEFINED,
    NoValue,
    bounded,
    contains,
    equal,
    float_of,
    item_of,
    list_of,
    number_of,
    ordered,
    text_of,
)

_ABSENT: Final = object()
"""An argument that was not given; what a template hands in is never this."""


def _or_default(convert: Callable[[], object], default: object) -> object:
    try:
        return convert()
    except NoValue:
        if default is _ABSENT:
            raise
        return default


def _float(value: object, default: object = _ABSENT) -> object:
    return _or_default(lambda: float_of(value), default)


def _int(value: object, default: object = _ABSENT, base: object = 10) -> object:
    def convert() -> object:
        if isinstance(value, str) and base != 10:
            if not isinstance(base, int) or not (base == 0 or 2 <= base <= 36):
                raise NoValue
            try:
                return number_of(int(bounded(value), base))
            except ValueError:
                raise NoValue from None
        if isinstance(value, int):
            return number_of(value)
        return number_of(int(float_of(value)))

    return _or_default(convert, default)


def _round(value: object, precision: object = 0, method: object = "common", default: object = _ABSENT) -> object:
    def convert() -> object:
        number = float_of(value)
        if not isinstance(precision, int) or not -20 <= precision <= 20:
            raise NoValue
        if method == "common":
            rounded = round(number, precision)
        else:
            by = 10.0**precision
            if method == "ceil":
                rounded = _whole(math.ceil, number * by) / by
            elif method == "floor":
                rounded = _whole(math.floor, number * by) / by
            elif method == "half":
                rounded = _whole(round, number * 2) / 2
            else:
                raise NoValue
        return number_of(int(rounded)) if precision == 0 and method != "half" else float_of(rounded)

    return _or_default(convert, default)


def _whole(to: Callable[[float], int], number: float) -> float:
    return float(to(float_of(number)))


def _bool(value: object, default: object = _ABSENT) -> object:
    def convert() -> object:
        if isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return value != 0
        word = text_of(value).strip().lower()
        if word in ("1", "true", "yes", "on", "enable"):
            return True
        if word in ("0", "false", "no", "off", "disable"):
            return False
        raise NoValue

    return _or_default(convert, default)


def _default(value: object, default: object = "", boolean: object = False) -> object:
    return default if value is UNDEFINED or (boolean and not value) else value


def _is_defined(value: object) -> object:
    if value is UNDEFINED:
        raise NoValue
    return value


def _iif(value: object, if_true: object = True, if_false: object = False, if_none: object = _ABSENT) -> object:
    if value is None and if_none is not _ABSENT:
        return if_none
    return if_true if value else if_false


def _extreme(pick: Callable[[Iterable[float]], float]) -> Callable[..., object]:
    def find(*values: object) -> object:
        numbers = list_of(values[0]) if len(values) == 1 else list(values)
        if not numbers:
            raise NoValue
        return pick([number_of(one) for one in numbers])

    return find


def _length(value: object) -> object:
    if isinstance(value, str | list | dict):
        return len(value)
    raise NoValue


def _abs(value: object) -> object:
    return abs(number_of(value))


def _add(value: object, amount: object, default: object = _ABSENT) -> object:
    return _or_default(lambda: float_of(float_of(value) + float_of(amount)), default)


def _multiply(value: object, amount: object, default: object = _ABSENT) -> object:
    return _or_default(lambda: float_of(float_of(value) * float_of(amount)), default)


def _first(value: object) -> object:
    return item_of(value, 0)


def _last(value: object) -> object:
    return item_of(value, -1)


def _join(value: object, separator: object = "") -> object:
    return bounded(text_of(separator).join([text_of(one) for one in list_of(value)]))


def _lower(value: object) -> object:
    return text_of(value).lower()


def _upper(value: object) -> object:
    return bounded(text_of(value).upper())


def _capitalize(value: object) -> object:
    return bounded(text_of(value).capitalize())


def _strip(value: object, characters: object = None) -> object:
    return text_of(value).strip(None if characters is None else text_of(characters))


def _replace(value: object, old: object, new: object) -> object:
    text, before, after = text_of(value), text_of(old), text_of(new)
    if len(text) + (text.count(before) * (len(after) - len(before))) > LONGEST_TEXT:
        raise NoValue
    return text.replace(before, after)


def _split(value: object, separator: object = None) -> object:
    between = None if separator is None else text_of(separator)
    if between == "":
        raise NoValue
    return list[object](text_of(value).split(between, LONGEST_LIST - 1))


def _starts_with(value: object, beginning: object) -> object:
    return text_of(value).startswith(text_of(beginning))


def _ends_with(value: object, end: object) -> object:
    return text_of(value).endswith(text_of(end))


def _get(value: object, key: object, default: object = None) -> object:
    if not isinstance(value, dict):
        raise NoValue
    found = item_of(value, key)
    return default if found is UNDEFINED else found


def _is_number(value: object) -> bool:
    try:
        float_of(value)
    except NoValue:
        return False
    return True


def _is_plain_number(value: object) -> bool:
    return isinstance(value, int | float)


def _whole_number(value: object) -> int:
    number = number_of(value)
    if isinstance(number, float):
        raise NoValue
    return number


FILTERS: Final[Mapping[str, Callable[..., object]]] = MappingProxyType(
    {
        "abs": _abs,
        "add": _add,
        "bool": _bool,
        "capitalize": _capitalize,
        "count": _length,
        "d": _default,
        "default": _default,
        "first": _first,
        "float": _float,
        "iif": _iif,
        "int": _int,
        "is_defined": _is_defined,
        "is_number": _is_number,
        "join": _join,
        "last": _last,
        "length": _length,
        "lower": _lower,
        "max": _extreme(max),
        "min": _extreme(min),
        "multiply": _multiply,
        "replace": _replace,
        "round": _round,
        "string": text_of,
        "trim": _strip,
        "upper": _upper,
    }
)

FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = MappingProxyType(
    {name: FILTERS[name] for name in ("bool", "float", "iif", "int", "is_number", "max", "min")}
)

METHODS: Final[Mapping[str, Callable[..., object]]] = MappingProxyType(
    {
        "capitalize": _capitalize,
        "endswith": _ends_with,
        "get": _get,
        "lower": _lower,
        "replace": _replace,
        "split": _split,
        "startswith": _starts_with,
        "strip": _strip,
        "upper": _upper,
    }
)

TESTS: Final[Mapping[str, Callable[..., bool]]] = MappingProxyType(
    {
        "boolean": lambda value: isinstance(value, bool),
        "defined": lambda value: value is not UNDEFINED,
        "eq": equal,
        "equalto": equal,
        "even": lambda value: _whole_number(value) % 2 == 0,
        "false": lambda value: value is False,
        "float": lambda value: isinstance(value, float),
        "ge": lambda value, other: ordered(value, other) >= 0,
        "gt": lambda value, other: ordered(value, other) > 0,
        "in": lambda value, container: contains(container, value),
        "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
        "is_number": _is_number,
        "le": lambda value, other: ordered(value, other) <= 0,
        "lt": lambda value, other: ordered(value, other) < 0,
        "mapping": lambda value: isinstance(value, dict),
        "ne": lambda value, other: not equal(value, other),
        "none": lambda value: value is None,
        "number": _is_plain_number,
        "odd": lambda value: _whole_number(value) % 2 == 1,
        "string": lambda value: isinstance(value, str),
        "true": lambda value: value is True,
        "undefined": lambda value: value is UNDEFINED,
    }
)

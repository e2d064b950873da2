"""Names of measurements, with the unit in the name, and the conversion into that unit. Pure.

A name is `[a-z][a-z0-9_]{0,63}`: `temperature_c`, `co2_ppm`, `kitchen_humidity_pct`, `door_open`.
"""

import functools
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from devices.errors import DecodeError
from devices.payloads.units import (
    BY_CLASS_ONLY,
    DIMENSIONS,
    QUANTITIES,
    QUANTITIES_BY_NAME,
    STATES,
    Dimension,
    Quantity,
    fold,
)

LONGEST_NAME: Final = 64
_LONGEST_SUFFIX: Final = 16

_LEGAL: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LEVELLED: Final = str.maketrans("-. /", "____")
_CAMEL_CASE: Final = re.compile(r"(?<=[a-z]{2})(?=[A-Z][a-z])")
_NOT_WORD: Final = re.compile(r"[^a-z0-9]+")

_SPELLED_OUT: Final = str.maketrans(
    {"%": " pct ", "°": " deg ", "µ": "u", "μ": "u", "²": "2", "³": "3", "Ω": "ohm", "€": "eur", "£": "gbp"}
    | {"$": "usd", "ß": "ss", "ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ø": "o"}
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a value is stored as: under `name`, as value × `scale` + `offset`."""

    name: str
    scale: float = 1.0
    offset: float = 0.0

    def convert(self, value: float) -> float | None:
        """Returns the value in the unit of the name, to 12 digits; None beyond the range of a double."""
        if self.scale == 1.0 and self.offset == 0.0:
            return value
        converted = float(f"{value * self.scale + self.offset:.12g}")
        return converted if math.isfinite(converted) else None


@functools.lru_cache(maxsize=4096)  # a school's devices say the same few names over and over
def legal_name(name: str) -> str:
    """Returns a device's own name for a measurement as a legal one.

    Capitals become small letters; a hyphen, point, space or slash becomes an underscore. Nothing else is
    guessed: raises `DecodeError` naming it otherwise.
    """
    if _LEGAL.fullmatch(name):
        return name
    levelled = name.lower().translate(_LEVELLED)
    if _LEGAL.fullmatch(levelled):
        return levelled
    shown = ascii(name[:LONGEST_NAME])[1:-1]
    raise DecodeError(f"values: {shown!r} is no name for a measurement (a letter, then letters, digits and _)")


def slug(text: str) -> str:
    """Returns the text's letters and digits as words of ASCII: `Büro 1.OG` is `buero_1_og`; may be empty."""
    parted = _CAMEL_CASE.sub("_", text[:256])
    spelled = unicodedata.normalize("NFKD", parted.translate(_SPELLED_OUT))
    return _NOT_WORD.sub("_", spelled.encode("ascii", "ignore").decode().lower()).strip("_")


def of_number(device_class: str | None, qualifier: str, unit: str) -> Measurement:
    """Returns how a sensor's number is stored.

    `device_class`: Home Assistant's, `qualifier`: what tells this value from others of the device, as a slug,
    empty if nothing needs to; `unit`: as announced, empty if none. What the tables do not know keeps the unit
    it has.
    """
    folded = fold(unit)
    quantity = QUANTITIES.get(device_class or QUANTITIES_BY_NAME.get(qualifier, qualifier))
    if quantity is not None:
        dimension = DIMENSIONS[quantity.dimension]
        known = _conversion(dimension, folded)
        if known is not None:
            return Measurement(_compose(qualifier, device_class, quantity, dimension.suffix), *known)
    by_unit = _DIMENSION_OF_UNIT.get(_spelling(folded))
    if by_unit is not None:
        known = _conversion(by_unit, folded)
        if known is not None:
            stem = quantity or Quantity(by_unit.stem, "")
            return Measurement(_compose(qualifier, device_class, stem, by_unit.suffix), *known)
    suffix = slug(unit.replace("/", " "))[:_LONGEST_SUFFIX].strip("_")
    return Measurement(_compose(qualifier, device_class, quantity or Quantity("", ""), suffix))


def of_state(device_class: str | None, qualifier: str, otherwise: str = "") -> Measurement:
    """Returns how a two-state value is stored, 1.0 for on: `door_open`, `motion`.

    `otherwise` is the word for "on" where the class says nothing: a switch `relay` is `relay_on`.
    """
    quantity = STATES.get(device_class or "") or Quantity(otherwise, "")
    return Measurement(_compose(qualifier, device_class, quantity, ""))


def _compose(qualifier: str, device_class: str | None, quantity: Quantity, suffix: str) -> str:
    """Puts a name together, saying nothing twice: `kitchen_temperature` and `c` for temperature in °C."""
    stem = quantity.stem
    words = qualifier
    if stem and f"_{stem}_" not in f"_{words}_":
        for synonym in (*quantity.synonyms, device_class):
            if synonym and f"_{synonym}_" in f"_{words}_":
                words = f"_{words}_".replace(f"_{synonym}_", f"_{stem}_", 1).strip("_")
                break
        else:
            words = f"{words}_{stem}" if words else stem
    if suffix and words != suffix and not words.endswith(f"_{suffix}"):
        words = f"{words[: LONGEST_NAME - len(suffix) - 1].rstrip('_')}_{suffix}" if words else suffix
    if not words:
        return "value"
    if not words[0].isalpha():
        words = f"m_{words}"
    return words[:LONGEST_NAME].rstrip("_")


def _spelling(folded: str) -> str:
    """Returns the unit as the tables have it, if only its capitals differ and there is just one such."""
    return folded if folded in _DIMENSION_OF_UNIT else _CAPITALS.get(folded.casefold(), folded)


def _conversion(dimension: Dimension, folded: str) -> tuple[float, float] | None:
    return dimension.spellings.get(folded) or dimension.spellings.get(_spelling(folded))


def _dimension_of_unit() -> Mapping[str, Dimension]:
    """Returns which dimension a unit stands for by itself; the one that is kept in this unit comes first."""
    found: dict[str, Dimension] = {}
    candidates = [one for name, one in DIMENSIONS.items() if name not in BY_CLASS_ONLY]
    for is_own_unit in (True, False):
        for dimension in candidates:
            for unit, conversion in dimension.spellings.items():
                if unit and (conversion == (1.0, 0.0)) is is_own_unit:
                    found.setdefault(unit, dimension)
    return MappingProxyType(found)


def _capitals() -> Mapping[str, str]:
    found: dict[str, str] = {}
    ambiguous = set()
    for unit in _DIMENSION_OF_UNIT:
        if found.setdefault(unit.casefold(), unit) != unit:
            ambiguous.add(unit.casefold())
    return MappingProxyType({low: unit for low, unit in found.items() if low not in ambiguous and len(low) > 1})


_DIMENSION_OF_UNIT: Final = _dimension_of_unit()
_CAPITALS: Final = _capitals()

WELL_KNOWN: Final = frozenset(
    _compose("", None, quantity, DIMENSIONS[quantity.dimension].suffix)
    for quantity in (*QUANTITIES.values(), *STATES.values())
)
"""Legal names that need no further look; most of what comes in."""

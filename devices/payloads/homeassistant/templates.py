"""A value template as it was compiled, and what it says of a message. Pure; see `template_compiler`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from devices.payloads.homeassistant.template_values import UNDEFINED, NoValue

Scalar: TypeAlias = str | int | float | bool | None
Scope: TypeAlias = dict[str, object]
"""The variables: `value`, `value_json` if the payload is JSON, and what the template sets."""
Evaluator: TypeAlias = Callable[[Scope], object]


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template. `needs_json`: it reads `value_json`."""

    source: str
    needs_json: bool
    _evaluate: Evaluator = field(repr=False, compare=False)

    def render(self, value: str, value_json: object = UNDEFINED) -> Scalar:
        """Returns the result; None if this message has none. `value_json` is UNDEFINED if it is not JSON.

        A template that is one expression gives that expression's value, a number as a number; any other the
        text it writes, without the white space around it. Raises nothing.
        """
        scope: Scope = {"value": value}
        if value_json is not UNDEFINED:
            scope["value_json"] = value_json
        try:
            result = self._evaluate(scope)
        except NoValue:
            return None
        return result if isinstance(result, str | int | float) else None

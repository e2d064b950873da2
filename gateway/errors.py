"""Errors of the core.

GatewayError
├── ConfigError   the operator's: stop at start, naming the field, its value and what to do
└── Corrupt       the disk's: set the file aside, tell the operator, go on with the rest
"""

from pathlib import Path

from foundation.errors import SchoolgateError


class GatewayError(SchoolgateError):
    """Anything that goes wrong in the core and has a name."""


class ConfigError(GatewayError):
    """A setting that cannot be used. `field` is its dotted name, `hint` says what to write instead.

    `value` is shown to the operator: pass a placeholder for a secret.
    """

    def __init__(self, field: str, value: object, hint: str) -> None:
        super().__init__(f"{field} = {value!r}: {hint}")
        self.field = field
        self.value = value
        self.hint = hint


class Corrupt(GatewayError):
    """A file is damaged. `hint` says what was done about it or what the operator can do."""

    def __init__(self, path: Path, hint: str) -> None:
        super().__init__(f"{path}: {hint}")
        self.path = path
        self.hint = hint

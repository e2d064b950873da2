"""Errors of the core.

GatewayError
├── ConfigError   the operator's: stop at start, naming the field, its value and what to do
├── Unavailable   nobody's: back off for `retry_after_s` and try again (disk full, writer closing)
├── Conflict      the caller's: it is there already, or in a state that forbids this
├── NotFound      the caller's: nothing has that name
├── Invalid       the caller's: the request can never succeed as it is
└── Corrupt       the disk's: set the file aside, tell the operator, go on with the rest
"""

from pathlib import Path


class GatewayError(Exception):
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


class Unavailable(GatewayError):
    """Cannot be done now; the same call may succeed after `retry_after_s` seconds."""

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Conflict(GatewayError):
    """What is there already forbids this; `reason` says what."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotFound(GatewayError):
    """Nothing has that name; `what` names it as the caller did ("device lab-7")."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not known")
        self.what = what


class Invalid(GatewayError):
    """The request can never succeed as it is; `reason` says why, for the caller to read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Corrupt(GatewayError):
    """A file is damaged. `hint` says what was done about it or what the operator can do."""

    def __init__(self, path: Path, hint: str) -> None:
        super().__init__(f"{path}: {hint}")
        self.path = path
        self.hint = hint

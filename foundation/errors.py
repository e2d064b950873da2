"""Errors that every room knows.

SchoolgateError
├── Unavailable   nobody's: back off for `retry_after_s` and try again (disk full, writer closing, broker away)
├── Conflict      the caller's: it is there already, or in a state that forbids this
├── NotFound      the caller's: nothing has that name
├── Invalid       the caller's: the request can never succeed as it is
├── DeviceError   see devices.errors
└── GatewayError  see gateway.errors
"""


class SchoolgateError(Exception):
    """Anything that goes wrong and has a name."""


class Unavailable(SchoolgateError):
    """Cannot be done now; the same call may succeed after `retry_after_s` seconds."""

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Conflict(SchoolgateError):
    """What is there already forbids this; `reason` says what."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotFound(SchoolgateError):
    """Nothing has that name; `what` names it as the caller did ("device lab-7")."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not known")
        self.what = what


class Invalid(SchoolgateError):
    """The request can never succeed as it is; `reason` says why, for the caller to read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

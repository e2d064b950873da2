"""Errors of the simulated school.

SimError
├── UsageError      the person's fault: a value that makes no sense (exit code 2)
├── Unreachable     nobody answers at an address; `hint` says what to do
├── Refusal         the gateway answered and said no: its status and problem details
└── SignInRefused   the broker refused a device's credentials, or its MQTT version
"""


class SimError(Exception):
    """Anything the simulator can explain to the person who started it."""


class UsageError(SimError):
    """A value given by the person makes no sense."""


class Unreachable(SimError):
    """Nobody answers at `address`."""

    def __init__(self, address: str, reason: str, hint: str = "is the gateway running there?") -> None:
        super().__init__(f"{address}: {reason}; {hint}")
        self.address = address


class Refusal(SimError):
    """The gateway answered `method path` with an HTTP error; `detail` is its problem details."""

    def __init__(self, method: str, path: str, status: int, detail: str) -> None:
        super().__init__(f"{method} {path}: {status} {detail}".rstrip())
        self.status = status


class SignInRefused(SimError):
    """The broker answered CONNECT with a reason code other than success.

    MQTT 3.1.1 §3.2.2.3, MQTT 5.0 §3.2.2.2.
    """

    def __init__(self, client_id: str, reason_code: int) -> None:
        super().__init__(f"{client_id}: the broker refused the connection, reason code {reason_code}")
        self.client_id = client_id
        self.reason_code = reason_code

"""Errors of the rooms that take data in.

DeviceError
├── DecodeError      the peer's fault: the frame becomes a dead letter, is counted and acknowledged
├── Refused          the peer may not do this: default deny, counted and audited
└── Unavailable      nobody's fault: back off for `retry_after_s` and try again
"""


class DeviceError(Exception):
    """Anything that goes wrong between a device and the commit."""


class DecodeError(DeviceError):
    """The bytes are not what their topic promises; `reason` says why without quoting the payload."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Refused(DeviceError):
    """The peer is not allowed to do this; `reason` is for the audit log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unavailable(DeviceError):
    """Cannot be done now; the same call may succeed after `retry_after_s` seconds."""

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s

"""Errors of the room that takes data in.

DeviceError
├── DecodeError      the peer's fault: the frame becomes a dead letter, is counted and acknowledged
├── PacketError      see devices.mqtt.codec.errors
├── LineLost         nobody's: the bridge's connection could not be opened or is over; it backs off and tries again
│   └── Deaf         it stands, and nothing comes through it
└── NotOurs          the other broker's: what it retains cannot be fetched, and is not tried again
"""

from foundation.errors import SchoolgateError


class DeviceError(SchoolgateError):
    """Anything that goes wrong between a device and the commit."""


class DecodeError(DeviceError):
    """The bytes are not what their topic promises; `reason` says why without quoting the payload."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

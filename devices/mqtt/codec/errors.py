"""What is wrong with the bytes of an MQTT peer, and what it is told.

DeviceError
└── PacketError            the peer's fault: count it, send `codec.farewell(...)`, close this connection
    ├── MalformedPacket    0x81: cannot be parsed as the specification says (MQTT 5.0 §4.13.1)
    ├── ProtocolError      0x82, or the code that says it better: parsed, but not allowed here
    ├── PacketTooLarge     0x95: larger than the limit; refused by its header, before its body is held
    ├── QuotaExceeded      0x97: more of something in one packet than is looked through
    └── UnsupportedVersion 0x84, in 3.1.1 return code 0x01: another version than 3.1.1 and 5.0
"""

from mqtt5 import ConnAckReasonCode, DisconnectReasonCode

from devices.errors import DeviceError


class PacketError(DeviceError):
    """A connection cannot go on after these bytes. `reason` is for logs; it quotes nothing the peer sent."""

    reason_code: DisconnectReasonCode = DisconnectReasonCode.UNSPECIFIED_ERROR

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def connack_code(self) -> ConnAckReasonCode:
        """The same said in a CONNACK, for a peer whose CONNECT was not accepted yet."""
        return ConnAckReasonCode(self.reason_code.value)


class MalformedPacket(PacketError):
    """The bytes cannot be parsed as the specification says."""

    reason_code = DisconnectReasonCode.MALFORMED_PACKET


class ProtocolError(PacketError):
    """The packet can be parsed, but the protocol does not allow it, or not now."""

    reason_code = DisconnectReasonCode.PROTOCOL_ERROR

    def __init__(self, reason: str, reason_code: DisconnectReasonCode = DisconnectReasonCode.PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.reason_code = reason_code

    @property
    def connack_code(self) -> ConnAckReasonCode:
        return ConnAckReasonCode.PROTOCOL_ERROR


class PacketTooLarge(PacketError):
    """The packet announces more bytes than this connection may send at once."""

    reason_code = DisconnectReasonCode.PACKET_TOO_LARGE


class QuotaExceeded(PacketError):
    """The packet holds more of something than the door looks through for one packet."""

    reason_code = DisconnectReasonCode.QUOTA_EXCEEDED


class UnsupportedVersion(PacketError):
    """The CONNECT asks for a protocol `level` other than 4 (MQTT 3.1.1) and 5 (MQTT 5.0)."""

    reason_code = DisconnectReasonCode.PROTOCOL_ERROR

    def __init__(self, level: int) -> None:
        super().__init__(f"protocol level {level} is not served")
        self.level = level

    @property
    def connack_code(self) -> ConnAckReasonCode:
        return ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION

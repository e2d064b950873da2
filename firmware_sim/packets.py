"""MQTT packets as bytes, client side, for what goes out below paho: load, repeats, broken messages. Pure."""

import struct
from dataclasses import dataclass

from firmware_sim.errors import SimError

MQTT_3_1_1 = 4
MQTT_5 = 5

PINGREQ = b"\xc0\x00"
PINGRESP = b"\xd0\x00"
DISCONNECT = b"\xe0\x00"

PUBACK_TYPE = 0x40
PUBREC_TYPE = 0x50
PUBCOMP_TYPE = 0x70
PINGRESP_TYPE = 0xD0

_U16 = struct.Struct(">H")

_PROPERTY_SIZE = {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
_PROPERTY_STRINGS = {0x12: 1, 0x15: 1, 0x16: 1, 0x1A: 1, 0x1C: 1, 0x1F: 1, 0x26: 2}


def remaining_length(size: int) -> bytes:
    """The variable byte integer of `size` (MQTT 5.0 §1.5.5)."""
    encoded = bytearray()
    while True:
        size, digit = divmod(size, 128)
        encoded.append(digit | 128 if size else digit)
        if not size:
            return bytes(encoded)


def text(value: str) -> bytes:
    """A UTF-8 string with its two-byte length (MQTT 5.0 §1.5.4)."""
    raw = value.encode()
    return _U16.pack(len(raw)) + raw


def connect(version: int, client_id: str, secret: str | None, *, keep_alive_s: int) -> bytes:
    """CONNECT with a clean start; the client id is the user name where there is a secret."""
    flags = 0x02 | (0xC0 if secret is not None else 0)
    body = text("MQTT") + bytes((version, flags)) + _U16.pack(keep_alive_s)
    if version == MQTT_5:
        body += b"\x00"
    body += text(client_id)
    if secret is not None:
        body += text(client_id) + text(secret)
    return b"\x10" + remaining_length(len(body)) + body


def publish(
    version: int, topic: str, payload: bytes, *, qos: int, packet_id: int = 0, is_duplicate: bool = False
) -> bytes:
    """PUBLISH, not retained; `packet_id` counts only above QoS 0."""
    body = text(topic)
    if qos:
        body += _U16.pack(packet_id)
    if version == MQTT_5:
        body += b"\x00"
    first = 0x30 | qos << 1 | (0x08 if is_duplicate else 0)
    return bytes((first,)) + remaining_length(len(body) + len(payload)) + body + payload


def pubrel(packet_id: int) -> bytes:
    return b"\x62\x02" + _U16.pack(packet_id)


@dataclass(frozen=True, slots=True)
class ConnAck:
    """What the broker answered: 0 is welcome. `receive_maximum` is how many it takes unacknowledged."""

    reason_code: int
    receive_maximum: int
    size: int


def read_connack(data: bytes, version: int) -> ConnAck | None:
    """The CONNACK at the start of `data`, or None while it is incomplete.

    Raises SimError if something else came first.
    """
    if data and data[0] != 0x20:
        raise SimError(f"the broker's first packet is 0x{data[0]:02x}, not CONNACK")
    length = _read_length(data, 1)
    if length is None or len(data) < length[0] + length[1]:
        return None
    size, start = length
    end = start + size
    receive_maximum = 65_535
    if version == MQTT_5 and size > 2:
        properties = _read_length(data, start + 2)
        if properties is not None:
            receive_maximum = _receive_maximum(data[properties[1] : end])
    return ConnAck(data[start + 1], receive_maximum, end)


def _read_length(data: bytes, at: int) -> tuple[int, int] | None:
    """The variable byte integer at `at` and where it ends, or None while it is incomplete."""
    size = 0
    for shift, digit in enumerate(data[at : at + 4]):
        size |= (digit & 127) << 7 * shift
        if digit < 128:
            return size, at + shift + 1
    return None


def _receive_maximum(properties: bytes) -> int:
    """The receive maximum among a CONNACK's properties (MQTT 5.0 §3.2.2.3); 65,535 where there is none."""
    at = 0
    while at < len(properties):
        identifier = properties[at]
        at += 1
        if identifier == 0x21:
            return int(_U16.unpack_from(properties, at)[0])
        if identifier in _PROPERTY_SIZE:
            at += _PROPERTY_SIZE[identifier]
        elif identifier in _PROPERTY_STRINGS:
            for _ in range(_PROPERTY_STRINGS[identifier]):
                at += 2 + _U16.unpack_from(properties, at)[0]
        else:
            raise SimError(f"unknown property 0x{identifier:02x} in CONNACK")
    return 65_535

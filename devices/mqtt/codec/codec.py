"""MQTT bytes in, packets out, and back, for the server's side of one connection (3.1.1 and 5.0). No I/O.

Feed it what the connection gives, handle the packets, then look at `failure`:

    for packet in decoder.feed(data):
        ...
    if decoder.failure is not None:
        send(farewell(decoder.failure, decoder.version, is_accepted=...)), close

Packets of both versions are the classes of the library `mqtt5`.
"""

import enum
import sys
from array import array
from collections.abc import Iterable
from struct import Struct
from typing import Final

from mqtt5 import ConnAckPacket, DisconnectPacket

from devices.mqtt.codec import codec5, codec311
from devices.mqtt.codec.errors import MalformedPacket, PacketError, ProtocolError, UnsupportedVersion
from devices.mqtt.codec.wire import (
    ClientPacket,
    Kind,
    KnownFields,
    Reader,
    ServerPacket,
    check_first_byte,
    read_header,
)

CONNECT_LIMIT_BYTES: Final = 65_536
"""The largest CONNECT that is read, and so what a peer that has not signed in can make the door hold."""

BRIDGE_OF_311: Final = 0x84
"""The level that a bridge to another broker gives for 3.1.1, in Mosquitto and others: it wants its own messages not to
come back. Version 5 has the option no local for that."""

_SMALLEST_LIMIT_BYTES: Final = 256


class Version(enum.IntEnum):
    """A protocol version, by its level in CONNECT."""

    V311 = 4
    V5 = 5


class Decoder:
    """Bytes of one client in, its packets out.

    `version` is None until a CONNECT has said it; it stays if that CONNECT then turns out to be malformed. `is_bridge`:
    one of version 3.1.1 said that it comes from another broker.
    `failure` is why nothing more can be read; the packets before it have been returned.
    """

    __slots__ = ("_held", "_known", "_limit", "_max_packet_size", "_wanted", "failure", "is_bridge", "version")

    def __init__(self, max_packet_size: int, connect_limit: int = CONNECT_LIMIT_BYTES) -> None:
        """`max_packet_size` limits every packet, `connect_limit` the first; bytes, fixed header included."""
        if min(max_packet_size, connect_limit) < _SMALLEST_LIMIT_BYTES:
            raise ValueError(f"a limit below {_SMALLEST_LIMIT_BYTES} bytes leaves no room for MQTT")
        self.version: Version | None = None
        self.is_bridge = False
        self.failure: PacketError | None = None
        self._max_packet_size = max_packet_size
        self._limit = connect_limit
        self._known = KnownFields()
        self._held = bytearray()  # a packet that is not whole yet
        self._wanted = 0  # its size, or the size at which that can be told

    def feed(self, data: bytes) -> list[ClientPacket]:
        """The packets that are whole now. Holds the rest: at most one packet and one `data`."""
        if self.failure is not None:
            return []
        if self._held:
            if len(self._held) + len(data) < self._wanted:
                self._held += data
                return []
            data = b"".join((self._held, data))
            self._held.clear()
        packets: list[ClientPacket] = []
        try:
            at = 0
            if self.version is None:
                at = self._begin(data, packets)
            if self.version is Version.V5:
                at = codec5.read_all(data, at, self._limit, self._known, packets)
            elif self.version is Version.V311:
                at = codec311.read_all(data, at, self._limit, self._known, packets)
            if at < len(data):
                self._hold(data, at)
        except PacketError as error:
            # Kept without where it was raised: those frames hold `data`, and this decoder itself.
            error.__cause__ = error.__context__ = None
            self.failure = error.with_traceback(None)
            self._held = bytearray()
            self._known = KnownFields()
        return packets

    def _begin(self, data: bytes, packets: list[ClientPacket]) -> int:
        """Reads the CONNECT if it is whole; returns where it ends."""
        if not data:
            return 0
        check_first_byte(data[0])
        if data[0] >> 4 != Kind.CONNECT:
            raise ProtocolError("the first packet is not CONNECT")  # [MQTT-3.1.0-1]
        header = read_header(data, 0, self._limit)
        if header is None or header[1] > len(data):
            return 0
        body, end = header
        reader = Reader(data, body, end)
        name = reader.binary()
        level = reader.byte()
        if name == b"MQTT" and level in _LEVELS:
            self.version = Version(level)
        elif name == b"MQTT" and level == BRIDGE_OF_311:
            self.version = Version.V311
            self.is_bridge = True
        elif name in (b"MQTT", b"MQIsdp"):
            raise UnsupportedVersion(level)
        else:
            raise MalformedPacket("protocol name is not MQTT")  # [MQTT-3.1.2-1]
        if self.version is Version.V5:
            packets.append(codec5.read_connect(data, 0, body, end))
        else:
            packets.append(codec311.read_connect(data, body, end))
        self._limit = self._max_packet_size
        return end

    def _hold(self, data: bytes, at: int) -> None:
        """Keeps the packet that begins at `at` and is not whole, unless it can be refused already."""
        header = read_header(data, at, self._limit)
        self._wanted = len(data) - at + 1 if header is None else header[1] - at
        self._held += memoryview(data)[at:]


_LEVELS: Final = frozenset(Version)


def encode(packet: ServerPacket, version: Version) -> bytes:
    """The bytes of a packet that the server sends.

    There are none for what 3.1.1 has no packet for (DISCONNECT, AUTH, some CONNACK): there the server just
    closes the connection.
    """
    return packet.write() if version is Version.V5 else codec311.write(packet)


def farewell(error: PacketError, version: Version | None, *, is_accepted: bool) -> bytes:
    """The last bytes for a peer whose connection closes because of `error`; none where the protocol has none.

    `is_accepted`: a CONNACK with success has been sent. Until then a version 5 client gets a CONNACK (MQTT
    5.0 §3.1.4), after it a DISCONNECT (§4.13). In 3.1.1 the connection just closes (§4.8 there), but for a
    version that is not served ([MQTT-3.1.2-2] there).
    """
    if isinstance(error, UnsupportedVersion):
        is_older = error.level & 0x7F < Version.V5  # a bridge of another version sets the highest bit too
        return encode(ConnAckPacket(reason_code=error.connack_code), Version.V311 if is_older else Version.V5)
    if version is not Version.V5:
        return b""
    if is_accepted:
        return DisconnectPacket(reason_code=error.reason_code).write()
    return ConnAckPacket(reason_code=error.connack_code).write()


# The acknowledgements of success are the same four bytes in both versions.
#
#     PUBLISH, QoS 1 ──▶ PUBACK
#     PUBLISH, QoS 2 ──▶ PUBREC ──▶ PUBREL ──▶ PUBCOMP

_PUBACK: Final = 0x4002
_PUBREC: Final = 0x5002
_PUBREL: Final = 0x6202
_PUBCOMP: Final = 0x7002

_one = Struct(">HH").pack


def _many(head: int, packet_ids: Iterable[int]) -> bytes:
    """`head` and an identifier, again and again, as big-endian 16-bit words."""
    identifiers = array("H", packet_ids)
    words = array("H", (head,)) * (2 * len(identifiers))
    words[1::2] = identifiers
    if sys.byteorder == "little":
        words.byteswap()
    return words.tobytes()


def pubrel(packet_id: int) -> bytes:
    return _one(_PUBREL, packet_id)


def pubacks(packet_ids: Iterable[int]) -> bytes:
    return _many(_PUBACK, packet_ids)


def pubrecs(packet_ids: Iterable[int]) -> bytes:
    return _many(_PUBREC, packet_ids)


def pubrels(packet_ids: Iterable[int]) -> bytes:
    return _many(_PUBREL, packet_ids)


def pubcomps(packet_ids: Iterable[int]) -> bytes:
    return _many(_PUBCOMP, packet_ids)

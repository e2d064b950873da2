"""A device's endless stream of telemetry as packets, and the count of what was acknowledged. Pure.

Python that touches each message cannot load a broker that takes 300,000 a second. So messages are rendered
in chunks: everything that stays the same is encoded once per position in the window, and one `bytes.replace`
puts the time and the sequence number into all messages of a chunk. Two things make that possible:

- sequence numbers start at 1,000,000,000, so that they keep their width, and a chunk's size divides a power
  of ten, so that the leading digits are the same all over a chunk;
- a chunk's packet ids are used again only when all of it is acknowledged, so they belong to its position.

Acknowledgements come in the order of the messages (MQTT 3.1.1 §4.6, MQTT 5.0 §4.6), so the bytes to expect
are known: comparing a whole read with them counts and checks at once.
"""

import math
from dataclasses import dataclass

from firmware_sim import packets
from firmware_sim.errors import SimError

FIRST_SEQ = 1_000_000_000
_CHUNK_SIZES = (1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100)


@dataclass(frozen=True, slots=True)
class Window:
    """How many messages may be unacknowledged, and in what chunks they are sent."""

    size: int
    chunk: int

    @property
    def slots(self) -> int:
        return self.size // self.chunk


def window_of(size: int) -> Window:
    """The window with the largest chunk that keeps at least half of it in flight meanwhile."""
    return Window(size, max(c for c in _CHUNK_SIZES if size % c == 0 and (c == 1 or c <= size // 2)))


class MessageStream:
    """Renders one device's messages. Message n has the sequence number FIRST_SEQ + n and three values."""

    def __init__(self, version: int, qos: int, device_id: str, boot: str, window: Window, first: int = 0) -> None:
        self._sent_chunks = 0
        self._first_chunk = first // window.chunk
        low_digits = next(k for k in range(9) if 10**k % window.chunk == 0)
        self._phases = 10**low_digits // window.chunk
        width = len('"at":1763874000000,"seq":') + len(str(FIRST_SEQ)) - low_digits
        self._gap = b"\x01" * width
        self._base = FIRST_SEQ // 10**low_digits
        self._templates = [
            self._template(version, qos, device_id, boot, window, number, low_digits)
            for number in range(math.lcm(window.slots, self._phases))
        ]

    def _template(
        self, version: int, qos: int, device_id: str, boot: str, window: Window, number: int, low_digits: int
    ) -> bytes:
        topic = f"sg/{device_id}/telemetry"
        first_id = number % window.slots * window.chunk + 1
        first_low = (self._first_chunk + number) % self._phases * window.chunk
        rendered = bytearray()
        for i in range(window.chunk):
            low = f"{first_low + i:0{low_digits}d}".encode() if low_digits else b""
            payload = b'{%b%b,"boot":"%b","values":{"temperature_c":%.2f,"humidity_pct":%.1f,"co2_ppm":%d}}' % (
                self._gap,
                low,
                boot.encode(),
                20 + i * 0.03,
                40 + i * 0.1,
                450 + 5 * i,
            )
            rendered += packets.publish(version, topic, payload, qos=qos, packet_id=first_id + i)
        if qos == 0:
            rendered += packets.PINGREQ
        return bytes(rendered)

    def render(self, at_ms: int) -> bytes:
        """The next chunk, stamped `at_ms` (13 digits, ms since 1970 UTC)."""
        number = self._sent_chunks
        self._sent_chunks = number + 1
        high = self._base + (self._first_chunk + number) // self._phases
        fresh = b'"at":%013d,"seq":%d' % (at_ms, high)
        return self._templates[number % len(self._templates)].replace(self._gap, fresh)


class AcknowledgementCount:
    """Counts the messages of one connection that the broker has taken responsibility for.

    QoS 1: PUBACKs. QoS 2: PUBCOMPs, and `answer` holds the PUBRELs to send. QoS 0 has no acknowledgement; a
    PINGREQ follows each chunk, and the PINGRESP proves that the broker has read everything before it.
    """

    def __init__(self, qos: int, window: Window) -> None:
        self.refused = 0
        self.answer = b""
        self._qos = qos
        self._chunk = window.chunk
        self._size = window.size
        self._rest = b""
        self._expected = b""
        self._period = 0
        self._unit = 0
        self._position = 0
        self._is_walking = qos == 2

    def feed(self, data: bytes) -> int:
        """Returns how many messages `data` completes. Raises SimError at a packet that is out of place."""
        if self._is_walking:
            return self._walk(data)
        if not self._expected:
            data = self._rest + data
            if len(data) < 2 or len(data) < data[1] + 2:
                self._rest = data
                return 0
            self._rest = b""
            self._expect_like(data)
        position = self._position
        if not self._expected.startswith(data, position):
            self._is_walking = True
            partial = position % self._unit
            return self._walk(self._expected[position - partial : position] + data)
        end = position + len(data)
        self._position = end % self._period
        done = end // self._unit - position // self._unit
        return done * self._chunk if self._qos == 0 else done

    def _expect_like(self, first: bytes) -> None:
        """Lays out the acknowledgements to come after the example of the first: brokers differ in whether a
        version 5 PUBACK carries a reason code (§3.4.2.1)."""
        if self._qos == 0:
            self._unit = len(packets.PINGRESP)
            one_round = packets.PINGRESP * (self._size // self._chunk)
        else:
            tail = first[4 : first[1] + 2]
            head = bytes((packets.PUBACK_TYPE, 2 + len(tail)))
            self._unit = len(head) + 2 + len(tail)
            one_round = b"".join(head + n.to_bytes(2, "big") + tail for n in range(1, self._size + 1))
            if tail and tail[0] >= 0x80:  # refusals are counted one by one
                one_round = b"\x00" * len(one_round)
        self._period = len(one_round)
        self._expected = one_round * 2  # no more than a window can be on its way

    def _walk(self, data: bytes) -> int:
        """Counts packet by packet: QoS 2, acknowledgements out of order, and those that refuse."""
        data = self._rest + data
        done = at = 0
        answer = bytearray()
        while at + 2 <= len(data):
            kind, size = data[at], data[at + 1]
            end = at + 2 + size
            if end > len(data):
                break
            if size > 2 and kind != packets.PINGRESP_TYPE and data[at + 4] >= 0x80:
                self.refused += 1
                done += 1
            elif kind == packets.PUBREC_TYPE:
                answer += b"\x62\x02" + data[at + 2 : at + 4]
            elif kind in (packets.PUBACK_TYPE, packets.PUBCOMP_TYPE):
                done += 1
            elif kind == packets.PINGRESP_TYPE and self._qos == 0:
                done += self._chunk
            else:
                raise SimError(f"the broker sent a packet of type 0x{kind:02x} instead of an acknowledgement")
            at = end
        self._rest = data[at:]
        self.answer += bytes(answer)
        return done

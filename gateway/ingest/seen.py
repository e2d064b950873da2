"""Which sequence numbers of one boot of one device have been stored: a set of ranges, small and quick. Pure."""

import struct
from bisect import bisect_right
from itertools import pairwise

MAX_RANGES = 1024
"""More gaps than this and the oldest range is forgotten: such a device's very late repeats would be stored again,
which is better than dropping what it never delivered."""


class SeenRanges:
    """Numbers in 0 ≤ seq < 2^63 as disjoint, ascending, inclusive ranges. Memory: at most MAX_RANGES pairs."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, starts: list[int] | None = None, ends: list[int] | None = None) -> None:
        self._starts = starts if starts is not None else []
        self._ends = ends if ends is not None else []

    def add(self, seq: int) -> bool:
        """Takes `seq` in; returns False if it was in already."""
        starts, ends = self._starts, self._ends
        if ends and seq == ends[-1] + 1:
            ends[-1] = seq
            return True
        after = bisect_right(starts, seq)
        if after and seq <= ends[after - 1]:
            return False
        joins_left = after > 0 and ends[after - 1] + 1 == seq
        joins_right = after < len(starts) and starts[after] == seq + 1
        if joins_left and joins_right:
            ends[after - 1] = ends[after]
            del starts[after], ends[after]
        elif joins_left:
            ends[after - 1] = seq
        elif joins_right:
            starts[after] = seq
        else:
            starts.insert(after, seq)
            ends.insert(after, seq)
            if len(starts) > MAX_RANGES:
                del starts[0], ends[0]
        return True

    def __contains__(self, seq: int) -> bool:
        after = bisect_right(self._starts, seq)
        return after > 0 and seq <= self._ends[after - 1]

    def to_bytes(self) -> bytes:
        """Returns the ranges as pairs of little-endian 64-bit integers."""
        pairs = [number for pair in zip(self._starts, self._ends, strict=True) for number in pair]
        return struct.pack(f"<{len(pairs)}q", *pairs)

    @classmethod
    def from_bytes(cls, data: bytes) -> "SeenRanges":
        """The inverse of `to_bytes`. Raises ValueError for what are no ranges: all of them would be taken for seen."""
        if len(data) % 16:
            raise ValueError("not pairs of numbers")
        numbers = struct.unpack(f"<{len(data) // 8}q", data)
        if any(later < earlier for earlier, later in pairwise((0, *numbers))):
            raise ValueError("not ascending")
        return cls(list(numbers[0::2]), list(numbers[1::2]))

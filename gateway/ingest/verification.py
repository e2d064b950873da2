"""Whether what deduplication relies on is sound."""

import struct

from sqlalchemy import Connection, select

from gateway.ingest.tables import seen


def check_seen(connection: Connection) -> tuple[int, list[str]]:
    """The sequence numbers seen of each boot are ascending, disjoint ranges: deduplication relies on them."""
    examined, problems = 0, []
    for row in connection.execute(select(seen.c.device_id, seen.c.boot, seen.c.ranges)):
        examined += 1
        if not _are_ranges(row.ranges):
            problems.append(f"the sequence numbers seen of {row.device_id}, boot {row.boot}, are no ranges")
    return examined, problems


def _are_ranges(data: bytes) -> bool:
    if len(data) % 16:
        return False
    bounds = struct.unpack(f"<{len(data) // 8}q", data)
    starts, ends = bounds[0::2], bounds[1::2]
    is_each_a_range = all(start <= end for start, end in zip(starts, ends, strict=True))
    return is_each_a_range and all(end < start for end, start in zip(ends, starts[1:], strict=False))

"""What devices say, as rows of the writer's transaction: values, taps, presence. Every convention records through this.

Owned by the writer's thread.
"""

from devices.errors import DecodeError
from devices.frame import Frame
from devices.payloads.values import Tap, Telemetry
from devices.registry import DeviceState
from foundation.clock import HOUR_US, LIVE_TOLERANCE_US, Clock, judge
from gateway.ingest.source import Source
from gateway.ingest.sources import Sources
from gateway.ingest.statements import Statements
from gateway.ingest.taps import store_tap
from gateway.ingest.transaction import Transaction


class Records:
    """`school_key`: what card numbers are digested with."""

    def __init__(self, sources: Sources, statements: Statements, school_key: bytes) -> None:
        self._sources = sources
        self._statements = statements
        self._school_key = school_key

    def take_values(
        self, source: Source, transaction: Transaction, frame: Frame, number: int, telemetry: Telemetry
    ) -> None:
        """Stores a message's values, unless it came before. `number`: the frame's."""
        names = tuple(telemetry.values)
        layout = source.layouts.get(names)
        if layout is None:
            layout = self._sources.lay_out(transaction, source, names)
        seq = telemetry.seq
        if seq is not None:
            boot = telemetry.boot or ""
            window = source.windows.get(boot) or self._sources.window(transaction.connection, source, boot)
            if not window.add(seq):
                transaction.committed.duplicates += 1
                return
            source.changed_boots.add(boot)
        if frame.is_retained or (frame.is_late and telemetry.stamp_us is None):
            at_us = frame.received_us if telemetry.stamp_us is None else telemetry.stamp_us
            clock = int(Clock.UNKNOWN)
            packs = transaction.committed.retained_packs
        else:
            at_us, clock = self._judge(source, transaction, telemetry.stamp_us, frame.received_us)
            packs = transaction.committed.packs
            if not frame.is_late:
                source.last_seen_us = frame.received_us
        hour = at_us // HOUR_US
        if (hour != source.due_hour or hour != transaction.hour) and names:
            self._sources.note_due(transaction, source, hour)
        values = (*telemetry.values.values(), None)
        for group_no, first, second, third, fourth in layout:
            packs.append((group_no, at_us, number, clock, values[first], values[second], values[third], values[fourth]))
        if not source.is_touched:
            transaction.touch(source)

    def take_tap(self, source: Source, transaction: Transaction, frame: Frame, event: Tap) -> None:
        """Stores a tap, unless it came before. Raises DecodeError for one that was retained."""
        if frame.is_retained:
            raise DecodeError("a retained tap: its age is unknown, so it makes no attendance mark")
        at_us, clock = self._judge(source, transaction, event.stamp_us, frame.received_us)
        if frame.is_late and event.stamp_us is None:
            clock = int(Clock.UNKNOWN)
        is_new = store_tap(
            transaction,
            self._statements,
            self._school_key,
            source.device.id,
            event,
            frame.received_us,
            (at_us, Clock(clock)),
        )
        if is_new:
            self.hear(source, transaction, frame)
        else:
            transaction.committed.duplicates += 1

    def hear(self, source: Source, transaction: Transaction, frame: Frame) -> None:
        """Notes that the device said something."""
        if frame.is_live:
            source.last_seen_us = frame.received_us
        transaction.touch(source)

    def set_online(self, source: Source, transaction: Transaction, frame: Frame, *, is_online: bool) -> None:
        """Notes that the device came or went."""
        self._sources.set_online(transaction, source, frame.received_us, is_online=is_online, is_live=frame.is_live)

    def keep(self, source: Source, transaction: Transaction, frame: Frame) -> None:
        """Keeps what a device says that nobody has adopted. Raises DecodeError for a revoked one."""
        if source.device.state is DeviceState.REVOKED:
            raise DecodeError("the device is revoked")
        transaction.keep(source, frame)

    def _judge(
        self, source: Source, transaction: Transaction, stamp_us: int | None, received_us: int
    ) -> tuple[int, int]:
        is_right = transaction.is_clock_right
        if stamp_us is not None:
            ahead_us = source.ahead_us = stamp_us - received_us
            if -LIVE_TOLERANCE_US <= ahead_us <= LIVE_TOLERANCE_US:
                source.clock_right_us = received_us
                if is_right:
                    return stamp_us, 0  # Clock.GOOD: what nearly every message is
        at_us, clock = judge(
            stamp_us,
            received_us,
            is_device_clock_right=source.clock_right_us > 0,
            is_gateway_clock_right=is_right,
        )
        return at_us, int(clock)

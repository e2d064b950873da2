"""What happened at the door, counted."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Since the start; for /metrics."""

    connects_total: int = 0
    sign_ins_failed_total: int = 0
    refused_topics_total: int = 0
    packet_errors_total: int = 0
    queue_dropped_total: int = 0
    qos0_dropped_total: int = 0
    expired_total: int = 0

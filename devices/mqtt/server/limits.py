"""What one client, and all together, may ask of the door."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The first nine are in the section `mqtt` of the configuration."""

    max_packet_bytes: int = 1 << 20
    receive_max: int = 1024
    max_inflight: int = 256
    topic_alias_max: int = 64
    max_keep_alive_s: int = 3600
    session_expiry_max_s: int = 30 * 86_400
    queue_bytes: int = 16 << 20
    queue_total_bytes: int = 256 << 20
    retained_bytes: int = 256 << 20
    max_subscriptions: int = 10_000
    subscription_bytes: int = 8 << 20
    max_sessions: int = 50_000
    max_sessions_of_a_device: int = 256

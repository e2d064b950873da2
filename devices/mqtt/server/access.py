"""Who may do what at the door: default deny. Pure.

A device may publish below `sg/<its id>/` and on the topics granted to it, subscribe below `sg/<its id>/cmd/` and to
what is granted, and nothing else. Without credentials there is what `mqtt.anonymous_topics` lists.
"""

from dataclasses import dataclass

from devices.mqtt.topics import covers, matches, split_share
from devices.registry import Device


@dataclass(frozen=True, slots=True)
class Principal:
    """Who signed in. `device_id` is None for a client without credentials. Filters as in MQTT."""

    device_id: str | None
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    def may_publish(self, topic: str) -> bool:
        """`topic` is a valid topic name."""
        return any(matches(allowed, topic) for allowed in self.publish)

    def may_subscribe(self, topic_filter: str) -> bool:
        """`topic_filter` is a valid filter, shared or not. True if all it could match is allowed."""
        _, inner = split_share(topic_filter)
        return any(covers(allowed, inner) for allowed in self.subscribe)


def of_device(device: Device) -> Principal:
    """Returns what a device from the registry may do."""
    own = f"sg/{device.id}"
    return Principal(
        device.id,
        (f"{own}/#", *device.publish_grants),
        (f"{own}/cmd/#", *device.subscribe_grants),
    )


def anonymous(topics: tuple[str, ...]) -> Principal:
    """Returns what a client without credentials may do; `topics` is not empty."""
    return Principal(None, topics, topics)

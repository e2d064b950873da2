"""Which devices announced themselves the Home Assistant way: which topics are theirs, and what is said there.

Owned by the writer's thread. Announcements are rows of the table `announcement`; this is their index in memory.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy import delete as sql_delete

from devices.errors import DecodeError
from devices.frame import Frame
from devices.payloads.homeassistant import announcements
from devices.payloads.homeassistant.announcements import Announcement, DiscoveryTopic, Withdrawal
from devices.payloads.homeassistant.entities import (
    Availability,
    AvailabilityMode,
    Entity,
    Reads,
    decode_availability,
    decode_state_message,
    distinct,
    is_available,
)
from devices.payloads.values import StateMessage, Status
from foundation.stored import Skipped, readable
from foundation.upsert import put
from gateway.fleet.tables import announcement

MAX_ANNOUNCEMENTS = 20_000
"""More than a school can have; a peer that announces without end is refused from here on."""

Reader = Callable[[bytes], StateMessage | Status]


@dataclass(frozen=True, slots=True)
class Found:
    """A device as an announcement describes it."""

    device_id: str
    kind: str
    name: str
    place: str


@dataclass(slots=True)
class _Presence:
    """What a device's topics of availability last said, in the order in which they spoke."""

    topics: int
    mode: AvailabilityMode
    said: dict[str, bool | None] = field(default_factory=dict)


class Discovery:
    """Empty until first asked, and after `forget`."""

    def __init__(self, skipped: Skipped) -> None:
        self._skipped = skipped
        self._is_loaded = False
        self._announcements: dict[str, Announcement] = {}
        self._readers: dict[str, list[tuple[str, Reader]]] = {}

    def forget(self) -> None:
        """Drops the index; it is read again when needed."""
        self._is_loaded = False
        self._announcements.clear()
        self._readers.clear()

    def is_announcement(self, topic: str) -> bool:
        return announcements.recognise(topic) is not None

    def listens_to(self, connection: Connection, topic: str) -> bool:
        """Whether an announced device says something on the topic."""
        self._load(connection)
        return topic in self._readers

    def readers(self, topic: str) -> list[tuple[str, Reader]]:
        """Returns, for each device that speaks on the topic, its id and what reads its payloads."""
        return self._readers.get(topic, [])

    def take(self, connection: Connection, frame: Frame) -> Found | None:
        """Stores an announcement or its withdrawal; returns the announced device. Raises DecodeError."""
        self._load(connection)
        topic = _recognised(frame.topic)
        decoded = announcements.decode_config(topic, frame.payload)
        if isinstance(decoded, Withdrawal):
            connection.execute(sql_delete(announcement).where(announcement.c.topic == frame.topic))
            if self._announcements.pop(frame.topic, None) is not None:
                self._index()
            return None
        if decoded == self._announcements.get(frame.topic):
            return _found(decoded)
        if frame.topic not in self._announcements and len(self._announcements) >= MAX_ANNOUNCEMENTS:
            raise DecodeError(f"announcement: there are {MAX_ANNOUNCEMENTS} already")
        row = {
            "topic": frame.topic,
            "device_id": decoded.device_id,
            "payload": frame.payload,
            "updated_us": frame.received_us,
        }
        connection.execute(put(announcement, "topic").values(row))
        self._announcements[frame.topic] = decoded
        self._index()
        return _found(decoded)

    def _load(self, connection: Connection) -> None:
        if self._is_loaded:
            return
        self._is_loaded = True
        for topic, decoded in readable(connection, announcement, _stored, self._skipped):
            self._announcements[topic] = decoded
        self._index()

    def _index(self) -> None:
        """Several announcements make up one device; its entities are named apart over all of them."""
        self._readers.clear()
        by_device: dict[str, list[Announcement]] = {}
        for topic in sorted(self._announcements):
            found = self._announcements[topic]
            by_device.setdefault(found.device_id, []).append(found)
        for device_id, parts in by_device.items():
            by_topic: dict[str, list[Entity]] = {}
            for entity in distinct(entity for part in parts for entity in part.entities):
                if entity.unreadable is None:
                    by_topic.setdefault(entity.topic, []).append(entity)
            for topic, entities in by_topic.items():
                self._readers.setdefault(topic, []).append((device_id, _state_reader(tuple(entities))))
            availabilities = {each.topic: each for part in parts for each in part.availability}
            presence = _Presence(len(availabilities), parts[0].availability_mode)
            for topic, availability in availabilities.items():
                reader = _availability_reader(availability, presence)
                self._readers.setdefault(topic, []).append((device_id, reader))


def _stored(row: Row[Any]) -> tuple[str, Announcement]:
    decoded = announcements.decode_config(_recognised(row.topic), row.payload)
    if isinstance(decoded, Withdrawal):
        raise DecodeError("announcement: nothing is announced")
    return row.topic, decoded


def _recognised(topic: str) -> DiscoveryTopic:
    found = announcements.recognise(topic)
    if found is None:
        raise DecodeError("announcement: not a topic of discovery")
    return found


def _found(decoded: Announcement) -> Found:
    has_tag = any(entity.reads is Reads.TAG for entity in decoded.entities)
    kind = "reader" if has_tag else "sensor"
    return Found(decoded.device_id, kind, decoded.name[:128], decoded.suggested_area[:128])


def _state_reader(entities: tuple[Entity, ...]) -> Reader:
    return lambda payload: decode_state_message(entities, payload)


def _availability_reader(availability: Availability, presence: _Presence) -> Reader:
    def read(payload: bytes) -> StateMessage | Status:
        presence.said.pop(availability.topic, None)
        presence.said[availability.topic] = decode_availability(availability, payload)
        silent: Iterable[None] = [None] * (presence.topics - len(presence.said))
        is_online = is_available(presence.mode, [*silent, *presence.said.values()])
        return StateMessage() if is_online is None else Status(is_online)

    return read

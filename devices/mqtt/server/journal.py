"""What of the MQTT state goes to disk: statements by name for the writer, and reading it all back at the start."""

import json
from collections import deque
from collections.abc import Container, Iterator, Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, Select, Table, bindparam, delete, select, type_coerce, update
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.types import NullType

from devices.frame import JournalEntry
from devices.mqtt.codec.wire import NEVER_EXPIRES_S
from devices.mqtt.server.message import (
    LAST_PACKET_ID,
    Message,
    Outgoing,
    Properties,
    Subscription,
    decode_properties,
    encode_properties,
)
from devices.mqtt.server.session import Session
from devices.mqtt.server.tables import (
    mqtt_queued,
    mqtt_received,
    mqtt_retained,
    mqtt_session,
    mqtt_subscription,
    mqtt_will,
)
from devices.mqtt.server.will import WillMessage
from devices.mqtt.topics import filter_fault, name_fault
from foundation.clock import SECOND_US
from foundation.stored import Skipped, readable, stored, within
from foundation.upsert import put

ENTRY_OVERHEAD_BYTES = 256
"""About what an entry holds in memory until its commit; messages in it are counted besides."""

LAST_NUMBER: Final = 1 << 62
"""A session's order goes on from the number of its last message, and has to stay a number of the table."""

LAST_SUBSCRIPTION_ID: Final = 268_435_455
"""MQTT 5.0 §3.8.2.1.2."""

LAST_OPTIONS: Final = 11
"""Both flags, and the last way of handling retained messages."""


def _drop_all(table: Table) -> ClauseElement:
    return delete(table).where(table.c.session_key == bindparam("session_key"))


_this_message = (
    mqtt_queued.c.session_key == bindparam("of_session"),
    mqtt_queued.c.number == bindparam("of_number"),
)

STATEMENTS: Mapping[str, ClauseElement] = {
    "session_put": put(mqtt_session, "session_key"),
    "session_drop": _drop_all(mqtt_session),
    "subscriptions_drop": _drop_all(mqtt_subscription),
    "queue_drop": _drop_all(mqtt_queued),
    "received_drop_all": _drop_all(mqtt_received),
    "subscription_put": put(mqtt_subscription, "session_key", "filter"),
    "subscription_drop": delete(mqtt_subscription).where(
        mqtt_subscription.c.session_key == bindparam("session_key"),
        mqtt_subscription.c.filter == bindparam("topic_filter"),
    ),
    "queued_put": put(mqtt_queued, "session_key", "number"),
    "queued_sent": update(mqtt_queued).values(was_sent=bindparam("now")).where(*_this_message),
    "queued_released": update(mqtt_queued).values(is_released=bindparam("now")).where(*_this_message),
    "queued_drop": delete(mqtt_queued).where(*_this_message),
    "received_put": put(mqtt_received, "session_key", "packet_id"),
    "received_drop": delete(mqtt_received).where(
        mqtt_received.c.session_key == bindparam("session_key"),
        mqtt_received.c.packet_id == bindparam("packet_id"),
    ),
    "retained_put": put(mqtt_retained, "topic"),
    "retained_drop": delete(mqtt_retained).where(mqtt_retained.c.topic == bindparam("topic")),
    "will_put": put(mqtt_will, "session_key"),
    "will_drop": _drop_all(mqtt_will),
}


def put_session(session: Session) -> JournalEntry:
    return JournalEntry(
        "session_put", (session.key, session.client_id, session.user, session.expiry_s, session.ended_us)
    )


def drop_session(key: str) -> list[JournalEntry]:
    """Returns the end of a session and of all its state."""
    names = ("session_drop", "subscriptions_drop", "queue_drop", "received_drop_all")
    return [JournalEntry(name, (key,)) for name in names]


def put_subscription(key: str, entry: Subscription) -> JournalEntry:
    return JournalEntry("subscription_put", (key, entry.filter, entry.qos, entry.options, entry.subscription_id))


def drop_subscription(key: str, topic_filter: str) -> JournalEntry:
    return JournalEntry("subscription_drop", (key, topic_filter))


def put_queued(key: str, outgoing: Outgoing) -> JournalEntry:
    message = outgoing.message
    return JournalEntry(
        "queued_put",
        (
            key,
            outgoing.number,
            message.topic,
            message.payload,
            outgoing.qos,
            outgoing.is_retain,
            encode_properties(message.properties),
            json.dumps(outgoing.subscription_ids) if outgoing.subscription_ids else "[]",
            message.expires_us,
            outgoing.share,
            outgoing.was_sent,
            outgoing.is_released,
        ),
    )


def mark_sent(key: str, outgoing: Outgoing) -> JournalEntry:
    return JournalEntry("queued_sent", (True, key, outgoing.number))


def mark_released(key: str, outgoing: Outgoing) -> JournalEntry:
    return JournalEntry("queued_released", (True, key, outgoing.number))


def drop_queued(key: str, outgoing: Outgoing) -> JournalEntry:
    return JournalEntry("queued_drop", (key, outgoing.number))


def put_received(key: str, packet_id: int) -> JournalEntry:
    return JournalEntry("received_put", (key, packet_id))


def drop_received(key: str, packet_id: int) -> JournalEntry:
    return JournalEntry("received_drop", (key, packet_id))


def put_retained(message: Message) -> JournalEntry:
    return JournalEntry(
        "retained_put",
        (
            message.topic,
            message.payload,
            message.qos,
            encode_properties(message.properties),
            message.expires_us,
        ),
    )


def drop_retained(topic: str) -> JournalEntry:
    return JournalEntry("retained_drop", (topic,))


def put_will(key: str, will: WillMessage) -> JournalEntry:
    return JournalEntry(
        "will_put",
        (
            key,
            will.topic,
            will.payload,
            will.qos,
            will.is_retain,
            will.delay_s,
            will.expiry_s,
            encode_properties(will.properties),
            will.user,
        ),
    )


def drop_will(key: str) -> JournalEntry:
    return JournalEntry("will_drop", (key,))


def load_sessions(connection: Connection, now_us: int, skipped: Skipped) -> dict[str, Session]:
    """Returns every stored session, none connected; `ended_us` is None for one that was when the gateway ended.

    No session ended after `now_us`, whatever the clock said then. What cannot be read is left out.
    """
    sessions: dict[str, Session] = {}

    def session(row: Row[Any]) -> None:
        found = Session(row.session_key, row.client_id, row.user, within(row.expiry_s, 0, NEVER_EXPIRES_S))
        found.is_stored = True
        found.ended_us = min(row.ended_us, now_us) if row.ended_us is not None else None
        sessions[row.session_key] = found

    def subscription(row: Row[Any]) -> None:
        if (found := sessions.get(row.session_key)) is not None:
            found.subscribe(_subscription(row))

    def received(row: Row[Any]) -> None:
        if (found := sessions.get(row.session_key)) is not None:
            found.received.add(within(row.packet_id, 1, LAST_PACKET_ID))

    def queued(row: Row[Any]) -> None:
        if (found := sessions.get(row.session_key)) is not None:
            found.restore(_outgoing(row, now_us))

    in_order = stored(mqtt_queued).order_by(mqtt_queued.c.session_key, mqtt_queued.c.number)
    _drain(readable(connection, mqtt_session, session, skipped))
    _drain(readable(connection, mqtt_subscription, subscription, skipped))
    _drain(readable(connection, mqtt_received, received, skipped))
    _drain(readable(connection, mqtt_queued, queued, skipped, in_order))
    return sessions


def _drain(rows: Iterator[None]) -> None:
    deque(rows, maxlen=0)


def remains(connection: Connection, sessions: Container[str]) -> list[JournalEntry]:
    """Returns the end of what is stored of no session that was loaded, so that none of it comes back with the next one
    of that key."""
    keys: set[str] = set()
    for table in (mqtt_session, mqtt_subscription, mqtt_received, mqtt_queued):
        found: Select[Any] = select(type_coerce(table.c.session_key, NullType())).distinct()
        keys.update(key for key in connection.execute(found).scalars() if isinstance(key, str))
    return [entry for key in sorted(keys) if key not in sessions for entry in drop_session(key)]


def _subscription(row: Row[Any]) -> Subscription:
    fault = filter_fault(row.filter)
    if fault is not None:
        raise ValueError(fault)
    within(row.qos, 0, 2)
    within(row.options, 0, LAST_OPTIONS)
    if row.subscription_id is not None:
        within(row.subscription_id, 1, LAST_SUBSCRIPTION_ID)
    return Subscription.from_row(row.filter, row.qos, row.options, row.subscription_id)


def _outgoing(row: Row[Any], now_us: int) -> Outgoing:
    ids = msgspec.json.decode(row.subscription_ids, type=tuple[int, ...])
    return Outgoing(
        within(row.number, 1, LAST_NUMBER),
        _message(row, now_us, is_retain=bool(row.retain)),
        row.qos,
        bool(row.retain),
        tuple(within(one, 1, LAST_SUBSCRIPTION_ID) for one in ids),
        row.share,
        bool(row.was_sent),
        bool(row.is_released),
    )


def _message(row: Row[Any], now_us: int, *, is_retain: bool) -> Message:
    """No message lives longer from `now_us` on than the protocol can say."""
    expires_us = row.expires_us
    if expires_us is not None:
        expires_us = min(expires_us, now_us + NEVER_EXPIRES_S * SECOND_US)
    return Message(
        _topic(row.topic), row.payload, within(row.qos, 0, 2), is_retain, _properties(row.properties), expires_us
    )


def _topic(topic: str) -> str:
    fault = name_fault(topic)
    if fault is not None:
        raise ValueError(fault)
    return topic


def _properties(data: bytes) -> Properties:
    found = decode_properties(data)
    within(found.payload_format_indicator, 0, 1)
    return found


def load_retained(connection: Connection, now_us: int, skipped: Skipped) -> list[Message]:
    """Returns every retained message that can be read."""

    def message(row: Row[Any]) -> Message:
        return _message(row, now_us, is_retain=True)

    return list(readable(connection, mqtt_retained, message, skipped))


def load_wills(connection: Connection, skipped: Skipped) -> dict[str, WillMessage]:
    """Returns the wills that were not published when the gateway ended and that can be read, by session key."""

    def will(row: Row[Any]) -> tuple[str, WillMessage]:
        if row.expiry_s is not None:
            within(row.expiry_s, 0, NEVER_EXPIRES_S)
        return row.session_key, WillMessage(
            _topic(row.topic),
            row.payload,
            within(row.qos, 0, 2),
            bool(row.retain),
            row.user,
            within(row.delay_s, 0, NEVER_EXPIRES_S),
            row.expiry_s,
            _properties(row.properties),
        )

    return dict(readable(connection, mqtt_will, will, skipped))

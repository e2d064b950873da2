"""What of the MQTT state goes to disk: statements by name for the writer, and reading it all back at the start."""

import json
from collections.abc import Mapping

from sqlalchemy import Connection, Row, Table, bindparam, delete, select, update
from sqlalchemy.sql.elements import ClauseElement

from devices.frame import JournalEntry
from devices.mqtt.server.message import Message, Outgoing, Subscription, decode_properties, encode_properties
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
from foundation.upsert import put

ENTRY_OVERHEAD_BYTES = 256
"""About what an entry holds in memory until its commit; messages in it are counted besides."""


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


def load_sessions(connection: Connection, now_us: int) -> dict[str, Session]:
    """Returns every stored session, none connected; `ended_us` is None for one that was when the gateway ended.

    No session ended after `now_us`, whatever the clock said then.
    """
    sessions: dict[str, Session] = {}
    for row in connection.execute(select(mqtt_session)):
        session = Session(row.session_key, row.client_id, row.user, row.expiry_s)
        session.is_stored = True
        session.ended_us = min(row.ended_us, now_us) if row.ended_us is not None else None
        sessions[row.session_key] = session
    for row in connection.execute(select(mqtt_subscription)):
        if (found := sessions.get(row.session_key)) is not None:
            found.subscribe(Subscription.from_row(row.filter, row.qos, row.options, row.subscription_id))
    for row in connection.execute(select(mqtt_received)):
        if (found := sessions.get(row.session_key)) is not None:
            found.received.add(row.packet_id)
    queued = select(mqtt_queued).order_by(mqtt_queued.c.session_key, mqtt_queued.c.number)
    for row in connection.execute(queued):
        if (found := sessions.get(row.session_key)) is not None:
            found.restore(_outgoing(row))
    return sessions


def _outgoing(row: Row[tuple[object, ...]]) -> Outgoing:
    properties = decode_properties(row.properties)
    return Outgoing(
        row.number,
        Message(row.topic, row.payload, row.qos, row.retain, properties, row.expires_us),
        row.qos,
        row.retain,
        tuple(json.loads(row.subscription_ids)),
        row.share,
        row.was_sent,
        row.is_released,
    )


def load_retained(connection: Connection) -> list[Message]:
    """Returns every retained message."""
    return [
        Message(row.topic, row.payload, row.qos, True, decode_properties(row.properties), row.expires_us)
        for row in connection.execute(select(mqtt_retained))
    ]


def load_wills(connection: Connection) -> dict[str, WillMessage]:
    """Returns the wills that were not published when the gateway ended, by session key."""
    return {
        row.session_key: WillMessage(
            row.topic,
            row.payload,
            row.qos,
            row.retain,
            row.user,
            row.delay_s,
            row.expiry_s,
            decode_properties(row.properties),
        )
        for row in connection.execute(select(mqtt_will))
    }

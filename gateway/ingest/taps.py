"""Attendance: taps as they come in. Card numbers end here; what is stored is their keyed digest."""

import hashlib

import msgspec
from sqlalchemy import select

from devices.payloads.values import Tap
from foundation.clock import Clock
from foundation.upsert import put_once
from gateway.attendance.tables import tap
from gateway.committed import TapRow
from gateway.ingest.statements import Statements
from gateway.ingest.transaction import Transaction
from gateway.people import cards
from gateway.people.tables import card

OUTBOX_LANE = 0


def store_tap(
    transaction: Transaction,
    statements: Statements,
    school_key: bytes,
    device_id: str,
    event: Tap,
    received_us: int,
    at: tuple[int, Clock],
) -> bool:
    """Stores a tap and its outbox row; returns False if it was stored before. `at`: the judged time."""
    connection = transaction.connection
    at_us, clock = at
    digest = cards.digest(school_key, event.credential)
    values = {
        "event_key": event_key(device_id, event, digest),
        "device_id": device_id,
        "at_us": at_us,
        "received_us": received_us,
        "device_at_us": event.stamp_us,
        "clock": int(clock),
        "credential_digest": digest,
        "kind": event.kind,
        "direction": event.direction,
        "boot": event.boot,
        "seq": event.seq,
    }
    statement = put_once(tap).values(values).returning(tap.c.id)
    tap_id = connection.execute(statement).scalar()
    if tap_id is None:
        return False
    person_id = connection.execute(select(card.c.person_id).where(card.c.digest == digest)).scalar()
    ref = cards.ref(digest)
    row = TapRow(tap_id, device_id, at_us, received_us, clock, ref, event.kind, event.direction, person_id)
    transaction.committed.taps.append(row)
    body = {
        "id": tap_id,
        "device": device_id,
        "at_us": at_us,
        "received_us": received_us,
        "clock": clock.label,
        "credential_ref": ref,
        "direction": event.direction,
    }
    outbox_row = (OUTBOX_LANE, f"credential:{ref}", msgspec.json.encode(body), transaction.now_us)
    connection.exec_driver_sql(statements.outbox, outbox_row)
    return True


def event_key(device_id: str, event: Tap, digest: bytes) -> str | None:
    """Returns what makes a tap the same tap: its sequence number, else the event itself; None without either."""
    if event.seq is not None:
        return f"{device_id}\n{event.boot or ''}\n{event.seq}"
    if event.stamp_us is not None:
        text = f"{device_id}\n{event.stamp_us}\n{event.direction}\n".encode()
        return hashlib.sha256(text + digest).hexdigest()
    return None

"""Commands to devices: what was asked of them, and whether they answered."""

import secrets
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, select, tuple_

from foundation import rfc3339
from gateway.fleet.tables import command
from gateway.store.page import Page, page_of


@dataclass(frozen=True, slots=True)
class Command:
    """One command. Acknowledged: the device answered on its `cmd/<name>/ack` topic."""

    id: str
    device: str
    name: str
    state: Literal["sent", "acknowledged"]
    created_at: rfc3339.Moment
    acknowledged_at: rfc3339.Moment | None


def create(connection: Connection, device_id: str, name: str, payload: bytes, now_us: int) -> Command:
    """Notes a command that is about to be published; `payload` is JSON text."""
    command_id = secrets.token_hex(8)
    row = {
        "id": command_id,
        "device_id": device_id,
        "name": name,
        "payload": payload,
        "created_us": now_us,
    }
    connection.execute(insert(command).values(row))
    return Command(command_id, device_id, name, "sent", rfc3339.text(now_us), None)


def page(
    connection: Connection, device_id: str, before: tuple[int, str] | None, limit: int
) -> Page[Command, tuple[int, str]]:
    """Returns a device's commands, newest first, those before the position `before`: (created_us, id)."""
    query = (
        select(command)
        .where(command.c.device_id == device_id)
        .order_by(command.c.created_us.desc(), command.c.id.desc())
        .limit(limit + 1)
    )
    if before is not None:
        query = query.where(tuple_(command.c.created_us, command.c.id) < before)
    rows = connection.execute(query).all()
    return page_of(rows, limit, _from_row, lambda row: (row.created_us, row.id))


def _from_row(row: Row[Any]) -> Command:
    return Command(
        id=row.id,
        device=row.device_id,
        name=row.name,
        state="sent" if row.acknowledged_us is None else "acknowledged",
        created_at=rfc3339.text(row.created_us),
        acknowledged_at=rfc3339.text_or_none(row.acknowledged_us),
    )

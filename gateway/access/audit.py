"""The audit log: who did or was refused what. Never a payload, a secret, a card number or a pupil's name."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from foundation import rfc3339
from foundation.clock import MINUTE_US
from gateway.access.tables import audit
from gateway.store.page import Page, page_of

SAME_WITHIN_US: Final = MINUTE_US
LONGEST_DETAIL: Final = 1000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One row. The same actor, action and detail within a minute of `at` are one row, `count` times."""

    id: str
    at: rfc3339.Moment
    actor: str
    action: str
    detail: str
    count: int


def record(connection: Connection, actor: str, action: str, detail: str, at_us: int, count: int = 1) -> None:
    """Adds an entry, or raises the count of the same one if that is less than a minute old.

    `actor`: device:ID, key:ID, client:ADDRESS or gateway; `action`: a snake_case word.
    """
    detail = detail[:LONGEST_DETAIL]
    same = select(audit.c.id).where(
        audit.c.at_us > at_us - SAME_WITHIN_US,
        audit.c.at_us <= at_us,
        audit.c.actor == actor,
        audit.c.action == action,
        audit.c.detail == detail,
    )
    found = connection.execute(same.order_by(audit.c.id.desc()).limit(1)).scalar()
    if found is not None:
        connection.execute(update(audit).where(audit.c.id == found).values(count=audit.c.count + count))
    else:
        row = {"at_us": at_us, "actor": actor, "action": action, "detail": detail, "count": count}
        connection.execute(insert(audit).values(row))


def page(connection: Connection, before_id: int | None, limit: int) -> Page[AuditEntry, int]:
    """Returns the newest entries first, those older than `before_id`."""
    columns = (audit.c.id, audit.c.at_us, audit.c.actor, audit.c.action, audit.c.detail, audit.c.count)
    query = select(*columns).order_by(audit.c.id.desc()).limit(limit + 1)
    if before_id is not None:
        query = query.where(audit.c.id < before_id)
    return page_of(connection.execute(query).all(), limit, _from_row, lambda row: int(row.id))


def _from_row(row: Row[Any]) -> AuditEntry:
    id_, at_us, actor, action, detail, count = row
    return AuditEntry(str(id_), rfc3339.text(at_us), actor, action, detail, count)

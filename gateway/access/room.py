"""What keys and the audit log declare: their tables, how long their rows live, the file of the first key."""

from pathlib import Path
from typing import Final

from foundation.room import Room, rows_for
from gateway.access.tables import audit, idempotency, metadata
from gateway.configuration.sections import Store

ADMIN_KEY_FILE: Final = "admin.key"
IDEMPOTENCY_DAYS: Final = 1


def access_room(data: Path, kept: Store) -> Room:
    return Room(
        name="access",
        tables=(metadata,),
        lifetimes=(rows_for(kept.audit_days, audit.c.at_us), rows_for(IDEMPOTENCY_DAYS, idempotency.c.created_us)),
        files=(data / ADMIN_KEY_FILE,),
    )

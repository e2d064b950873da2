"""The admin key of a first start: in the database as a digest, and in a file that only the operator can read."""

from pathlib import Path

import structlog
from sqlalchemy import Connection, insert, select

from foundation.durable_file import write_durably
from gateway.access import keys
from gateway.access.keys import Role
from gateway.access.tables import api_key

log = structlog.get_logger("gateway")


def ensure_admin_key(connection: Connection, path: Path, now_us: int) -> None:
    """Makes sure that somebody can sign in: the key in `path` works, or a new one is written there (mode 0600).

    Where other admin keys work and the file is gone, it stays gone: the operator has put it away.
    """
    has_admin = (
        connection.execute(
            select(api_key.c.id).where(api_key.c.role == Role.ADMIN, api_key.c.revoked_us.is_(None)).limit(1)
        ).first()
        is not None
    )
    found = keys.parse(path.read_text().strip()) if path.exists() else None
    if found is not None:
        key_id, secret = found
        if connection.execute(select(api_key.c.id).where(api_key.c.id == key_id)).first() is None:
            row = {
                "id": key_id,
                "name": "first start",
                "role": Role.ADMIN,
                "scopes": "[]",
                "digest": keys.digest_of(key_id, secret),
                "created_us": now_us,
            }
            connection.execute(insert(api_key).values(row))
            log.warning("admin_key_restored", path=str(path))
        return
    if has_admin:
        return
    _, text = keys.create(connection, Role.ADMIN, now_us, name="first start")
    write_durably(path, text.encode() + b"\n")
    log.info("admin_key_written", path=str(path), hint="this file opens the console and the API; keep it safe")

"""The admin key of a first start: in the database as a digest, and in a file that only the operator can read."""

from pathlib import Path

import structlog
from sqlalchemy import Connection, delete, insert

from foundation.durable_file import write_durably
from foundation.stored import Skipped, readable, stored
from gateway.access import keys
from gateway.access.keys import Role
from gateway.access.tables import api_key

log = structlog.get_logger("gateway")


def ensure_admin_key(connection: Connection, path: Path, now_us: int, skipped: Skipped) -> None:
    """Makes sure that somebody can sign in: the key in `path` works, or a new one is written there (mode 0600).

    Where other admin keys work and the file is gone, it stays gone: the operator has put it away.
    """
    admins = stored(api_key).where(api_key.c.role == Role.ADMIN, api_key.c.revoked_us.is_(None))
    has_admin = any(readable(connection, api_key, keys.from_row, skipped, admins))
    found = _key_in(path)
    if found is not None:
        key_id, secret = found
        if not _is_stored(connection, key_id, skipped):
            connection.execute(delete(api_key).where(api_key.c.id == key_id))
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


def _key_in(path: Path) -> tuple[str, str] | None:
    """Returns the id and secret in the file; None if there is none, or what lies there is no key."""
    try:
        text = path.read_bytes().decode("ascii")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    found = keys.parse(text.strip())
    if found is None:
        log.error("admin_key_unreadable", path=str(path), hint="it is replaced if no other admin key works")
    return found


def _is_stored(connection: Connection, key_id: str, skipped: Skipped) -> bool:
    """Whether there is a key of this id that can be read, revoked or not."""
    query = stored(api_key).where(api_key.c.id == key_id)
    return any(readable(connection, api_key, keys.from_row, skipped, query))

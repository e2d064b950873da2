"""API keys: who may call the API, in which role, and what each role may do.

A key's text is `sg_<id>_<secret>` and is shown once. The secret is 256 random bits, so one keyed hash of it
is as strong as many rounds would be and a call stays cheap. The hash is keyed with the id, so that a digest
copied into another key's row opens nothing.
"""

import enum
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from foundation.errors import Conflict, Invalid, NotFound
from gateway.access.tables import api_key
from gateway.store.page import Page, page_of

_TEXT: Final = re.compile(r"sg_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)


class Role(enum.StrEnum):
    """What a key is for; what each may do stands in `PERMISSIONS`."""

    ADMIN = "admin"
    OPERATOR = "operator"
    TEACHER = "teacher"
    ISSUER = "issuer"
    VIEWER = "viewer"
    SERVICE = "service"


class Permission(enum.StrEnum):
    """One thing that a call may need; also the words of a service key's scopes."""

    DEVICES_READ = "devices:read"
    DEVICES_WRITE = "devices:write"
    READINGS_READ = "readings:read"
    TAPS_READ = "taps:read"
    PEOPLE_READ = "people:read"
    PEOPLE_WRITE = "people:write"
    ALERTS_READ = "alerts:read"
    ALERTS_WRITE = "alerts:write"
    DEAD_LETTERS_READ = "dead-letters:read"
    DEAD_LETTERS_WRITE = "dead-letters:write"
    STATUS_READ = "status:read"
    AUDIT_READ = "audit:read"
    KEYS_WRITE = "keys:write"


_SEES_NO_PEOPLE: Final = frozenset(
    {Permission.DEVICES_READ, Permission.READINGS_READ, Permission.ALERTS_READ, Permission.STATUS_READ}
)

PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.ADMIN: frozenset(Permission),
        Role.OPERATOR: _SEES_NO_PEOPLE
        | {
            Permission.DEVICES_WRITE,
            Permission.ALERTS_WRITE,
            Permission.DEAD_LETTERS_READ,
            Permission.DEAD_LETTERS_WRITE,
            Permission.AUDIT_READ,
        },
        Role.TEACHER: _SEES_NO_PEOPLE | {Permission.TAPS_READ, Permission.PEOPLE_READ, Permission.PEOPLE_WRITE},
        Role.ISSUER: frozenset({Permission.STATUS_READ, Permission.PEOPLE_READ}),
        Role.VIEWER: _SEES_NO_PEOPLE | {Permission.TAPS_READ, Permission.PEOPLE_READ},
        Role.SERVICE: frozenset(),
    }
)
"""A role's permissions. A service key has those that its scopes list instead."""


@dataclass(frozen=True, slots=True)
class Key:
    """One API key; its secret is known to its holder alone."""

    id: str
    name: str
    role: Role
    scopes: tuple[str, ...]
    digest: bytes = field(repr=False)
    created_us: int
    revoked_us: int | None

    @property
    def permissions(self) -> frozenset[Permission]:
        if self.role is Role.SERVICE:
            return frozenset(permission for permission in Permission if permission.value in self.scopes)
        return PERMISSIONS[self.role]


def parse(text: str) -> tuple[str, str] | None:
    """Returns a key's id and secret, None for what is no key's text."""
    found = _TEXT.fullmatch(text)
    return None if found is None else (found[1], found[2])


def digest_of(key_id: str, secret: str) -> bytes:
    """Returns the 32 bytes that are stored of a secret."""
    return hashlib.blake2b(secret.encode(), digest_size=32, key=key_id.encode(), person=b"schoolgate.key").digest()


def create(
    connection: Connection, role: Role, now_us: int, *, name: str = "", scopes: Sequence[str] = ()
) -> tuple[Key, str]:
    """Adds a key; returns it and its text, which is stored nowhere. Raises Invalid for wrong scopes."""
    if (role is Role.SERVICE) != bool(scopes):
        raise Invalid("a service key lists its scopes, and a key of another role has none")
    unknown = sorted(set(scopes) - {permission.value for permission in Permission})
    if unknown:
        raise Invalid(f"there is no scope {unknown[0]!r}")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = Key(key_id, name, role, tuple(dict.fromkeys(scopes)), digest_of(key_id, secret), now_us, None)
    connection.execute(
        insert(api_key).values(
            id=key.id,
            name=key.name,
            role=key.role.value,
            scopes=json.dumps(key.scopes),
            digest=key.digest,
            created_us=now_us,
        )
    )
    return key, f"sg_{key_id}_{secret}"


def find(connection: Connection, key_id: str) -> Key | None:
    """Returns the key with this id, revoked or not; None if there never was one."""
    row = connection.execute(select(api_key).where(api_key.c.id == key_id)).first()
    return None if row is None else from_row(row)


def opens(key: Key | None, key_id: str, secret: str) -> bool:
    """True if `secret` is the secret of `key` and the key is not revoked. Always takes the same time."""
    expected = bytes(32) if key is None else key.digest
    is_right = hmac.compare_digest(digest_of(key_id, secret), expected)
    return is_right and key is not None and key.revoked_us is None


def verify(connection: Connection, text: str) -> Key | None:
    """Returns the key that this text opens, None if it opens none."""
    parsed = parse(text)
    if parsed is None:
        return None
    key = find(connection, parsed[0])
    return key if opens(key, *parsed) else None


def revoke(connection: Connection, key_id: str, now_us: int) -> Key:
    """Ends a key and returns it; ending it again changes nothing.

    Raises NotFound, and Conflict for the last admin key.
    """
    key = find(connection, key_id)
    if key is None:
        raise NotFound(f"key {key_id}")
    if key.revoked_us is not None:
        return key
    if key.role is Role.ADMIN and _working_admins(connection) == 1:
        raise Conflict("this is the last admin key: create another one first")
    connection.execute(update(api_key).where(api_key.c.id == key_id).values(revoked_us=now_us))
    return key


def _working_admins(connection: Connection) -> int:
    query = select(api_key.c.id).where(api_key.c.role == Role.ADMIN.value, api_key.c.revoked_us.is_(None))
    return len(connection.execute(query).all())


def page(connection: Connection, after_id: str | None, limit: int) -> Page[Key, str]:
    """Returns the keys, revoked ones too, in order of their ids; those after `after_id`."""
    query = select(api_key).where(api_key.c.id > (after_id or "")).order_by(api_key.c.id).limit(limit + 1)
    return page_of(connection.execute(query).all(), limit, from_row, lambda row: str(row.id))


def from_row(row: Row[Any]) -> Key:
    """Returns the key that a row of the table `api_key` holds. Raises ValueError, TypeError for what is none."""
    return Key(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        scopes=tuple(json.loads(row.scopes)),
        digest=row.digest,
        created_us=row.created_us,
        revoked_us=row.revoked_us,
    )

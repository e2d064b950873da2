"""API keys: made, opened, revoked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from foundation.errors import Conflict, Invalid, NotFound
from gateway.access import keys
from gateway.access.keys import Permission, Role
from gateway.access.tables import api_key
from tests.school_database import START_US, opened


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with opened(tmp_path) as connection:
        yield connection


def test_a_key_opens_with_its_own_text(connection: Connection) -> None:
    key, text = keys.create(connection, Role.TEACHER, START_US, name="Ms Adu")
    found = keys.verify(connection, text)
    assert found == key
    assert (found.role, found.name, found.created_us) == (Role.TEACHER, "Ms Adu", START_US)


def test_the_secret_is_stored_nowhere(connection: Connection) -> None:
    key, text = keys.create(connection, Role.VIEWER, START_US)
    secret = text.removeprefix(f"sg_{key.id}_")
    row = connection.execute(select(api_key)).one()
    assert secret not in str(row)
    assert secret.encode() not in row.digest


@pytest.mark.parametrize("text", ["", "sg_", "sg_000000000000_", "Bearer x", "sg_zz_" + "a" * 43, "\x00", "sg_" * 500])
def test_what_is_no_key_opens_nothing(connection: Connection, text: str) -> None:
    assert keys.verify(connection, text) is None


def test_another_secret_opens_nothing(connection: Connection) -> None:
    key, _ = keys.create(connection, Role.ADMIN, START_US)
    assert keys.verify(connection, f"sg_{key.id}_{'A' * 43}") is None


def test_a_digest_copied_to_another_key_opens_nothing(connection: Connection) -> None:
    stolen, text = keys.create(connection, Role.VIEWER, START_US)
    admin, _ = keys.create(connection, Role.ADMIN, START_US)
    connection.execute(update(api_key).where(api_key.c.id == stolen.id).values(digest=b"gone"))
    connection.execute(update(api_key).where(api_key.c.id == admin.id).values(digest=stolen.digest))
    assert keys.verify(connection, text.replace(stolen.id, admin.id)) is None


def test_a_revoked_key_opens_nothing_and_revoking_again_changes_nothing(connection: Connection) -> None:
    key, text = keys.create(connection, Role.VIEWER, START_US)
    keys.revoke(connection, key.id, START_US + 1)
    keys.revoke(connection, key.id, START_US + 2)
    assert keys.verify(connection, text) is None
    found = keys.find(connection, key.id)
    assert found is not None
    assert found.revoked_us == START_US + 1


def test_the_last_admin_key_cannot_be_revoked(connection: Connection) -> None:
    first, _ = keys.create(connection, Role.ADMIN, START_US)
    second, _ = keys.create(connection, Role.ADMIN, START_US)
    keys.revoke(connection, first.id, START_US)
    with pytest.raises(Conflict, match="last admin key"):
        keys.revoke(connection, second.id, START_US)


def test_revoking_what_never_was_says_so(connection: Connection) -> None:
    with pytest.raises(NotFound, match="key 000000000000"):
        keys.revoke(connection, "000000000000", START_US)


def test_a_service_key_may_do_what_its_scopes_list_and_nothing_else(connection: Connection) -> None:
    _, text = keys.create(connection, Role.SERVICE, START_US, scopes=["readings:read", "devices:read"])
    found = keys.verify(connection, text)
    assert found is not None
    assert found.permissions == {Permission.READINGS_READ, Permission.DEVICES_READ}


@pytest.mark.parametrize(
    ("role", "scopes"), [(Role.SERVICE, []), (Role.ADMIN, ["readings:read"]), (Role.SERVICE, ["x"])]
)
def test_scopes_that_do_not_fit_are_refused(connection: Connection, role: Role, scopes: list[str]) -> None:
    with pytest.raises(Invalid):
        keys.create(connection, role, START_US, scopes=scopes)


def test_only_admins_and_services_may_touch_keys() -> None:
    may = {role for role in Role if Permission.KEYS_WRITE in keys.PERMISSIONS[role]}
    assert may == {Role.ADMIN}


def test_an_operator_sees_no_people() -> None:
    seen = keys.PERMISSIONS[Role.OPERATOR]
    assert not seen & {Permission.TAPS_READ, Permission.PEOPLE_READ, Permission.PEOPLE_WRITE}


def test_keys_are_listed_page_by_page(connection: Connection) -> None:
    made = sorted(keys.create(connection, Role.VIEWER, START_US)[0].id for _ in range(5))
    first = keys.page(connection, None, 3)
    second = keys.page(connection, first.next, 3)
    assert [key.id for key in (*first.items, *second.items)] == made
    assert second.next is None

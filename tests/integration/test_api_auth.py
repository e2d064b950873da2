"""Who is let in, and who may do what."""

import socket
from collections.abc import Callable

import httpx
import pytest

from gateway.access.keys import PERMISSIONS, Permission, Role
from tests.gateway_process import GatewayProcess
from tests.integration.school_devices import wait_for

READS = {
    "devices": Permission.DEVICES_READ,
    "readings": Permission.READINGS_READ,
    "readings/latest": Permission.READINGS_READ,
    "taps": Permission.TAPS_READ,
    "people": Permission.PEOPLE_READ,
    "groups": Permission.PEOPLE_READ,
    "alerts": Permission.ALERTS_READ,
    "rules": Permission.ALERTS_READ,
    "dead-letters": Permission.DEAD_LETTERS_READ,
    "status": Permission.STATUS_READ,
    "audit": Permission.AUDIT_READ,
    "keys": Permission.KEYS_WRITE,
}
WRITES = {
    "devices/nobody": Permission.DEVICES_WRITE,
    "people/0000000000000000": Permission.PEOPLE_WRITE,
    "rules/nothing": Permission.ALERTS_WRITE,
    "dead-letters/999999": Permission.DEAD_LETTERS_WRITE,
    "keys/000000000000": Permission.KEYS_WRITE,
}

NewKey = Callable[..., tuple[str, str]]


@pytest.fixture
def new_key(school: GatewayProcess) -> NewKey:
    """Makes a key; returns its id and text."""

    def make(role: str, **more: object) -> tuple[str, str]:
        with school.api() as admin:
            answer = admin.post("keys", json={"role": role, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], answer.json()["key"]

    return make


def call(school: GatewayProcess, path: str, key: str | None, method: str = "GET") -> httpx.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.request(method, f"{school.http_url}/api/v1/{path}", headers=headers, timeout=120, trust_env=False)


@pytest.mark.parametrize("path", [*READS, "live"])
def test_nobody_is_let_in_without_a_key(school: GatewayProcess, path: str) -> None:
    answer = call(school, path, None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("scheme", ["Bearer", "Basic", "bearer sg_000000000000_", "Bearer sg_x", "Bearer \u00e9"])
def test_what_is_no_key_lets_nobody_in(school: GatewayProcess, scheme: str) -> None:
    with school.api() as client:
        answer = client.get("status", headers={b"Authorization": scheme.encode("latin-1")})
    assert answer.status_code == 401


def test_a_wrong_secret_is_told_apart_from_no_key(school: GatewayProcess, new_key: NewKey) -> None:
    key_id, _ = new_key("viewer")
    answer = call(school, "status", f"sg_{key_id}_{'A' * 43}")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SERVICE])
def test_a_role_may_do_what_its_permissions_say_and_nothing_else(
    school: GatewayProcess, new_key: NewKey, role: Role
) -> None:
    _, key = new_key(role.value)
    for path, needed in READS.items():
        assert (path, call(school, path, key).status_code) == (path, 200 if needed in PERMISSIONS[role] else 403)
    for path, needed in WRITES.items():
        status = call(school, path, key, "DELETE").status_code
        assert (path, status) == (path, 404 if needed in PERMISSIONS[role] else 403)


def test_a_service_key_may_do_what_its_scopes_list(school: GatewayProcess, new_key: NewKey) -> None:
    _, key = new_key("service", scopes=["readings:read"])
    assert call(school, "readings", key).status_code == 200
    assert call(school, "devices", key).status_code == 403
    with school.api() as admin:
        assert admin.post("keys", json={"role": "service"}).status_code == 422
        assert admin.post("keys", json={"role": "viewer", "scopes": ["readings:read"]}).status_code == 422
        assert admin.post("keys", json={"role": "service", "scopes": ["everything"]}).status_code == 400


def test_a_key_revoked_through_the_api_is_refused_at_once(school: GatewayProcess, new_key: NewKey) -> None:
    key_id, key = new_key("viewer")
    assert call(school, "status", key).status_code == 200
    with school.api() as admin:
        assert admin.delete(f"keys/{key_id}").status_code == 204
    assert call(school, "status", key).status_code == 401


def test_a_key_revoked_by_the_command_line_is_refused_soon(school: GatewayProcess, new_key: NewKey) -> None:
    key_id, key = new_key("viewer")
    assert call(school, "status", key).status_code == 200
    assert school.command("keys", "revoke", key_id).returncode == 0
    wait_for(lambda: call(school, "status", key).status_code == 401)


def test_revoking_a_key_ends_what_is_streamed_to_it(school: GatewayProcess, new_key: NewKey) -> None:
    key_id, key = new_key("viewer")
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.stream("GET", f"{school.http_url}/api/v1/live", headers=headers, timeout=120, trust_env=False) as live:
        lines = live.iter_lines()
        assert next(lines).startswith("retry:")
        with school.api() as admin:
            admin.delete(f"keys/{key_id}")
        for _ in lines:
            pass  # until the gateway ends the stream


def test_the_last_admin_key_stays(school: GatewayProcess) -> None:
    with school.api() as admin:
        admins = [key for key in admin.get("keys", params={"limit": 1000}).json()["items"] if key["role"] == "admin"]
        working = [key["id"] for key in admins if key["revoked_at"] is None]
        own = school.admin_key.split("_")[1]
        for other in working:
            if other != own:
                assert admin.delete(f"keys/{other}").status_code == 204
        answer = admin.delete(f"keys/{own}")
    assert answer.status_code == 409
    assert "last admin key" in answer.json()["detail"]


def test_refusals_are_audited_and_counted_without_the_key(school: GatewayProcess, new_key: NewKey) -> None:
    key_id, key = new_key("teacher")
    for _ in range(5):
        assert call(school, "audit", key).status_code == 403
        assert call(school, "audit", "sg_aaaaaaaaaaaa_" + "B" * 43).status_code == 401

    def entries() -> list[dict[str, object]]:
        with school.api() as admin:
            found = admin.get("audit", params={"limit": 1000}).json()["items"]
        return [one for one in found if one["detail"].endswith("GET /api/v1/audit needs audit:read")]

    def all_counted() -> list[dict[str, object]]:
        return [one for one in entries() if one["actor"] == f"key:{key_id}" and one["count"] == 5]

    (entry,) = wait_for(all_counted)
    assert entry["action"] == "call_refused"
    with school.api() as admin:
        log = admin.get("audit", params={"limit": 1000}).text
        metrics = httpx.get(f"{school.http_url}/metrics", trust_env=False).text
    assert "a key that opens nothing: GET /api/v1/audit" in log
    assert "BBBB" not in log
    assert key.split("_", 2)[2] not in log
    assert 'schoolgate_http_refused_total{action="sign_in_failed"}' in metrics


def test_who_has_no_key_is_answered_before_the_body_is_read(school: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", school.http_port), timeout=120) as line:
        line.sendall(
            b"POST /api/v1/people HTTP/1.1\r\nHost: school\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000\r\n\r\n" + b'{"name": "'
        )
        assert line.recv(4096).startswith(b"HTTP/1.1 401")

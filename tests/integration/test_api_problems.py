"""Every error is a problem (RFC 9457), whatever was sent."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway_process import GatewayProcess

MIB = 1 << 20


@pytest.fixture
def api(school: GatewayProcess) -> Iterator[httpx.Client]:
    with school.api() as client:
        yield client


def problem(answer: httpx.Response) -> dict[str, object]:
    """Returns the problem, after checking that it is one."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) <= {"type", "title", "status", "detail", "errors"}
    assert body["status"] == answer.status_code
    assert body["title"]
    assert body["detail"]
    return dict(body)


@pytest.mark.parametrize("path", ["nothing", "devices/", "devices/a/b/c", "people/0000000000000000/cards/x/y", "../x"])
def test_what_is_not_there_is_a_404(api: httpx.Client, path: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, problem(answer)["title"]) == (404, "Not Found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "devices", "GET, POST"),
        ("POST", "devices/lab-1", "DELETE, GET, PATCH"),
        ("GET", "devices/lab-1/adopt", "POST"),
        ("DELETE", "readings", "GET"),
        ("TRACE", "status", "GET"),
        ("OPTIONS", "people", "GET, POST"),
    ],
)
def test_a_method_that_is_not_for_a_path_is_a_405_that_lists_those_that_are(
    api: httpx.Client, method: str, path: str, allowed: str
) -> None:
    answer = api.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    problem(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name": "A",}',
        b"{'name': 'A'}",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": "\\ud800"}',
        b'{"name": "\xff"}',
        b'\xef\xbb\xbf{"name": "A"}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"name": 1e999}',
        b"\x00",
        b"null",
        b'"name"',
        b"5",
        b'{"name": ["A"]}',
        b'{"name": {"first": "A"}}',
        b'{"name": true}',
        b'{"name": "a\\u0000b"}',
    ],
)
def test_a_body_that_is_no_person_is_a_400(api: httpx.Client, body: bytes) -> None:
    answer = api.post("people", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    problem(answer)


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "x", ""])
def test_a_body_of_another_type_is_a_415(api: httpx.Client, media_type: str) -> None:
    answer = api.post("people", content=b'{"name": "A"}', headers={"Content-Type": media_type})
    assert answer.status_code == 415
    problem(answer)


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
def test_a_body_of_the_right_type_is_taken(api: httpx.Client, media_type: str) -> None:
    assert api.post("people", content=b'{"name": "A"}', headers={"Content-Type": media_type}).status_code == 201


def test_a_body_that_is_announced_too_long_is_a_413_without_being_read(school: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", school.http_port), timeout=120) as line:
        line.sendall(
            b"POST /api/v1/people HTTP/1.1\r\nHost: school\r\nAuthorization: Bearer "
            + school.admin_key.encode()
            + b"\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n"
        )
        answer = line.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"application/problem+json" in answer


def test_a_body_that_turns_out_too_long_is_a_413(api: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"name": "'
        for _ in range(20):
            yield b"x" * (MIB // 16)

    answer = api.post("people", content=chunks(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    problem(answer)


def test_a_body_of_just_under_a_mebibyte_is_read(api: httpx.Client) -> None:
    body = json.dumps({"name": "A"}).encode()
    padded = body + b" " * (MIB - len(body))
    assert api.post("people", content=padded, headers={"Content-Type": "application/json"}).status_code == 201
    assert api.post("people", content=padded + b" ", headers={"Content-Type": "application/json"}).status_code == 413


def test_a_problem_names_each_wrong_field_and_repeats_no_value(api: httpx.Client) -> None:
    answer = api.post("people", json={"name": "secret\u0000name", "group": 5, "nickname": "hidden"})
    body = problem(answer)
    assert answer.status_code == 400
    faults = body["errors"]
    assert isinstance(faults, list)
    assert {fault["field"] for fault in faults} == {"body.name", "body.group", "body.nickname"}
    assert "secret" not in answer.text
    assert "hidden" not in answer.text


def test_answers_may_not_be_cached_framed_or_guessed_at(api: httpx.Client) -> None:
    for answer in (api.get("status"), api.get("nothing"), api.put("devices")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "server" not in answer.headers


def test_no_request_so_far_was_the_gateways_mistake(school: GatewayProcess) -> None:
    metrics = httpx.get(f"{school.http_url}/metrics", trust_env=False).text
    assert 'status="400"' in metrics
    assert 'status="500"' not in metrics
    assert "request_failed" not in school.log_tail()

"""`Idempotency-Key`: the same request twice is carried out once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from gateway.store.database import FILE_NAME
from tests.gateway_process import GatewayProcess


@pytest.fixture
def api(school: GatewayProcess) -> Iterator[httpx.Client]:
    with school.api() as client:
        yield client


def word(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


def test_the_same_request_gets_the_same_answer_and_creates_once(api: httpx.Client) -> None:
    first = api.post("people", json={"name": "Ada", "group": "once"}, headers=word("people-1"))
    second = api.post("people", json={"name": "Ada", "group": "once"}, headers=word("people-1"))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert len(api.get("people", params={"group": "once"}).json()["items"]) == 1


def test_another_request_with_the_same_word_is_refused(api: httpx.Client) -> None:
    api.post("people", json={"name": "Ada"}, headers=word("people-2"))
    assert api.post("people", json={"name": "Bob"}, headers=word("people-2")).status_code == 422
    assert api.post("keys", json={"role": "viewer"}, headers=word("people-2")).status_code == 422


def test_a_request_that_failed_may_be_sent_again(school: GatewayProcess, api: httpx.Client) -> None:
    school.add_device("again-1")
    assert api.post("devices", json={"id": "again-1", "kind": "x"}, headers=word("devices-1")).status_code == 409
    assert api.post("devices", json={"id": "again-2", "kind": "x"}, headers=word("devices-1")).status_code == 201


def test_two_callers_words_do_not_meet(school: GatewayProcess, api: httpx.Client) -> None:
    other_key = api.post("keys", json={"role": "teacher"}).json()["key"]
    mine = api.post("people", json={"name": "Ada"}, headers=word("people-3")).json()
    other = httpx.post(
        f"{school.http_url}/api/v1/people",
        json={"name": "Ada"},
        headers=word("people-3") | {"Authorization": f"Bearer {other_key}"},
        trust_env=False,
    )
    assert other.status_code == 201
    assert other.json()["id"] != mine["id"]


def test_a_repeated_answer_holds_the_secret_and_the_database_does_not(
    school: GatewayProcess, api: httpx.Client
) -> None:
    device = {"id": "secret-1", "kind": "sensor"}
    first = api.post("devices", json=device, headers=word("devices-2")).json()
    assert api.post("devices", json=device, headers=word("devices-2")).json() == first
    made = api.post("keys", json={"role": "viewer"}, headers=word("keys-1")).json()
    assert api.post("keys", json={"role": "viewer"}, headers=word("keys-1")).json() == made
    files = [school.data / FILE_NAME, school.data / f"{FILE_NAME}-wal"]
    content = b"".join(file.read_bytes() for file in files if file.exists())
    assert b"secret-1" in content
    assert first["secret"].encode() not in content
    assert made["key"].split("_", 2)[2].encode() not in content


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("people", {"name": "At once"}),
        ("rules", {"kind": "silence", "name": "At once", "after_s": 900}),
        ("keys", {"role": "viewer", "name": "At once"}),
    ],
)
def test_many_at_once_create_one(school: GatewayProcess, api: httpx.Client, path: str, body: dict[str, object]) -> None:
    def send(_: int) -> httpx.Response:
        with school.api() as client:
            return client.post(path, json=body, headers=word(f"{path}-at-once"))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(16)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    listed = api.get(path, params={"limit": 1000}).json()["items"]
    assert [one["name"] for one in listed].count("At once") == 1


def test_a_command_is_sent_once(school: GatewayProcess, api: httpx.Client) -> None:
    school.add_device("lamp-1")
    for _ in range(3):
        answer = api.post("devices/lamp-1/commands", json={"name": "led"}, headers=word("commands-1"))
        assert answer.status_code == 201
    assert len(api.get("devices/lamp-1/commands").json()["items"]) == 1


def test_a_card_is_given_once(api: httpx.Client) -> None:
    person = api.post("people", json={"name": "Eve"}).json()["id"]
    body = {"credential": "0401020304", "kind": "uid"}
    first, second = (api.post(f"people/{person}/cards", json=body, headers=word("cards-1")) for _ in range(2))
    assert first.content == second.content


def test_the_answer_survives_a_restart(gateway: GatewayProcess) -> None:
    def send() -> bytes:
        with gateway.api() as client:
            return client.post("people", json={"name": "Ada"}, headers=word("people-1")).content

    before = send()
    gateway.restart()
    assert send() == before


@pytest.mark.parametrize("text", ["", "x" * 201, "a b", "\u00e9"])
def test_a_word_that_cannot_be_is_refused(api: httpx.Client, text: str) -> None:
    headers = {b"Idempotency-Key": text.encode("latin-1")}
    assert api.post("people", json={"name": "Ada"}, headers=headers).status_code == 400

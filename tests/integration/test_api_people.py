"""People, cards and taps through the API."""

from collections.abc import Iterator

import httpx
import pytest

from gateway.store.database import FILE_NAME
from tests.gateway_process import GatewayProcess
from tests.integration.school_devices import connected, publish

NOBODY = "0" * 16


@pytest.fixture
def api(school: GatewayProcess) -> Iterator[httpx.Client]:
    with school.api() as client:
        yield client


def test_a_person_is_added_changed_and_removed(api: httpx.Client) -> None:
    ada = api.post("people", json={"name": "Ada Lovelace", "group": "7b"}).json()
    assert (ada["name"], ada["group"], ada["cards"]) == ("Ada Lovelace", "7b", [])
    assert api.get(f"people/{ada['id']}").json() == ada
    assert api.patch(f"people/{ada['id']}", json={"name": "Ada"}).json() == ada | {"name": "Ada"}
    assert api.patch(f"people/{ada['id']}", json={"group": None}).json() == ada | {"name": "Ada", "group": None}
    assert api.delete(f"people/{ada['id']}").status_code == 204
    assert api.get(f"people/{ada['id']}").status_code == 404
    assert api.delete(f"people/{ada['id']}").status_code == 404


def test_people_and_groups_are_listed_by_name(api: httpx.Client) -> None:
    for name, group in (("Zoë", "list-a"), ("Bob", "list-b"), ("Ann", "list-a")):
        api.post("people", json={"name": name, "group": group})
    assert [one["name"] for one in api.get("people", params={"group": "list-a"}).json()["items"]] == ["Ann", "Zoë"]
    groups, after = [], None
    while True:
        page = api.get("groups", params={"limit": 1} | ({"after": after} if after else {})).json()
        groups += page["items"]
        after = page["next"]
        if after is None:
            break
    assert {"name": "list-a", "people": 2} in groups
    assert {"name": "list-b", "people": 1} in groups
    first = api.get("people", params={"limit": 1}).json()
    second = api.get("people", params={"limit": 1, "after": first["next"]}).json()
    assert first["items"][0]["name"] <= second["items"][0]["name"]
    assert first["items"][0]["id"] != second["items"][0]["id"]


def test_taps_show_who_holds_the_card_however_it_is_spelled(school: GatewayProcess, api: httpx.Client) -> None:
    secret = school.add_device("door-1", "reader")
    ada = api.post("people", json={"name": "Ada", "group": "7b"}).json()
    card = api.post(f"people/{ada['id']}/cards", json={"credential": "04:a1:b2:c3", "kind": "uid"})
    assert card.status_code == 201
    with connected(school, "door-1", secret) as client:
        publish(client, "sg/door-1/tap", {"credential": "04A1B2C3", "kind": "uid", "direction": "in"})
    (tap,) = api.get("taps", params={"person": ada["id"]}).json()["items"]
    assert tap["person"] == {"id": ada["id"], "name": "Ada", "group": "7b"}
    assert (tap["device"], tap["direction"], tap["kind"]) == ("door-1", "in", "uid")
    assert tap["credential_ref"] == card.json()["ref"]
    assert api.get("taps", params={"device": "door-1"}).json()["items"] == [tap]
    assert api.get("taps", params={"device": "door-2"}).json()["items"] == []
    assert api.get("taps", params={"from": tap["at"]}).json()["items"][-1] == tap
    assert tap not in api.get("taps", params={"to": tap["at"]}).json()["items"]


def test_a_card_that_was_tapped_before_anybody_had_it_is_given_by_its_ref(
    school: GatewayProcess, api: httpx.Client
) -> None:
    secret = school.add_device("door-3", "reader")
    with connected(school, "door-3", secret) as client:
        publish(client, "sg/door-3/tap", {"credential": "0499887766", "kind": "uid"})
    (before,) = api.get("taps", params={"device": "door-3"}).json()["items"]
    assert before["person"] is None
    bob = api.post("people", json={"name": "Bob"}).json()
    body = {"ref": before["credential_ref"], "kind": before["kind"]}
    assert api.post(f"people/{bob['id']}/cards", json=body).status_code == 201
    (after,) = api.get("taps", params={"device": "door-3"}).json()["items"]
    assert after["person"] == {"id": bob["id"], "name": "Bob", "group": None}
    assert api.post(f"people/{bob['id']}/cards", json={"ref": "f" * 16, "kind": "uid"}).status_code == 404


def test_a_card_has_one_holder_and_can_be_taken_away(api: httpx.Client) -> None:
    one, other = (api.post("people", json={"name": name}).json()["id"] for name in ("One", "Other"))
    body = {"credential": "https://school.example/id/4711", "kind": "qr"}
    ref = api.post(f"people/{one}/cards", json=body).json()["ref"]
    assert api.post(f"people/{other}/cards", json=body).status_code == 409
    assert api.delete(f"people/{other}/cards/{ref}").status_code == 404
    assert api.delete(f"people/{one}/cards/{ref}").status_code == 204
    assert api.post(f"people/{other}/cards", json=body).status_code == 201
    assert api.get(f"people/{other}").json()["cards"] == [{"ref": ref, "kind": "qr"}]


def test_card_numbers_are_not_in_the_database(school: GatewayProcess, api: httpx.Client) -> None:
    person = api.post("people", json={"name": "Cy"}).json()["id"]
    api.post(f"people/{person}/cards", json={"credential": "04DEADBEEF0815", "kind": "uid"})
    files = [school.data / FILE_NAME, school.data / f"{FILE_NAME}-wal"]
    content = b"".join(file.read_bytes() for file in files if file.exists())
    assert b"Cy" in content
    assert b"DEADBEEF0815" not in content
    assert "DEADBEEF0815" not in school.log_tail()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": ""}, 400),
        ({"name": "x" * 201}, 400),
        ({"name": "a\u0000b"}, 400),
        ({"name": None}, 400),
        ({"name": "A", "group": ""}, 400),
        ({"name": "A", "age": 12}, 400),
        ({}, 400),
    ],
)
def test_a_person_that_cannot_be_is_refused(api: httpx.Client, body: object, status: int) -> None:
    assert api.post("people", json=body).status_code == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"credential": "", "kind": "uid"}, 400),
        ({"credential": ":-: ", "kind": "uid"}, 422),
        ({"credential": "04A1B2C3", "kind": "rfid"}, 400),
        ({"credential": "x" * 257, "kind": "qr"}, 400),
        ({"ref": "xyz", "kind": "uid"}, 400),
        ({"credential": "04A1B2C3", "ref": "0" * 16, "kind": "uid"}, 400),
        ({"kind": "uid"}, 400),
    ],
)
def test_a_card_that_cannot_be_is_refused(api: httpx.Client, body: object, status: int) -> None:
    person = api.post("people", json={"name": "Di"}).json()["id"]
    assert api.post(f"people/{person}/cards", json=body).status_code == status
    assert api.get(f"people/{person}").json()["cards"] == []


def test_nobody_cannot_be_given_a_card(api: httpx.Client) -> None:
    assert api.post(f"people/{NOBODY}/cards", json={"credential": "04A1B2C3D4", "kind": "uid"}).status_code == 404

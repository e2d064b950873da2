"""Devices through the API, as the devices themselves notice it."""

import json
import queue

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.gateway_process import GatewayProcess
from tests.integration.school_devices import connected, publish, wait_for


def sign_in_code(school: GatewayProcess, device_id: str, secret: str) -> str:
    """Returns the reason code that a sign-in gets."""
    codes: queue.Queue[str] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, f"{device_id}-try", protocol=mqtt.MQTTv5)
    client.on_connect = lambda *arguments: codes.put(str(arguments[3]))
    client.username_pw_set(device_id, secret)
    client.connect("127.0.0.1", school.mqtt_port)
    client.loop_start()
    try:
        return codes.get(timeout=120)
    finally:
        client.disconnect()
        client.loop_stop()


def test_an_added_device_may_talk_at_once(school: GatewayProcess) -> None:
    secret = school.add_device("added-1", "sensor", name="Lab", place="1.03")
    with connected(school, "added-1", secret) as client:
        publish(client, "sg/added-1/telemetry", {"values": {"temperature_c": 21.5}})
        with school.api() as api:
            device = wait_for(lambda: api.get("devices/added-1").json()["online"] and api.get("devices/added-1").json())
    assert {key: device[key] for key in ("id", "kind", "name", "place", "state", "format", "kept_frames")} == {
        "id": "added-1",
        "kind": "sensor",
        "name": "Lab",
        "place": "1.03",
        "state": "active",
        "format": "native",
        "kept_frames": 0,
    }
    assert device["last_seen_at"] is not None


def test_a_device_is_added_once(school: GatewayProcess) -> None:
    school.add_device("once-1")
    with school.api() as api:
        answer = api.post("devices", json={"id": "once-1", "kind": "sensor"})
    assert (answer.status_code, answer.json()["detail"]) == (409, "device once-1 exists already")


def test_a_change_leaves_what_is_not_given(school: GatewayProcess) -> None:
    school.add_device("changed-1", "sensor", name="Lab", place="1.03")
    with school.api() as api:
        changed = api.patch("devices/changed-1", json={"place": "", "kind": "meter"}).json()
        assert (changed["name"], changed["place"], changed["kind"]) == ("Lab", "", "meter")
        assert api.get("devices/changed-1").json() == changed
        assert api.patch("devices/changed-1", json={}).json() == changed
        assert api.patch("devices/nobody-1", json={}).status_code == 404


def test_a_revoked_device_may_not_sign_in_until_it_has_a_new_secret(school: GatewayProcess) -> None:
    secret = school.add_device("revoked-1")
    assert sign_in_code(school, "revoked-1", secret) == "Success"
    with school.api() as api:
        assert api.delete("devices/revoked-1").status_code == 204
        assert api.get("devices/revoked-1").json()["state"] == "revoked"
        assert sign_in_code(school, "revoked-1", secret) != "Success"
        assert api.post("devices/revoked-1/adopt").status_code == 409
        assert api.post("devices/revoked-1/commands", json={"name": "led"}).status_code == 409
        renewed = api.post("devices/revoked-1/secret").json()
    assert renewed["id"] == "revoked-1"
    assert sign_in_code(school, "revoked-1", secret) != "Success"
    assert sign_in_code(school, "revoked-1", renewed["secret"]) == "Success"


def test_devices_are_listed_by_state_page_by_page(school: GatewayProcess) -> None:
    for number in range(3):
        school.add_device(f"listed-{number}")
    with school.api() as api:
        api.delete("devices/listed-1")
        first = api.get("devices", params={"limit": 1000, "state": "revoked"}).json()["items"]
        assert "listed-1" in [device["id"] for device in first]
        found, after = [], None
        while True:
            page = api.get("devices", params={"limit": 2} | ({"after": after} if after else {})).json()
            found += [device["id"] for device in page["items"]]
            after = page["next"]
            if after is None:
                break
    assert found == sorted(found)
    assert {"listed-0", "listed-1", "listed-2"} <= set(found)


def test_adopting_stores_what_was_kept(school: GatewayProcess) -> None:
    secret = school.add_device("hub-1", "hub", publish=["sg/#"])
    with connected(school, "hub-1", secret) as hub:
        for number in range(3):
            publish(hub, "sg/new-1/telemetry", {"values": {"temperature_c": 20 + number}})
    with school.api() as api:
        seen = api.get("devices/new-1").json()
        assert (seen["state"], seen["kept_frames"]) == ("seen", 3)
        assert api.get("readings", params={"device": "new-1"}).json()["items"] == []
        adoption = api.post("devices/new-1/adopt", json={"kind": "sensor", "name": "Hall"}).json()
        assert adoption["replayed"] == 3
        device = adoption["device"]
        assert (device["state"], device["name"], device["kept_frames"]) == ("active", "Hall", 0)
        readings = api.get("readings", params={"device": "new-1"}).json()["items"]
        assert [one["value"] for one in readings] == [20, 21, 22]
        assert api.post("devices/new-1/adopt").json()["replayed"] == 0
        assert api.post("devices/nobody-1/adopt").status_code == 404


def test_a_command_reaches_its_device_and_is_listed(school: GatewayProcess) -> None:
    secret = school.add_device("lamp-1", "lamp")
    received: queue.Queue[tuple[str, bytes | bytearray]] = queue.Queue()
    with connected(school, "lamp-1", secret) as client:
        client.on_message = lambda _client, _data, message: received.put((message.topic, message.payload))
        subscribed: queue.Queue[bool] = queue.Queue()
        client.on_subscribe = lambda *_: subscribed.put(item=True)
        client.subscribe("sg/lamp-1/cmd/#", qos=1)
        subscribed.get(timeout=120)
        with school.api() as api:
            sent = api.post("devices/lamp-1/commands", json={"name": "led", "payload": {"on": True}})
            assert sent.status_code == 201
            topic, payload = received.get(timeout=120)
            assert (topic, json.loads(payload)) == ("sg/lamp-1/cmd/led", {"on": True})
            listed = api.get("devices/lamp-1/commands").json()["items"]
    assert listed == [sent.json()]
    assert (listed[0]["device"], listed[0]["name"], listed[0]["state"]) == ("lamp-1", "led", "sent")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": "ok-1", "kind": "sensor", "publish": ["a/#/b"]}, 422),
        ({"id": "ok-1", "kind": "sensor", "subscribe": ["a+"]}, 422),
        ({"id": "ok-1", "kind": "sensor", "publish": ["a\u0000"]}, 400),
        ({"id": "ok-1", "kind": "sensor", "publish": ["x"] * 101}, 400),
        ({"id": "not ok", "kind": "sensor"}, 400),
        ({"id": "x" * 65, "kind": "sensor"}, 400),
        ({"id": "ok-1", "kind": "Sensor"}, 400),
        ({"id": "ok-1"}, 400),
        ({"id": "ok-1", "kind": "sensor", "name": "a\nb"}, 400),
        ({"id": "ok-1", "kind": "sensor", "colour": "red"}, 400),
        ({"id": 5, "kind": "sensor"}, 400),
        ([], 400),
    ],
)
def test_a_device_that_cannot_be_is_refused(school: GatewayProcess, body: object, status: int) -> None:
    with school.api() as api:
        assert api.post("devices", json=body).status_code == status
        assert api.get("devices/ok-1").status_code == 404


def test_dead_letters_are_shown_replayed_and_deleted(school: GatewayProcess) -> None:
    secret = school.add_device("garbled-1")
    with connected(school, "garbled-1", secret) as client:
        publish(client, "sg/garbled-1/telemetry", b"\xff{not json")
    with school.api() as api:
        (letter,) = api.get("dead-letters", params={"device": "garbled-1"}).json()["items"]
        assert (letter["payload"], letter["size"], letter["topic"]) == ("\\xff{not json", 10, "sg/garbled-1/telemetry")
        assert api.get(f"dead-letters/{letter['id']}").json() == letter
        replayed = api.post(f"dead-letters/{letter['id']}/replay").json()
        assert replayed["replayed"] is False
        assert replayed["reason"]
        (again,) = api.get("dead-letters", params={"device": "garbled-1"}).json()["items"]
        assert api.delete(f"dead-letters/{again['id']}").status_code == 204
        assert api.delete(f"dead-letters/{again['id']}").status_code == 404
        assert api.post(f"dead-letters/{again['id']}/replay").status_code == 404


def test_what_was_done_is_in_the_audit_log(school: GatewayProcess) -> None:
    school.add_device("audited-1")
    with school.api() as api:
        api.delete("devices/audited-1")
        entries = api.get("audit", params={"limit": 1000}).json()["items"]
    done = [entry["action"] for entry in entries if entry["detail"] == "audited-1"]
    assert done == ["device_revoked", "device_added"]

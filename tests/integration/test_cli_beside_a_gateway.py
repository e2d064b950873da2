"""The commands beside a running gateway, on the same data directory."""

import json
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.gateway_process import GatewayProcess

WITHIN_S = 120.0


def comes_true(question: Callable[[], bool]) -> bool:
    """Asks until the answer is yes, for a while."""
    deadline = time.monotonic() + WITHIN_S
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def signs_in(gateway: GatewayProcess, device_id: str, secret: str) -> bool:
    """Whether the MQTT door lets the device in."""
    answers: list[bool] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=device_id)
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(not reason.is_failure)
    client.username_pw_set(device_id, secret)
    client.connect("127.0.0.1", gateway.mqtt_port)
    while not answers and client.loop(timeout=1) == mqtt.MQTT_ERR_SUCCESS:
        pass
    client.disconnect()
    client.loop(timeout=0.1)
    return answers == [True]


def test_a_device_added_beside_the_gateway_signs_in_and_a_revoked_one_does_not(gateway: GatewayProcess) -> None:
    added = gateway.command("devices", "add", "lab-7", "--kind", "sensor", "--json")
    assert (added.returncode, added.stderr) == (0, "")
    secret = json.loads(added.stdout)["secret"]
    assert comes_true(lambda: signs_in(gateway, "lab-7", secret))
    assert not signs_in(gateway, "lab-7", "wrong")
    listed = json.loads(gateway.command("devices", "list", "--json").stdout)["items"]
    assert [device["id"] for device in listed] == ["lab-7"]
    assert gateway.command("devices", "revoke", "lab-7").returncode == 0
    assert comes_true(lambda: not signs_in(gateway, "lab-7", secret))


def test_a_key_created_beside_the_gateway_opens_the_api_until_it_is_revoked(gateway: GatewayProcess) -> None:
    created = json.loads(gateway.command("keys", "create", "--role", "viewer", "--json").stdout)
    headers = {"Authorization": f"Bearer {created['key']}"}

    def status() -> int:
        return httpx.get(f"{gateway.http_url}/api/v1/devices", headers=headers, trust_env=False).status_code

    assert comes_true(lambda: status() == 200)
    assert gateway.command("keys", "revoke", created["id"]).returncode == 0
    assert comes_true(lambda: status() == 401)


def test_a_device_added_through_the_api_is_there_after_a_power_cut(gateway: GatewayProcess) -> None:
    secret = gateway.add_device("lab-7", "sensor", place="Room 7")
    gateway.kill9()
    gateway.start()
    assert signs_in(gateway, "lab-7", secret)
    listed = json.loads(gateway.command("devices", "list", "--json").stdout)["items"]
    assert [(device["id"], device["place"]) for device in listed] == [("lab-7", "Room 7")]


def test_the_doctor_knows_the_running_gateway_and_the_store_is_sound(gateway: GatewayProcess) -> None:
    findings = json.loads(gateway.command("doctor", "--json").stdout)["findings"]
    by_subject = {finding["subject"]: finding for finding in findings}
    for door in ("mqtt", "http"):
        assert by_subject[f"port {door}"]["verdict"] == "good"
        assert f"running gateway, process {gateway.pid}" in by_subject[f"port {door}"]["text"]
    assert by_subject["database"]["verdict"] == "good"
    assert gateway.command("verify-store").returncode == 0


def test_the_first_start_makes_an_admin_key_and_certificates_that_serve(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data", {"https.enabled": "true", "mqtts.enabled": "true"}) as gateway:
        assert (gateway.data / "admin.key").stat().st_mode & 0o777 == 0o600
        trust = ssl.create_default_context(cafile=str(next(gateway.data.glob("*/ca.pem"))))
        headers = {"Authorization": f"Bearer {gateway.admin_key}"}
        url = f"https://localhost:{gateway.https_port}/api/v1/status"
        assert httpx.get(url, headers=headers, verify=trust, trust_env=False).status_code == 200
        with socket.create_connection(("127.0.0.1", gateway.mqtts_port), timeout=120) as plain:
            trust.wrap_socket(plain, server_hostname="localhost").close()


def test_a_port_that_is_taken_ends_run_with_an_explanation(gateway: GatewayProcess, tmp_path: Path) -> None:
    second = GatewayProcess(tmp_path / "second", {"http.port": str(gateway.http_port)})
    ended = second.command("run")
    assert ended.returncode in (1, 2)
    assert str(gateway.http_port) in ended.stderr
    assert "Traceback" not in ended.stderr

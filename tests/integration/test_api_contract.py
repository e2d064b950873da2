"""The API does what its OpenAPI document says, whatever is sent: schemathesis against the running program."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.gateway_process import GatewayProcess
from tests.integration.school_devices import connected, publish, wait_for

PROGRAM = Path(sys.executable).with_name("schemathesis")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


def fill(school: GatewayProcess) -> None:
    """Leaves something of everything in the gateway, so that the fuzzer finds more than empty lists."""
    secret = school.add_device("lab-1", "sensor", publish=["sg/#"])
    with school.api() as api:
        rule = {"kind": "threshold", "name": "Hot", "measurement": "temperature_c", "above": 30, "clear": 28}
        api.post("rules", json=rule)
        person = api.post("people", json={"name": "Ada", "group": "7b"}).json()["id"]
        api.post(f"people/{person}/cards", json={"credential": "04A1B2C3", "kind": "uid"})
        api.post("devices/lab-1/commands", json={"name": "led"})
        with connected(school, "lab-1", secret) as client:
            for number in range(20):
                publish(client, "sg/lab-1/telemetry", {"values": {"temperature_c": 20 + number}})
                publish(client, "sg/lab-1/tap", {"credential": f"04A1B2C{number % 10}", "kind": "uid"})
                publish(client, "sg/seen-1/telemetry", {"values": {"temperature_c": number}})
                publish(client, "sg/lab-1/telemetry", bytes([number]) * 40)
        wait_for(lambda: api.get("alerts").json()["items"])


@pytest.mark.timeout(900)
def test_a_contract_fuzzer_finds_nothing(school: GatewayProcess, tmp_path: Path) -> None:
    fill(school)
    run = subprocess.run(
        [
            PROGRAM,
            f"--config-file={CONFIGURATION}",
            "run",
            f"{school.http_url}/api/v1/openapi.json",
            f"--header=Authorization: Bearer {school.admin_key}",
            "--max-examples=15",
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-5_000:]
    print(run.stdout[-1_000:])
    metrics = httpx.get(f"{school.http_url}/metrics", trust_env=False).text
    assert 'status="500"' not in metrics
    assert "request_failed" not in school.log_tail()
    wait_for(lambda: httpx.get(f"{school.http_url}/readyz", trust_env=False).status_code == 200)

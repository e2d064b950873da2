"""The MQTT door and the npm package mqtt, in both versions of the protocol."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway_process import GatewayProcess
from tests.integration.open_door import open_door
from tests.integration.paho_client import PahoClient

NODE = Path(sys.executable).with_name("node")
FOLDER = Path(__file__).with_name("npm")
both_versions = pytest.mark.parametrize("version", ["4", "5"], ids=["v311", "v5"])


def node(door: GatewayProcess, version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NODE, *arguments],
        cwd=FOLDER,
        env=os.environ | {"DOOR_URL": f"mqtt://127.0.0.1:{door.mqtt_port}", "DOOR_VERSION": version},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@both_versions
def test_the_npm_client_agrees(door: GatewayProcess, version: str) -> None:
    answer = node(door, version, "--test", "--test-reporter=spec", "--test-force-exit", "door.test.mjs")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "fail 0" in answer.stdout


def test_its_session_survives_kill_9(tmp_path: Path) -> None:
    with open_door(tmp_path / "data") as door:
        for version in ("4", "5"):
            left = node(door, version, "absence.mjs", "leave")
            assert left.returncode == 0, left.stderr
            with PahoClient(door.mqtt_port, "sender") as sender:
                for number in range(20):
                    sender.publish("npm/absent", b"%d" % number, 1)
            door.kill9()
            door.start()
            back = node(door, version, "absence.mjs", "return", "20")
            assert back.returncode == 0, back.stderr
            said = json.loads(back.stdout)
            assert said == {"isPresent": True, "payloads": [str(number) for number in range(20)]}
            with PahoClient(door.mqtt_port, "npm-absent"):
                pass  # a clean start ends the session, for the other version

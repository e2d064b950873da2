"""Mosquitto as a bridge client of the gateway's door, with the bridge's own defaults."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.gateway_process import GatewayProcess
from tests.mosquitto_process import MosquittoProcess

WITHIN_S = 120.0
both_versions = pytest.mark.parametrize("version", ["mqttv311", "mqttv50"])


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("bridged") / "data") as gateway:
        yield gateway


@contextmanager
def bridged(door: GatewayProcess, directory: Path, version: str, *grants: str) -> Iterator[MosquittoProcess]:
    """A Mosquitto that hands `rooms/#` on in both directions, and says how it is in the place that is its default."""
    user = f"broker-{time.monotonic_ns()}"
    rights = ["rooms/#", *grants]
    secret = door.add_device(user, "bridge", publish=rights, subscribe=rights)
    settings = {
        "connection": "school",
        "address": f"127.0.0.1:{door.mqtt_port}",
        "bridge_protocol_version": version,
        "remote_clientid": f"{user}.school",
        "remote_username": user,
        "remote_password": secret,
        "restart_timeout": "1",
        "topic": "rooms/# both 1",
    }
    with MosquittoProcess(directory, settings) as mosquitto:
        yield mosquitto
        mosquitto.kill()  # one that has been a bridge was seen not to end at SIGTERM


class Client:
    """Mosquitto's command line clients at a port. `line` returns the next message to `rooms/#`."""

    def __init__(self, port: int, *sign_in: str) -> None:
        self._address = ["-h", "127.0.0.1", "-p", str(port), *sign_in]
        self._process = subprocess.Popen(
            ["stdbuf", "-oL", "mosquitto_sub", "-d", *self._address, "-q", "1", "-t", "rooms/#", "-F", "%t %r %p"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.debug: list[str] = []
        self._read(lambda line: line.startswith("Subscribed "))

    def _read(self, is_wanted: Callable[[str], bool]) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if is_wanted(line):
                return line.rstrip("\n")
            self.debug.append(line)
        raise AssertionError("".join(self.debug))

    def line(self) -> str:
        return self._read(lambda line: line.startswith("rooms/"))

    def publish(self, topic: str, payload: str, *more: str) -> None:
        command = ["mosquitto_pub", *self._address, "-q", "1", "-t", topic, "-m", payload, *more]
        subprocess.run(command, check=True, capture_output=True, timeout=WITHIN_S)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(WITHIN_S)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def clients(door: GatewayProcess, mosquitto: MosquittoProcess) -> Iterator[tuple[Client, Client]]:
    """One of the school at the gateway, one at the other broker."""
    user = f"school-{time.monotonic_ns()}"
    secret = door.add_device(user, "sensor", publish=["rooms/#"], subscribe=["rooms/#"])
    here = Client(door.mqtt_port, "-u", user, "-P", secret)
    there = Client(mosquitto.port)
    try:
        yield here, there
    finally:
        here.close()
        there.close()


def wait_for_the_bridge(door: GatewayProcess, before: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while connects(door) <= before:
        assert time.monotonic() < deadline, "the bridge is not connected"
        time.sleep(0.05)


def total(door: GatewayProcess, name: str) -> int:
    with door.api() as client:
        text = client.get(f"{door.http_url}/metrics").text
    found = [line for line in text.splitlines() if line.startswith(f"schoolgate_{name}_total ")]
    return int(float(found[0].split()[1]))


def connects(door: GatewayProcess) -> int:
    return total(door, "mqtt_connects")


@both_versions
def test_a_bridge_with_its_own_defaults_hands_messages_on_in_both_directions_and_none_comes_back(
    door: GatewayProcess, tmp_path: Path, version: str
) -> None:
    before, refused = connects(door), total(door, "mqtt_refused_topics")
    with bridged(door, tmp_path, version) as mosquitto:
        wait_for_the_bridge(door, before)
        with clients(door, mosquitto) as (here, there):
            there.publish("rooms/1", "from there")
            assert here.line() == there.line() == "rooms/1 0 from there"
            here.publish("rooms/2", "from here")
            assert here.line() == there.line() == "rooms/2 0 from here"
            there.publish("rooms/3", "the end")
            assert here.line() == there.line() == "rooms/3 0 the end"
    assert total(door, "mqtt_refused_topics") >= refused + 2  # its will, and what it says of itself


def test_a_bridge_says_how_it_is_where_that_is_granted(door: GatewayProcess, tmp_path: Path) -> None:
    states = "$SYS/broker/connection/#"
    before, refused = connects(door), total(door, "mqtt_refused_topics")
    watcher = door.add_device("watcher", "sensor", publish=[], subscribe=[states])
    command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(door.mqtt_port), "-u", "watcher", "-P", watcher]
    command += ["-t", states, "-F", "%p", "-C", "2"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
        bridged(door, tmp_path, "mqttv311", states) as mosquitto,
    ):
        wait_for_the_bridge(door, before + 1)
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        mosquitto.kill()
        mosquitto.start()
        assert process.stdout.readline() == "0\n"
    assert total(door, "mqtt_refused_topics") == refused

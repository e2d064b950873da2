"""The MQTT door and Mosquitto's command line clients, in both versions of the protocol."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from tests.gateway_process import GatewayProcess
from tests.integration.open_door import open_door

both_versions = pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
numbers = count(1)
WITHIN_S = 120.0


@pytest.fixture
def topic() -> str:
    """A topic that no other test uses."""
    return f"mosquitto/{next(numbers)}"


def _address(door: GatewayProcess) -> list[str]:
    return ["-h", "127.0.0.1", "-p", str(door.mqtt_port)]


def pub(
    door: GatewayProcess, version: str, *arguments: str, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["mosquitto_pub", "-V", version, *_address(door), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


class Subscriber:
    """A running mosquitto_sub that has its SUBACK."""

    def __init__(self, door: GatewayProcess, version: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "mosquitto_sub", "-d", "-V", version, *_address(door), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.debug: list[str] = []

    def line(self) -> str:
        """Returns the next line that is a message and not the client's own talk."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if not line.startswith(("Client ", "Subscribed ")):
                return line.rstrip("\n")
            self.debug.append(line)
        raise AssertionError("".join(self.debug))

    def wait_for(self, word: str) -> None:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            self.debug.append(line)
            if word in line:
                return
        raise AssertionError("".join(self.debug))

    def rest(self) -> list[str]:
        """Waits until the client ends by itself and returns the messages that it said."""
        output, _ = self.process.communicate(timeout=WITHIN_S)
        lines: list[str] = output.splitlines()
        return [line for line in lines if not line.startswith(("Client ", "Subscribed "))]


@contextmanager
def subscribed(door: GatewayProcess, version: str, *arguments: str) -> Iterator[Subscriber]:
    subscriber = Subscriber(door, version, *arguments)
    try:
        subscriber.wait_for("Subscribed ")
        yield subscriber
    finally:
        if subscriber.process.poll() is None:
            subscriber.process.terminate()
        subscriber.process.wait(WITHIN_S)
        assert subscriber.process.stdout is not None
        subscriber.process.stdout.close()


@pytest.mark.parametrize("qos", ["0", "1", "2"])
@both_versions
def test_a_message_of_each_qos_arrives(door: GatewayProcess, topic: str, version: str, qos: str) -> None:
    with subscribed(door, version, "-t", f"{topic}/+", "-q", qos, "-F", "%t %q %r %p") as subscriber:
        assert pub(door, version, "-t", f"{topic}/a", "-q", qos, "-m", "hello").returncode == 0
        assert subscriber.line() == f"{topic}/a {qos} 0 hello"


@pytest.mark.parametrize("qos", ["1", "2"])
@both_versions
def test_two_thousand_lines_arrive_in_order(door: GatewayProcess, topic: str, version: str, qos: str) -> None:
    lines = [str(number) for number in range(2000)]
    with subscribed(door, version, "-t", topic, "-q", qos, "-C", "2000") as subscriber:
        assert pub(door, version, "-t", topic, "-q", qos, "-l", text="\n".join(lines) + "\n").returncode == 0
        assert subscriber.rest() == lines


@both_versions
def test_an_empty_message_and_a_large_one_arrive(door: GatewayProcess, topic: str, version: str) -> None:
    with subscribed(door, version, "-t", topic, "-q", "1", "-F", "%l") as subscriber:
        assert pub(door, version, "-t", topic, "-q", "1", "-n").returncode == 0
        assert pub(door, version, "-t", topic, "-q", "1", "-s", text="x" * 500_000).returncode == 0
        assert [subscriber.line(), subscriber.line()] == ["0", "500000"]


@both_versions
def test_retained_messages_come_and_go(door: GatewayProcess, topic: str, version: str) -> None:
    for name in ("a", "b"):
        assert pub(door, version, "-t", f"{topic}/{name}", "-q", "1", "-r", "-m", name).returncode == 0
    with subscribed(door, version, "-t", f"{topic}/#", "-F", "%t %r %p") as subscriber:
        assert {subscriber.line(), subscriber.line()} == {f"{topic}/a 1 a", f"{topic}/b 1 b"}
    assert pub(door, version, "-t", f"{topic}/a", "-q", "1", "-r", "-n").returncode == 0
    with subscribed(door, version, "-t", f"{topic}/#", "-F", "%t %r %p") as subscriber:
        assert subscriber.line() == f"{topic}/b 1 b"
        pub(door, version, "-t", f"{topic}/end", "-m", "end")
        assert subscriber.line() == f"{topic}/end 0 end"


@both_versions
def test_a_will_tells_that_a_client_was_killed(door: GatewayProcess, topic: str, version: str) -> None:
    will = ["--will-topic", f"{topic}/will", "--will-payload", "gone", "--will-qos", "1", "--will-retain"]
    with subscribed(door, version, "-t", f"{topic}/will", "-q", "1", "-F", "%p %r") as watcher:
        with subscribed(door, version, "-t", topic, *will) as dying:
            dying.process.kill()
        assert watcher.line() == "gone 0"
    with subscribed(door, version, "-t", f"{topic}/will", "-F", "%p %r") as late:
        assert late.line() == "gone 1"


@both_versions
def test_a_kept_session_gets_what_came_meanwhile(door: GatewayProcess, topic: str, version: str) -> None:
    kept = ["-i", f"kept-{version}", "-c", "-t", topic, "-q", "2"] + (["-x", "600"] if version == "mqttv5" else [])
    with subscribed(door, version, *kept):
        pass
    lines = [str(number) for number in range(50)]
    for qos in ("1", "2"):
        assert pub(door, version, "-t", topic, "-q", qos, "-l", text="\n".join(lines) + "\n").returncode == 0
    got = Subscriber(door, version, *kept, "-C", "100", "-F", "%q %p").rest()
    assert [line for line in got if line.startswith("1")] == [f"1 {line}" for line in lines]
    assert [line for line in got if line.startswith("2")] == [f"2 {line}" for line in lines]


@both_versions
def test_a_shared_subscription_parts_the_work(door: GatewayProcess, topic: str, version: str) -> None:
    shared = ["-t", f"$share/workers/{topic}", "-q", "1", "-C", "50"]
    with subscribed(door, version, *shared) as one, subscribed(door, version, *shared) as two:
        lines = [str(number) for number in range(100)]
        assert pub(door, version, "-t", topic, "-q", "1", "-l", text="\n".join(lines) + "\n").returncode == 0
        got = [*one.rest(), *two.rest()]
    assert sorted(got, key=int) == lines


def test_properties_are_passed_on_as_json_shows_them(door: GatewayProcess, topic: str) -> None:
    told = [
        ["content-type", "text/plain"],
        ["response-topic", "answers"],
        ["correlation-data", "7"],
        ["payload-format-indicator", "1"],
        ["message-expiry-interval", "100"],
        ["user-property", "b", "2"],
        ["user-property", "a", "1"],
    ]
    arguments = [word for entry in told for word in ("-D", "publish", *entry)]
    with subscribed(door, "mqttv5", "-t", topic, "-q", "1", "-D", "subscribe", "subscription-identifier", "9",
                    "-F", "%j") as subscriber:  # fmt: skip
        assert pub(door, "mqttv5", "-t", topic, "-q", "1", "-m", "x", *arguments).returncode == 0
        message = json.loads(subscriber.line())
    assert message["topic"] == topic
    properties = message["properties"]
    assert properties["content-type"] == "text/plain"
    assert properties["response-topic"] == "answers"
    assert properties["correlation-data"] == "7"
    assert properties["message-expiry-interval"] in (99, 100)
    assert str(properties["subscription-identifier"]) in ("9", "[9]")


def test_topic_aliases_of_mosquitto_pub_are_understood(door: GatewayProcess, topic: str) -> None:
    with subscribed(door, "mqttv5", "-t", topic, "-q", "1", "-C", "3") as subscriber:
        answer = pub(
            door, "mqttv5", "-t", topic, "-q", "1", "-l", "-D", "publish", "topic-alias", "3", text="1\n2\n3\n"
        )
        assert answer.returncode == 0
        assert subscriber.rest() == ["1", "2", "3"]


@both_versions
def test_a_device_signs_in_with_its_secret(door: GatewayProcess, version: str) -> None:
    device = f"reader-{version}"
    secret = door.add_device(device)
    telemetry = ["-t", f"sg/{device}/telemetry", "-q", "1", "-m", '{"values": {"temperature_c": 21.5}}']
    assert pub(door, version, "-u", device, "-P", secret, *telemetry).returncode == 0
    with door.api() as api:
        deadline = time.monotonic() + WITHIN_S
        while not (items := api.get("readings", params={"device": device}).json()["items"]):
            assert time.monotonic() < deadline
    assert [(item["measurement"], item["value"]) for item in items] == [("temperature_c", 21.5)]
    refused = pub(door, version, "-u", device, "-P", "wrong", *telemetry)
    assert refused.returncode != 0
    assert "bad user name or password" in refused.stderr.lower()


def test_it_all_works_over_tls_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("tls") / "data"
    with open_door(data, mqtts_enabled="true") as door:
        where = ["-h", "localhost", "-p", str(door.mqtts_port), "--cafile", str(data / "tls" / "ca.pem")]
        with subscribed(door, "mqttv5", *where, "-t", "t", "-q", "1") as subscriber:
            assert pub(door, "mqttv5", *where, "-t", "t", "-q", "1", "-m", "secret").returncode == 0
            assert subscriber.line() == "secret"

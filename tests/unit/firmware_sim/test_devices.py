"""What simulated devices say and keep, how they announce themselves, and how they go wrong."""

import io
import json
import random
from pathlib import Path

import pytest

from firmware_sim import discovery, messages, rules
from firmware_sim.building import Kind
from firmware_sim.enrolment import of_school, save_secrets, saved_secrets
from firmware_sim.errors import SimError
from firmware_sim.faults import TEN_YEARS_MS, WrongClock, garbage
from firmware_sim.outbox import IN_FLIGHT, Outbox, Outgoing
from firmware_sim.report import Report
from firmware_sim.school import School, Tap

NOW_MS = 1_763_874_000_000


def test_telemetry_and_taps_are_as_the_contract_has_them() -> None:
    topic, payload = messages.telemetry("air-001", NOW_MS, "boot", 7, {"co2_ppm": 612})
    assert topic == "sg/air-001/telemetry"
    assert json.loads(payload) == {"at": NOW_MS, "boot": "boot", "seq": 7, "values": {"co2_ppm": 612}}
    topic, payload = messages.tap("reader-001", NOW_MS, "boot", 8, Tap(0.0, "reader-001", "04AA", "uid", None))
    assert topic == "sg/reader-001/tap"
    assert json.loads(payload) == {
        "at": NOW_MS,
        "boot": "boot",
        "seq": 8,
        "credential": "04AA",
        "kind": "uid",
        "direction": None,
    }


@pytest.mark.parametrize(
    ("name", "payload", "is_good"),
    [("identify", b'{"s": 3}', True), ("identify", b"", True), ("explode", b"1", False), ("identify", b"{", False)],
)
def test_a_command_is_answered_on_its_ack_topic(name: str, payload: bytes, is_good: bool) -> None:
    topic, answer = messages.answer(f"sg/d/cmd/{name}", payload, NOW_MS, frozenset({"identify"}))
    assert topic == f"sg/d/cmd/{name}/ack"
    assert json.loads(answer)["ok"] is is_good
    assert json.loads(answer)["name"] == name


def test_an_outbox_keeps_the_order_and_lets_only_so_many_on_the_wire() -> None:
    outbox = Outbox()
    for number in range(IN_FLIGHT + 5):
        outbox.keep(Outgoing(f"t/{number}", b""))
    topics = []
    while (message := outbox.next()) is not None:
        topics.append(message.topic)
        outbox.sent(len(topics))
    assert topics == [f"t/{number}" for number in range(IN_FLIGHT)]
    assert outbox.acknowledge(1)
    assert not outbox.acknowledge(1)
    message = outbox.next()
    assert message is not None
    assert message.topic == f"t/{IN_FLIGHT}"
    assert (len(outbox), outbox.acknowledged, outbox.dropped) == (IN_FLIGHT + 4, 1, 0)


def test_a_full_outbox_drops_the_oldest_and_counts_it() -> None:
    outbox = Outbox(capacity=3)
    for number in range(5):
        outbox.keep(Outgoing(f"t/{number}", b""))
    first = outbox.next()
    assert first is not None
    assert (first.topic, outbox.dropped, len(outbox)) == ("t/2", 2, 3)


def test_announcements_are_home_assistant_configurations_plain_and_abbreviated() -> None:
    configurations = {topic: json.loads(payload) for topic, payload in discovery.announcements()}
    assert all(topic.startswith("homeassistant/") and topic.endswith("/config") for topic in configurations)
    states = {device.state_topic for device in discovery.DEVICES}
    for config in configurations.values():
        assert config.get("state_topic") in states or (config["stat_t"] == "~" and config["~"] in states)
    assert {"~" in config for config in configurations.values()} == {True, False}


def test_a_state_has_every_value_that_was_announced() -> None:
    for device in discovery.DEVICES:
        topic, payload = discovery.state(device, random.Random(1))
        assert topic == device.state_topic
        assert {entity.key for entity in device.entities} <= json.loads(payload).keys()


def test_the_bridge_is_granted_what_it_publishes() -> None:
    bridge = next(device for device in of_school(School(1).devices) if device.id == discovery.BRIDGE_ID)
    prefixes = tuple(grant.removesuffix("#") for grant in bridge.publish)
    topics = [topic for topic, _ in discovery.announcements()] + [device.state_topic for device in discovery.DEVICES]
    assert all(topic.startswith(prefixes) for topic in topics)


@pytest.mark.parametrize("clock", WrongClock)
def test_a_wrong_clock_is_wrong(clock: WrongClock) -> None:
    started = NOW_MS - 60_000
    shown = clock.stamp(NOW_MS, started)
    assert abs(shown - NOW_MS) > 100_000
    if clock is WrongClock.BACKWARDS:
        assert clock.stamp(NOW_MS + 1000, started) < shown
    if clock is WrongClock.TEN_YEARS_AHEAD:
        assert shown - NOW_MS == TEN_YEARS_MS


def test_garbage_is_of_many_kinds_and_never_a_good_message() -> None:
    rng = random.Random(1)
    things = [garbage(rng) for _ in range(500)]
    assert len({thing.title for thing in things}) >= 15
    for thing in things:
        try:
            decoded = json.loads(thing.payload)
        except (ValueError, RecursionError):
            continue
        assert thing.suffix != "telemetry" or not (
            isinstance(decoded, dict)
            and isinstance(decoded.get("values"), dict)
            and list(decoded["values"].values()) == [21.5]
        )


def test_rules_wait_shorter_when_the_day_runs_faster() -> None:
    slow = {rule.name: rules.as_json(rule) for rule in rules.for_speed(1)}
    fast = {rule.name: rules.as_json(rule) for rule in rules.for_speed(60)}
    assert slow.keys() == fast.keys()
    silence = "A card reader is silent"
    assert (slow[silence]["after_s"], fast[silence]["after_s"]) == (600, 10)
    co2 = next(body for body in slow.values() if body.get("measurement") == "co2_ppm")
    assert (co2["device_kind"], co2["above"], co2["kind"]) == (Kind.AIR.value, 1000, "threshold")


def test_secrets_are_kept_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "below" / "secrets.json"
    assert saved_secrets(path) == {}
    save_secrets(path, {"air-001": "s"})
    assert saved_secrets(path) == {"air-001": "s"}
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"devices": 3}'])
def test_a_damaged_file_of_secrets_says_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(text)
    with pytest.raises(SimError, match="delete it"):
        saved_secrets(path)


def test_a_report_prints_lines_or_json_and_not_a_hundred_faults_a_second() -> None:
    out = io.StringIO()
    report = Report(is_json=True, out=out, err=io.StringIO())
    report.event("bell", "08:00  lesson 1", at="08:00")
    assert json.loads(out.getvalue()) == {"event": "bell", "text": "08:00  lesson 1", "at": "08:00"}
    out = io.StringIO()
    report = Report(is_json=False, out=out, err=io.StringIO())
    for number in range(500):
        report.fault(f"fault {number}")
    assert out.getvalue().startswith("fault 0\n")
    assert len(out.getvalue().splitlines()) < 100

"""The simulated school against a real broker and a real gateway: the fleet, its faults, the load generator."""

import asyncio
import collections
import io
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from firmware_sim import packets
from firmware_sim.api_client import ApiClient
from firmware_sim.building import Kind
from firmware_sim.day import DayOrder, SchoolDay
from firmware_sim.discovery import BRIDGE_ID, DEVICES
from firmware_sim.enrolment import enrol_devices, enrol_people, enrol_rules, of_school
from firmware_sim.errors import Refusal, SimError, UsageError
from firmware_sim.faults import FaultOrders
from firmware_sim.load import LoadSpec, run_load
from firmware_sim.report import Report
from firmware_sim.rules import for_speed
from firmware_sim.school import School, SchoolClock
from firmware_sim.steady import SteadySpec, run_steady
from firmware_sim.steady_publisher import STAMP
from firmware_sim.timetable import at
from firmware_sim.wire import Credential
from tests.gateway_process import GatewayProcess, environment, free_ports
from tests.mosquitto_process import MosquittoProcess

BIN = Path(sys.executable).parent
DEMO = Path(__file__).parents[2] / "scripts" / "demo.py"
WITHIN_S = 120.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MosquittoProcess]:
    settings = {"max_queued_messages": "1000"}  # 0, no limit, makes 2.0.11 hang up on QoS 2 beyond its inflight limit
    with MosquittoProcess(tmp_path / "mosquitto", settings, is_persistent=False) as running:
        yield running


class Listener:
    """A subscriber to everything, on a thread of its own; remembers what came."""

    def __init__(self, port: int) -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        self._is_subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"listener-{random.getrandbits(32):x}")
        self._client.on_connect = lambda client, *rest: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *rest: self._is_subscribed.set()
        self._client.on_message = lambda client, userdata, message: self.messages.append(message)
        self._client.connect("127.0.0.1", port)

    def __enter__(self) -> "Listener":
        self._client.loop_start()
        assert self._is_subscribed.wait(WITHIN_S)
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def of(self, end: str) -> list[tuple[str, bytes]]:
        """Device id and payload of all messages on `sg/<device>/<end>`."""
        return [
            (message.topic.split("/")[1], message.payload)
            for message in list(self.messages)
            if message.topic.startswith("sg/") and message.topic.split("/", 2)[2] == end
        ]

    def numbered(self) -> dict[tuple[str, str], list[int]]:
        """The sequence numbers as they came, for each device and boot. Garbage has none."""
        seen: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
        for message in list(self.messages):
            device, _, end = message.topic.removeprefix("sg/").partition("/")
            if end not in ("telemetry", "tap"):
                continue
            try:
                body = json.loads(message.payload)
                seen[device, str(body["boot"])].append(int(body["seq"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
        return seen

    def publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, 1)


def wait_for(condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def small_day(
    port: int,
    *,
    duration_s: float,
    faults: FaultOrders | None = None,
    start: str = "07:45",
    speed: float = 60,
    has_incidents: bool = False,
    out: io.StringIO | None = None,
) -> SchoolDay:
    school = School(seed=1)
    school.sensors = [sensor for sensor in school.sensors if sensor.id.endswith("-001")]
    order = DayOrder(
        host="127.0.0.1",
        port=port,
        credentials=[Credential(device.id) for device in of_school(school.devices)],
        clock=SchoolClock(speed, at(start), at("16:15")),
        faults=faults or FaultOrders(),
        duration_s=duration_s,
        has_incidents=has_incidents,
    )
    return SchoolDay(school, order, Report(is_json=True, out=out or io.StringIO(), err=io.StringIO()))


async def test_a_school_day_arrives_whole_and_in_order(broker: MosquittoProcess) -> None:
    with Listener(broker.port) as listener:
        day = small_day(broker.port, duration_s=6, start="07:55", speed=120)
        state = await day.play()
        wait_for(lambda: len(listener.of("status")) >= 2 * state.devices)
        assert state.acknowledged == state.sent
        assert state.waiting == state.dropped == state.refused == 0
        numbered = listener.numbered()
        assert {device for device, _ in numbered} >= {"air-001", "reader-001", "freezer-001"}
        assert all(numbers == list(range(len(numbers))) for numbers in numbered.values())
        taps = [json.loads(payload) for _, payload in listener.of("tap")]
        assert taps
        assert {tap["kind"] for tap in taps} <= {"uid", "nfc", "qr"}
        now_ms = time.time() * 1000
        assert all(abs(now_ms - tap["at"]) < 60_000 for tap in taps)


async def test_devices_say_online_and_take_leave_with_offline(broker: MosquittoProcess) -> None:
    day = small_day(broker.port, duration_s=0.5)
    state = await day.play()
    with Listener(broker.port) as late:
        wait_for(lambda: len(late.of("status")) >= state.devices)
        assert {payload for _, payload in late.of("status")} == {b"offline"}
        assert all(message.retain for message in late.messages)


async def test_devices_nobody_knows_announce_themselves_retained(broker: MosquittoProcess) -> None:
    await small_day(broker.port, duration_s=0.5).play()
    entities = sum(len(device.entities) for device in DEVICES)
    with Listener(broker.port) as late:
        wait_for(lambda: sum(m.topic.startswith("homeassistant/") for m in late.messages) >= entities)


async def test_a_command_is_answered(broker: MosquittoProcess) -> None:
    with Listener(broker.port) as listener:
        day = asyncio.ensure_future(small_day(broker.port, duration_s=4).play())
        await asyncio.to_thread(wait_for, lambda: ("air-001", b"online") in listener.of("status"))
        listener.publish("sg/air-001/cmd/identify", b'{"s":3}')
        listener.publish("sg/door-001/cmd/explode", b"{}")
        await asyncio.to_thread(
            wait_for, lambda: bool(listener.of("cmd/identify/ack") and listener.of("cmd/explode/ack"))
        )
        assert json.loads(listener.of("cmd/identify/ack")[0][1])["payload"] == {"s": 3}
        assert json.loads(listener.of("cmd/explode/ack")[0][1])["ok"] is False
        assert (await day).commands == 2


async def test_a_line_that_drops_in_mid_packet_loses_nothing(broker: MosquittoProcess) -> None:
    out = io.StringIO()
    with Listener(broker.port) as listener:
        faults = FaultOrders(drops_per_min=300)
        state = await small_day(broker.port, duration_s=5, faults=faults, out=out).play()
        wait_for(lambda: sum(payload == b"offline" for _, payload in listener.of("status")) >= state.devices)
        assert state.connections > state.devices
        assert "closed its socket after" in out.getvalue()
        for numbers in listener.numbered().values():
            assert sorted(set(numbers)) == list(range(len(set(numbers))))


async def test_a_reader_whose_cable_is_out_keeps_its_taps(broker: MosquittoProcess) -> None:
    out = io.StringIO()
    with Listener(broker.port) as listener:
        # the cable is out from 07:49 to 08:04
        state = await small_day(broker.port, duration_s=9, start="07:46", speed=150, has_incidents=True, out=out).play()
        assert state.waiting == state.dropped == 0
        wait_for(lambda: len(listener.of("status")) >= 2 * state.devices)
        assert [payload for device, payload in listener.of("status") if device == "reader-004"][:3] == [
            b"online",
            b"offline",
            b"online",
        ]
        (numbers,) = [numbers for (device, _), numbers in listener.numbered().items() if device == "reader-004"]
        assert sorted(set(numbers)) == list(range(len(set(numbers))))
        events = [json.loads(line) for line in out.getvalue().splitlines()]
        assert [event["is_on"] for event in events if event["event"] == "incident"] == [True, False]


async def test_repeats_have_the_same_boot_and_number(broker: MosquittoProcess) -> None:
    out = io.StringIO()
    with Listener(broker.port) as listener:
        state = await small_day(broker.port, duration_s=3, faults=FaultOrders(repeat_share=1.0), out=out).play()
        wait_for(lambda: len(listener.of("status")) >= 2 * state.devices)
        numbers = [number for numbers in listener.numbered().values() for number in numbers]
        messages = sum(len(set(numbers)) for numbers in listener.numbered().values())
        assert len(numbers) > messages * 1.5
        assert "DUP" in out.getvalue()
        assert "no DUP" in out.getvalue()


async def test_wrong_clocks_garbage_and_a_flood_are_seen_and_told(broker: MosquittoProcess) -> None:
    out = io.StringIO()
    faults = FaultOrders(wrong_clocks=4, garbage_per_min=1200, flood_per_s=200)
    with Listener(broker.port) as listener:
        state = await small_day(broker.port, duration_s=4, faults=faults, out=out).play()
        wait_for(lambda: len(listener.of("status")) >= 2 * state.devices)
        told = [json.loads(line) for line in out.getvalue().splitlines()]
        faults_told = [line["text"] for line in told if line["event"] == "fault"]
        assert {"fault wrong clock", "fault garbage", "fault flood"} <= {text.split(":")[0] for text in faults_told}
        stamps = []
        for _, payload in listener.of("telemetry"):
            try:
                stamps.append(float(json.loads(payload)["at"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
        now_ms = time.time() * 1000
        assert min(stamps) < 60_000 * 60 * 24 < now_ms < max(stamps) - 9 * 365 * 86_400_000
        assert told[-1]["faults"]["flood messages"] > 400
        assert told[-1]["faults"]["garbage"] > 40


async def test_what_a_device_measures_while_the_broker_is_away_comes_later(broker: MosquittoProcess) -> None:
    day = asyncio.ensure_future(small_day(broker.port, duration_s=14).play())
    with Listener(broker.port) as listener:
        await asyncio.to_thread(wait_for, lambda: len(listener.numbered()) >= 5)
        before = listener.numbered()
    broker.kill()
    await asyncio.sleep(1.5)
    broker.start()
    with Listener(broker.port) as listener:
        state = await day
        assert state.waiting == state.dropped == 0
        for key, numbers in listener.numbered().items():
            if key in before:  # what came between the first listener and the kill was seen by nobody
                assert len(set(numbers)) > 3
                assert sorted(set(numbers)) == list(range(min(numbers), max(numbers) + 1))


@pytest.mark.parametrize("version", [packets.MQTT_3_1_1, packets.MQTT_5])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_load_is_acknowledged_whole(broker: MosquittoProcess, version: int, qos: int) -> None:
    devices = [Credential(f"load-{number}") for number in range(3)]
    result = await run_load(
        LoadSpec(
            "127.0.0.1",
            broker.port,
            devices,
            version=version,
            qos=qos,
            window=100,
            duration_s=0,
            warm_up_s=0,
            messages_each=2000,
        )
    )
    assert result.sent == result.acknowledged >= 6000
    assert result.acknowledged_each == (result.sent // 3,) * 3
    assert (result.refused, result.lost_connections) == (0, 0)
    assert result.acknowledged_per_s > 0
    if version == packets.MQTT_5 and qos:
        assert result.window == 20  # Mosquitto's receive maximum


async def test_every_message_of_a_load_is_one_of_a_kind_and_goes_on_where_it_was_told(broker: MosquittoProcess) -> None:
    with Listener(broker.port) as listener:
        spec = LoadSpec(
            "127.0.0.1", broker.port, [Credential("one")], window=50, duration_s=0, warm_up_s=0, messages_each=500
        )
        first = await run_load(spec)
        second = await run_load(
            LoadSpec(
                "127.0.0.1",
                broker.port,
                [Credential("one")],
                window=50,
                duration_s=0,
                warm_up_s=0,
                messages_each=500,
                boot=first.boot,
                firsts=(first.acknowledged,),
            )
        )
        assert second.boot == first.boot
        wait_for(lambda: len(listener.of("telemetry")) >= 1000)
        numbers = listener.numbered()["one", first.boot]
        assert numbers == list(range(numbers[0], numbers[0] + 1000))


async def test_a_load_from_two_processes_is_measured_in_samples(broker: MosquittoProcess) -> None:
    devices = [Credential(f"load-{number}") for number in range(5)]
    seen: list[float | None] = []
    result = await run_load(
        LoadSpec("127.0.0.1", broker.port, devices, window=20, duration_s=1, warm_up_s=0.2, sample_s=0.25, processes=2),
        lambda progress: seen.append(progress.per_s),
    )
    assert len(result.samples_per_s) == 4
    assert result.connections == 5
    assert result.acknowledged == sum(result.acknowledged_each) == result.sent
    assert None in seen
    assert any(seen)


async def test_a_broker_that_dies_under_load_is_a_result(broker: MosquittoProcess) -> None:
    running = asyncio.ensure_future(
        run_load(LoadSpec("127.0.0.1", broker.port, [Credential("a"), Credential("b")], window=100, duration_s=30))
    )
    await asyncio.sleep(1.5)
    broker.kill()
    result = await running
    assert result.lost_connections == 2
    assert 0 < result.acknowledged <= result.sent
    assert result.trouble


async def test_a_load_without_a_broker_or_without_sense_is_explained() -> None:
    (port,) = free_ports(1)
    with pytest.raises(SimError, match="refused"):
        await run_load(LoadSpec("127.0.0.1", port, [Credential("a")], duration_s=1))
    with pytest.raises(UsageError, match="connection"):
        await run_load(LoadSpec("127.0.0.1", port, [], duration_s=1))
    with pytest.raises(UsageError, match="end"):
        await run_load(LoadSpec("127.0.0.1", port, [Credential("a")], duration_s=0))


async def test_a_fleet_sends_evenly_and_is_acknowledged(broker: MosquittoProcess) -> None:
    devices = [Credential(f"fleet-{number}") for number in range(150)]
    with Listener(broker.port) as listener:
        result = await run_steady(SteadySpec("127.0.0.1", broker.port, devices, per_s=150, duration_s=2))
        assert result.connections == 150
        assert 150 <= result.sent == result.acknowledged <= 301
        assert result.lost_connections == result.held_back == 0
        wait_for(lambda: len(listener.of("telemetry")) == result.sent)
        assert len(listener.numbered()) == 150


async def test_a_stamped_stream_carries_the_moment_of_sending(broker: MosquittoProcess) -> None:
    with Listener(broker.port) as listener:
        began_us = time.time_ns() // 1000
        spec = SteadySpec("127.0.0.1", broker.port, [Credential("d")], per_s=200, duration_s=1, is_stamped=True)
        result = await run_steady(spec)
        wait_for(lambda: len(listener.of("telemetry")) == result.sent)
        stamps = [json.loads(payload)["values"][STAMP] for _, payload in listener.of("telemetry")]
        assert began_us < stamps[0] < stamps[-1] < time.time_ns() // 1000
        assert stamps == sorted(stamps)


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody reads."""


def test_enrolling_twice_changes_nothing_the_second_time(gateway: GatewayProcess) -> None:
    school = School(seed=1)
    wanted = of_school(school.devices)[:5] + of_school(school.devices)[-1:]
    with ApiClient(gateway.http_url, gateway.admin_key) as api:
        devices, added = enrol_devices(api, wanted, {}, quiet)
        assert added == 6
        assert all(device.secret for device in devices)
        assert enrol_people(api, school.pupils[:30], quiet) == (30, 30)
        assert enrol_rules(api, for_speed(60), quiet) == len(for_speed(60))
        known = {device.device_id: str(device.secret) for device in devices}
        assert enrol_devices(api, wanted, known, quiet) == (devices, 0)
        assert enrol_people(api, school.pupils[:30], quiet) == (0, 0)
        assert enrol_rules(api, for_speed(1), quiet) == 0
        rules = {str(rule["name"]): rule for rule in api.pages("rules")}
        assert rules["A card reader is silent"]["after_s"] == 600
        renewed, added = enrol_devices(api, wanted, {}, quiet)
        assert added == 0
        assert all(new.secret != old.secret for new, old in zip(renewed, devices, strict=True))


def test_a_wrong_key_is_explained(gateway: GatewayProcess) -> None:
    with ApiClient(gateway.http_url, "sg_wrong") as api, pytest.raises(Refusal, match="401"):
        enrol_devices(api, of_school([]), {}, quiet)


async def test_an_enrolled_school_is_let_in_and_heard_by_the_gateway(gateway: GatewayProcess) -> None:
    school = School(seed=1)
    school.sensors = [sensor for sensor in school.sensors if sensor.kind in (Kind.FREEZER, Kind.BOILER)]
    with ApiClient(gateway.http_url, gateway.admin_key) as api:
        devices, _ = await asyncio.to_thread(enrol_devices, api, of_school(school.devices), {}, quiet)
        order = DayOrder(
            host="127.0.0.1",
            port=gateway.mqtt_port,
            credentials=devices,
            clock=SchoolClock(120, at("07:50"), at("16:15")),
            faults=FaultOrders(repeat_share=0.2),
            duration_s=5,
        )
        state = await SchoolDay(school, order, Report(is_json=True, out=io.StringIO(), err=io.StringIO())).play()
        assert state.acknowledged == state.sent
        assert state.refused == state.refused_devices == 0
        readings = await asyncio.to_thread(api.get, "readings?device=freezer-001&measurement=temperature_c")
        assert readings["items"]
        taps = await asyncio.to_thread(lambda: list(api.pages("taps")))
        assert taps
        assert {tap["clock"] for tap in taps} == {"good"}
        seen = await asyncio.to_thread(api.get, "devices?state=seen")
        items = seen["items"]
        assert isinstance(items, list)
        assert len(items) == len(DEVICES)
        assert BRIDGE_ID in {device.device_id for device in devices}


def run_sim(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([BIN / "school-sim", *arguments], capture_output=True, text=True, timeout=240, check=False)


def test_the_commands_exit_codes_tell_failure_from_wrong_usage() -> None:
    (port,) = free_ports(1)
    failed = run_sim("load", "--anonymous", "--mqtt", f"127.0.0.1:{port}", "--duration", "1")
    assert failed.returncode == 1
    assert "refused" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert run_sim("load", "--anonymous", "--mqtt", "nonsense").returncode == 2
    assert run_sim("day", "--speed", "fast").returncode == 2
    without_key = run_sim("enrol", "--api", f"http://127.0.0.1:{port}")
    assert without_key.returncode == 2
    assert "--key-file" in without_key.stderr
    assert run_sim("--help").returncode == 0


def test_json_is_printed_where_data_is_printed(broker: MosquittoProcess) -> None:
    mqtt_address = f"127.0.0.1:{broker.port}"
    loaded = run_sim("load", "--anonymous", "--mqtt", mqtt_address, "--messages", "1000", "--duration", "0", "--json")
    assert loaded.returncode == 0
    assert json.loads(loaded.stdout)["acknowledged"] == 1000
    played = run_sim("day", "--anonymous", "--mqtt", mqtt_address, "--duration", "2", "--sensors", "3", "--json")
    assert played.returncode == 0, played.stderr
    events = [json.loads(line) for line in played.stdout.splitlines()]
    assert events[-1]["event"] == "summary"
    assert events[-1]["acknowledged"] == events[-1]["sent"] > 0


def test_the_demonstration_runs_and_ends_both_when_told(tmp_path: Path) -> None:
    mqtt_port, http_port = free_ports(2)
    settings = environment(
        {
            "http.port": str(http_port),
            "mqtt.port": str(mqtt_port),
            "http.host": "127.0.0.1",
            "mqtt.host": "127.0.0.1",
            "mqtts.enabled": "false",
            "https.enabled": "false",
        }
    )
    log = tmp_path / "demo.log"
    with log.open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, DEMO, "--data", tmp_path / "data"], env=settings, stdout=output, stderr=output
        )
    try:
        wait_for(lambda: "devices online: 209 of 209" in log.read_text() or demo.poll() is not None, 240)
        key = (tmp_path / "data" / "admin.key").read_text().strip()
        assert f"http://127.0.0.1:{http_port}/#key={key}" in log.read_text()
        with ApiClient(f"http://127.0.0.1:{http_port}", key) as api:
            assert api.is_ready() == (True, "")
            taken = subprocess.run(
                [sys.executable, DEMO, "--data", tmp_path / "other"],
                env=settings,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        assert taken.returncode == 1
        assert f"port {http_port} is taken" in taken.stderr
        assert "SCHOOLGATE_HTTP__PORT=" in taken.stderr
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(120) == 0
    finally:
        if demo.poll() is None:
            demo.terminate()
            demo.wait(120)
        print(log.read_text()[-4000:])
    assert " acknowledged, " in log.read_text()
    with ApiClient(f"http://127.0.0.1:{http_port}") as api, pytest.raises(SimError):
        api.is_ready()

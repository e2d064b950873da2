"""`kill -9` at random moments under load: what was acknowledged is stored, once. `make faults` runs 500 rounds."""

import json
import random
import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.fault_figures import rows
from tests.faults.rounds import ROUNDS
from tests.faults.stream import WITHIN_S, NumberStream, Watcher, wait_for
from tests.gateway_process import GatewayProcess
from tests.mosquitto_process import MosquittoProcess

LIMIT_S = 900 + 20 * ROUNDS
BRIDGED_PER_S = 1_000
CAUGHT_UP_WITHIN_S = 120.0 + 10 * ROUNDS
"""A busy machine starts a gateway in ten seconds, and as long as that the broker collects what it is given."""


def stored_numbers(data: Path, device_id: str) -> Counter[int]:
    """Returns how often each number of a device's stream is stored."""
    with sqlite3.connect(data / "schoolgate.db") as connection:
        rows = connection.execute(
            "SELECT value FROM reading JOIN series ON id = series_id WHERE device_id = ? AND measurement = 'n'",
            (device_id,),
        ).fetchall()
    connection.close()
    return Counter(int(value) for (value,) in rows)


def assert_stored_once(data: Path, stream: NumberStream) -> None:
    stored = stored_numbers(data, stream.device_id)
    lost = stream.acknowledged - stored.keys()
    assert not lost, f"{len(lost)} acknowledged messages of {stream.device_id} are not stored: {sorted(lost)[:10]}"
    twice = {number: count for number, count in stored.items() if count > 1}
    assert not twice, f"{len(twice)} messages of {stream.device_id} are stored twice: {sorted(twice.items())[:10]}"


def kill_again_and_again(gateway: GatewayProcess, rounds: int, seed: int) -> float:
    """Kills and starts the gateway `rounds` times; returns the longest time to readiness."""
    moments = random.Random(seed)
    slowest_s = 0.0
    for _ in range(rounds):
        time.sleep(moments.uniform(0.05, 1.2))
        gateway.kill9()
        took_s = gateway.start()
        slowest_s = max(slowest_s, took_s)
    return slowest_s


@pytest.mark.long
@pytest.mark.timeout(LIMIT_S)
def test_nothing_acknowledged_by_the_door_is_lost_or_doubled(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        secrets = {name: gateway.add_device(name) for name in ("once", "exactly", "plain")}
        watching = gateway.add_device("watcher", "client", subscribe=["sg/+/telemetry"])
        port = gateway.mqtt_port
        with (
            Watcher(port, "watcher", watching) as watcher,
            NumberStream(port, "once", secrets["once"], 1, is_keyed=True) as once,
            NumberStream(port, "exactly", secrets["exactly"], 2, is_keyed=False) as exactly,
        ):
            slowest_s = kill_again_and_again(gateway, ROUNDS, seed=1)
            for stream in (once, exactly):
                stream.finish(within_s=WITHIN_S)
                assert len(stream.acknowledged) > ROUNDS

            def watched(device_id: str) -> set[int]:
                return {
                    int(json.loads(payload)["values"]["n"])
                    for topic, payload in list(watcher.received)
                    if topic == f"sg/{device_id}/telemetry"
                }

            for stream in (once, exactly):
                wait_for(lambda: stream.acknowledged <= watched(stream.device_id), WITHIN_S, "the watcher")  # noqa: B023
        gateway.stop()
        assert_stored_once(gateway.data, once)
        assert_stored_once(gateway.data, exactly)
        print(
            f"{ROUNDS} kills: {len(once.acknowledged)} QoS 1 and {len(exactly.acknowledged)} QoS 2 messages, "
            f"all stored once; ready again after at most {slowest_s:.1f} s"
        )


@pytest.mark.long
@pytest.mark.timeout(LIMIT_S)
def test_nothing_acknowledged_through_the_bridge_is_lost_or_doubled(tmp_path: Path) -> None:
    with MosquittoProcess(tmp_path / "mosquitto") as broker:
        settings = {"bridge.enabled": "true", "bridge.host": "127.0.0.1", "bridge.port": str(broker.port)}
        with GatewayProcess(tmp_path / "data", settings) as gateway:
            gateway.add_device("bridged")
            with NumberStream(broker.port, "bridged", "", 1, is_keyed=True, max_per_s=BRIDGED_PER_S) as bridged:
                slowest_s = kill_again_and_again(gateway, ROUNDS, seed=2)
                bridged.finish(within_s=WITHIN_S)
            assert len(bridged.acknowledged) > ROUNDS

            def is_all_stored() -> bool:
                [(stored,)] = rows(gateway.data, "SELECT count(*) FROM reading")
                is_enough = int(str(stored)) >= len(bridged.acknowledged)
                return is_enough and bridged.acknowledged <= stored_numbers(gateway.data, "bridged").keys()

            wait_for(is_all_stored, CAUGHT_UP_WITHIN_S, "the bridge to catch up")
            gateway.stop()
            assert_stored_once(gateway.data, bridged)
            print(
                f"{ROUNDS} kills: {len(bridged.acknowledged)} messages through the bridge, all stored once; "
                f"ready again after at most {slowest_s:.1f} s"
            )

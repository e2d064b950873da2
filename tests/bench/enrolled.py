"""A gateway's data directory in which devices are enrolled already, and the brokers that it is compared with."""

import time
from pathlib import Path

from devices import registry
from firmware_sim.wire import Credential
from gateway.store import database, sqlite
from tests.mosquitto_process import MosquittoProcess

KIND = "load_generator"


def enrol(data: Path, count: int) -> list[Credential]:
    """Makes `data` a gateway's directory that knows `count` devices; returns what they sign in with."""
    path = data / database.FILE_NAME
    database.prepare(path)
    engine = sqlite.open_engine(path)
    now_us = time.time_ns() // 1000
    try:
        with engine.begin() as connection:
            return [
                Credential(device_id, registry.add(connection, device_id, KIND, now_us))
                for device_id in (f"load-{number:04d}" for number in range(1, count + 1))
            ]
    finally:
        engine.dispose()


def anonymous(credentials: list[Credential]) -> list[Credential]:
    """Returns the same devices for a broker that lets everybody in."""
    return [Credential(credential.device_id) for credential in credentials]


def bare_mosquitto(directory: Path) -> MosquittoProcess:
    """Returns Debian's Mosquitto, storing nothing and asking nobody who he is: the fastest way to a PUBACK."""
    return MosquittoProcess(directory, {"max_inflight_messages": "0"}, is_persistent=False)

"""Devices that talk to a gateway under test, by paho-mqtt; and waiting for what comes of it."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.gateway_process import GatewayProcess

T = TypeVar("T")
WITHIN_S = 120.0


@contextmanager
def connected(school: GatewayProcess, device_id: str, secret: str) -> Iterator[mqtt.Client]:
    """Yields the device's client, signed in."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, device_id)
    client.username_pw_set(device_id, secret)
    client.connect("127.0.0.1", school.mqtt_port)
    client.loop_start()
    try:
        wait_for(client.is_connected)
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def publish(client: mqtt.Client, topic: str, message: object) -> None:
    """Publishes with QoS 1 and returns when it is acknowledged, so when it is stored. Bytes go as they are."""
    payload = message if isinstance(message, bytes) else json.dumps(message)
    sent = client.publish(topic, payload, qos=1)
    sent.wait_for_publish(WITHIN_S)
    assert sent.is_published()


def wait_for(what: Callable[[], T], within_s: float = WITHIN_S) -> T:
    """Returns the first true value of `what`. Raises AssertionError if there is none in time."""
    deadline = time.monotonic() + within_s
    while not (value := what()):
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.02)
    return value

"""A bridge at work, and somebody who publishes to its broker."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from devices.frame import Sink
from devices.mqtt.client.bridge import Bridge, BridgeSettings
from tests.eventually import eventually


@asynccontextmanager
async def running_bridge(
    port: int, sink: Sink, *, is_connected: bool = True, wait_share: float = 0.1, **more: object
) -> AsyncIterator[Bridge]:
    """Runs a bridge, and cancels it at the end. `wait_share`: of its longest waits; `more`: of its settings."""
    chosen = {"client_id": "bridge", "subscribe": ("sg/+/telemetry",), "quiet_s": 0.2, **more}
    settings = BridgeSettings("127.0.0.1", port, **chosen)  # type: ignore[arg-type]  # each test names its own
    bridge = Bridge(settings, sink, lambda: time.time_ns() // 1000, lambda: wait_share)
    task = asyncio.create_task(bridge.run())
    try:
        if is_connected:
            await eventually(lambda: bridge.state == "connected", what="connected")
        yield bridge
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


@asynccontextmanager
async def publisher(port: int, username: str | None = None, password: str | None = None) -> AsyncIterator[mqtt.Client]:
    """A client that publishes as fast as it can, and comes back by itself."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="publisher", protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(username, password)
    client.max_inflight_messages = 0
    client.reconnect_delay_set(1, 1)
    await asyncio.to_thread(client.connect, "127.0.0.1", port, 600)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)


async def published(client: mqtt.Client, payloads: list[bytes], qos: int = 1, topic: str = "sg/a/telemetry") -> None:
    """Publishes, and returns when the broker has confirmed."""
    infos = [client.publish(topic, payload, qos) for payload in payloads]
    await eventually(lambda: all(info.is_published() for info in infos), what="published")


def numbered(count: int, first: int = 0) -> list[bytes]:
    """Returns payloads that are all different."""
    return [b"%d" % number for number in range(first, first + count)]

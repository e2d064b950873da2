"""The conventional way to store what devices say: a paho-mqtt subscriber behind a broker, with `manual_ack`, that
acknowledges after the commit. It commits through the gateway's own writer and ingest, so only the way in differs.

Started by `tests.bench.ingest` as `python -m tests.bench.conventional`. It subscribes with a session that stays,
disconnects, and says `Subscribed`. After the next line of input it connects again, drains what the broker kept for
it meanwhile, and says `Drained`.
"""

import asyncio
import gc
import sys
import time
from pathlib import Path

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from devices.frame import Frame, Intake
from firmware_sim.worker import say
from gateway.main import GC_THRESHOLDS
from tests.writing_store import now_us, writing_store

TOPICS = "sg/+/telemetry"
FRAME_OVERHEAD_BYTES = 160


class Order(msgspec.Struct, frozen=True):
    """`data`: where the database is to be. `messages`: how many there will be."""

    port: int
    data: str
    device_id: str
    messages: int


class Subscribed(msgspec.Struct, frozen=True, tag="subscribed"):
    """The broker keeps messages from now on."""


class Drained(msgspec.Struct, frozen=True, tag="drained"):
    """`seconds`: from the first message to the last commit."""

    messages: int
    seconds: float
    cpu_seconds: float


def _client() -> mqtt.Client:
    return mqtt.Client(CallbackAPIVersion.VERSION2, client_id="conventional", clean_session=False, manual_ack=True)


def subscribe(port: int) -> None:
    """Leaves a session behind that the broker queues messages for."""
    client = _client()

    def on_connect(*_: object) -> None:
        client.subscribe(TOPICS, 1)

    def on_subscribe(*_: object) -> None:
        client.disconnect()

    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.connect("127.0.0.1", port)
    client.loop_forever()


async def drain(order: Order) -> Drained:
    """Stores and acknowledges so many messages."""
    loop = asyncio.get_running_loop()
    all_stored = asyncio.Event()
    client = _client()
    began_s = 0.0
    stored = 0

    async with writing_store(Path(order.data)) as opened:
        await opened.add_device(order.device_id)

        def on_message(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
            nonlocal began_s
            began_s = began_s or time.monotonic()
            frame = Frame(message.topic, bytes(message.payload), now_us())
            size_bytes = len(message.payload) + FRAME_OVERHEAD_BYTES
            opened.writer.submit(Intake([frame], lambda: on_stored(message), size_bytes))

        def on_stored(message: mqtt.MQTTMessage) -> None:
            nonlocal stored
            stored += 1
            client.ack(message.mid, message.qos)
            if stored == order.messages:
                all_stored.set()
            opened.committed.clear()

        client.on_message = on_message
        cpu_s = time.process_time()
        await loop.run_in_executor(None, client.connect, "127.0.0.1", order.port)
        client.loop_start()
        await all_stored.wait()
        ended_s = time.monotonic()
        cpu_s = time.process_time() - cpu_s
        client.disconnect()
        client.loop_stop()
    return Drained(stored, ended_s - began_s, cpu_s)


def main() -> int:
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    subscribe(order.port)
    say(Subscribed())
    sys.stdin.buffer.readline()
    say(asyncio.run(drain(order)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

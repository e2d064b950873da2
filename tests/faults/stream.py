"""A device and a subscriber that go on through everything: paho-mqtt clients that count what was promised to them."""

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.patient_client import PatientClient

WINDOW = 200
WITHIN_S = 120.0
"""How long a test waits for what has to come: many times what a busy machine needs."""


def client(port: int, client_id: str, secret: str) -> mqtt.Client:
    """Returns a client with a persistent session that comes back at once and for ever."""
    made = PatientClient(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
    made.username_pw_set(client_id, secret)
    made.reconnect_delay_set(min_delay=1, max_delay=1)
    made.max_inflight_messages_set(WINDOW)
    made.connect_async("127.0.0.1", port, keepalive=30)
    return made


class NumberStream:
    """Publishes the numbers 0, 1, 2 … as readings of one device, at most `WINDOW` unacknowledged, until `finish`.

    With `is_keyed` each message carries `boot` and `seq`; without, only QoS 2 keeps it from being stored twice.
    `max_per_s`: what a broker in between is not to be given more of, for it would queue what the gateway misses.
    """

    def __init__(
        self, port: int, device_id: str, secret: str, qos: int, *, is_keyed: bool, max_per_s: float = 1e9
    ) -> None:
        self.device_id = device_id
        self.acknowledged: set[int] = set()
        self.published = 0
        self._qos = qos
        self._is_keyed = is_keyed
        self._max_per_s = max_per_s
        self._on_the_way: dict[int, int] = {}  # message id to number
        self._answered: deque[int] = deque()  # message ids, filled by the client's thread
        self._stop = threading.Event()
        self._client = client(port, device_id, secret)
        self._client.on_publish = lambda _client, _data, mid, *_: self._answered.append(mid)
        self._thread = threading.Thread(target=self._run, name=device_id)

    def __enter__(self) -> Self:
        self._client.loop_start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def finish(self, within_s: float) -> None:
        """Publishes nothing more and waits until all that was published is acknowledged."""
        self._stop.set()
        self._thread.join()

        def is_all_acknowledged() -> bool:
            self._note_acknowledged()
            return not self._on_the_way

        wait_for(is_all_acknowledged, within_s, f"{self.device_id}'s acknowledgements")

    def _run(self) -> None:
        began_s = time.monotonic()
        while not self._stop.is_set():
            self._note_acknowledged()
            is_early = self.published > (time.monotonic() - began_s) * self._max_per_s
            if is_early or len(self._on_the_way) >= WINDOW or not self._client.is_connected():
                time.sleep(0.002)
                continue
            number = self.published
            key = f'"boot":"b","seq":{number},' if self._is_keyed else ""
            payload = f'{{{key}"values":{{"n":{number}}}}}'
            sent = self._client.publish(f"sg/{self.device_id}/telemetry", payload, self._qos)
            self._on_the_way[sent.mid] = number
            self.published += 1

    def _note_acknowledged(self) -> None:
        for _ in range(len(self._answered)):
            self.acknowledged.add(self._on_the_way.pop(self._answered.popleft()))


class Watcher:
    """Subscribes to every device's telemetry with QoS 1 and a persistent session, and notes the payloads."""

    def __init__(self, port: int, device_id: str, secret: str) -> None:
        self.received: list[tuple[str, bytes]] = []
        self._client = client(port, device_id, secret)
        self._client.on_connect = lambda connected, *_: connected.subscribe("sg/+/telemetry", 1)
        self._client.on_message = lambda _client, _data, message: self.received.append((message.topic, message.payload))

    def __enter__(self) -> Self:
        self._client.loop_start()
        wait_for(self._client.is_connected, WITHIN_S, "the watcher's connection")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def wait_for(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """Returns when the condition holds. Raises AssertionError, naming it, if it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {within_s} s for {what}"
        time.sleep(0.01)

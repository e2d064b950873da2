"""The live feed of the running program."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.gateway_process import GatewayProcess
from tests.integration.school_devices import connected, publish, wait_for

Event = tuple[str, str, dict[str, object]]
"""Kind, id, data."""


class Listener:
    """Reads the live feed in a thread; `events` grows as they come."""

    def __init__(self, school: GatewayProcess, key: str, last_event_id: str | None, **query: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self._client = httpx.Client(timeout=120, trust_env=False)
        request = self._client.build_request("GET", f"{school.http_url}/api/v1/live", headers=headers, params=query)
        self.response = self._client.send(request, stream=True)
        self.events: list[Event] = []
        self.last_id = last_event_id
        self.ended = threading.Event()
        self.is_open = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        kind, data = "", ""
        try:
            for line in self.response.iter_lines():
                self.is_open.set()
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    data = value
                elif name == "id":
                    self.last_id = value
                elif not line and data:
                    self.events.append((kind, self.last_id or "", json.loads(data)))
                    kind, data = "", ""
        except (httpx.TransportError, httpx.StreamClosed):
            pass
        else:
            self.ended.set()

    def of(self, kind: str) -> list[dict[str, object]]:
        return [data for found, _, data in list(self.events) if found == kind]

    def close(self) -> None:
        line = self.response.extensions["network_stream"].get_extra_info("socket")
        with contextlib.suppress(OSError):  # the gateway was quicker
            line.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self.response.close()
        self._client.close()


@contextmanager
def listening(
    school: GatewayProcess, key: str | None = None, last_event_id: str | None = None, **query: str
) -> Iterator[Listener]:
    listener = Listener(school, key or school.admin_key, last_event_id, **query)
    try:
        assert listener.response.status_code == 200, listener.response.read()
        assert listener.is_open.wait(15)
        yield listener
    finally:
        listener.close()


def test_what_is_published_is_shown_as_the_lists_show_it(school: GatewayProcess) -> None:
    secret, reader_secret = school.add_device("lab-1"), school.add_device("door-1", "reader")
    with listening(school) as live, school.api() as api:
        assert live.response.headers["content-type"].startswith("text/event-stream")
        assert live.response.headers["cache-control"] == "no-store"
        assert live.response.headers["x-accel-buffering"] == "no"
        api.post("rules", json={"kind": "threshold", "name": "Hot", "measurement": "t_c", "above": 30, "clear": 28})
        with connected(school, "lab-1", secret) as lab, connected(school, "door-1", reader_secret) as door:
            publish(lab, "sg/lab-1/telemetry", {"values": {"t_c": 31}})
            publish(door, "sg/door-1/tap", {"credential": "04A1B2C3", "kind": "uid"})
            assert wait_for(lambda: live.of("reading")) == api.get("readings").json()["items"]
            assert wait_for(lambda: live.of("tap")) == api.get("taps").json()["items"]
            assert wait_for(lambda: live.of("alert"))[-1] == api.get("alerts").json()["items"][0]
            online = wait_for(lambda: [device for device in live.of("device") if device["online"]])
            assert {device["id"] for device in online} <= {"lab-1", "door-1"}
            assert wait_for(lambda: live.of("status"))[0].keys() == api.get("status").json().keys()
        wait_for(lambda: [device for device in live.of("device") if device["online"] is False])


def test_only_what_was_asked_for_is_sent(school: GatewayProcess) -> None:
    first, second = school.add_device("only-1"), school.add_device("only-2")
    with (
        listening(school, kinds="reading", device="only-2") as live,
        connected(school, "only-1", first) as one,
        connected(school, "only-2", second) as two,
    ):
        publish(one, "sg/only-1/telemetry", {"values": {"a": 1}})
        publish(two, "sg/only-2/telemetry", {"values": {"a": 2}})
        wait_for(lambda: live.events)
        assert [(kind, data["device"]) for kind, _, data in live.events] == [("reading", "only-2")]


def test_a_key_gets_only_what_its_role_may_read(school: GatewayProcess) -> None:
    secret = school.add_device("door-2", "reader")
    with school.api() as api:
        operator = api.post("keys", json={"role": "operator"}).json()["key"]
        service = api.post("keys", json={"role": "service", "scopes": ["people:read"]}).json()["key"]
    with listening(school, operator, kinds="tap,reading") as live, connected(school, "door-2", secret) as door:
        publish(door, "sg/door-2/tap", {"credential": "04A1B2C3", "kind": "uid"})
        publish(door, "sg/door-2/telemetry", {"values": {"battery_pct": 80}})
        wait_for(lambda: live.events)
        assert [kind for kind, _, _ in live.events] == ["reading"]
    headers = {"Authorization": f"Bearer {service}"}
    refused = httpx.get(f"{school.http_url}/api/v1/live", headers=headers, trust_env=False)
    assert refused.status_code == 403


def test_a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice(school: GatewayProcess) -> None:
    secret = school.add_device("resumed-1")
    total, seen = 400, []
    with connected(school, "resumed-1", secret) as client:

        def publish_all() -> None:
            for number in range(total):
                publish(client, "sg/resumed-1/telemetry", {"values": {"number": number}})

        publishing = threading.Thread(target=publish_all)
        with listening(school, kinds="reading", device="resumed-1") as live:
            publishing.start()
            wait_for(lambda: len(live.events) > 20)
        while True:
            seen += [data["value"] for kind, _, data in live.events if kind == "reading"]
            assert "reset" not in [kind for kind, _, _ in live.events]
            if len(seen) >= total:
                break
            with listening(school, last_event_id=live.last_id, kinds="reading", device="resumed-1") as again:
                wait_for(lambda again=again: len(again.events) > 20 or not publishing.is_alive())  # type: ignore[misc]
                time.sleep(0.1)
            live = again
        publishing.join()
    assert seen == list(range(total))


@pytest.mark.parametrize("last_event_id", ["0", "1.1", "nonsense", "9" * 60])
def test_an_id_that_cannot_be_resumed_from_gives_a_reset(school: GatewayProcess, last_event_id: str) -> None:
    with listening(school, last_event_id=last_event_id, kinds="tap") as live:
        wait_for(lambda: live.events)
        assert live.events[0][0] == "reset"


@pytest.mark.parametrize("query", ["kinds=", "kinds=weather", "kinds=tap;reading", "device=a%20b", "kinds=tap,,tap"])
def test_a_query_that_is_not_as_described_is_refused(school: GatewayProcess, query: str) -> None:
    with school.api() as api:
        assert api.get(f"live?{query}").status_code == 400


def test_readers_that_hang_up_are_forgotten(school: GatewayProcess) -> None:
    """More than the gateway serves at once, one after another."""
    request = f"GET /api/v1/live HTTP/1.1\r\nHost: school\r\nAuthorization: Bearer {school.admin_key}\r\n\r\n"
    for _ in range(300):
        with socket.create_connection(("127.0.0.1", school.http_port), timeout=120) as line:
            line.sendall(request.encode())
            assert line.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_stop_ends_the_streams_and_a_start_tells_readers_to_read_the_lists_again(gateway: GatewayProcess) -> None:
    with listening(gateway) as live:
        started = time.monotonic()
        gateway.stop()
        assert time.monotonic() - started < 25
        assert live.ended.wait(10), "the stream was cut instead of ended"
    gateway.start()
    with listening(gateway, last_event_id=live.last_id) as again:
        wait_for(lambda: again.events)
        assert again.events[0][0] == "reset"
        assert live.last_id is not None
        before, after = (tuple(map(int, one.split("."))) for one in (live.last_id, again.events[0][1]))
        assert before < after

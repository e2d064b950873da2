"""How the bridge gets into its broker, and what it says when it does not."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from devices.mqtt.client.bridge import Bridge, BridgeSettings
from gateway.tls import addresses, files
from tests.cut_line import CutLine
from tests.eventually import eventually
from tests.held_sink import HeldSink
from tests.mosquitto_process import MosquittoProcess
from tests.running_bridge import numbered, published, publisher, running_bridge
from tests.scripted_server import scripted_server

PASSWORD = "correct horse"


async def test_it_signs_in_over_tls(tmp_path: Path) -> None:
    provided = files.provide(tmp_path / "tls", "broker", addresses.own_names("broker"), datetime.now(UTC))
    settings = {"certfile": str(provided.certificate), "keyfile": str(provided.key)}
    sink = HeldSink()
    with MosquittoProcess(tmp_path / "mosquitto", settings, users={"school": PASSWORD}) as mosquitto:
        async with running_bridge(
            mosquitto.port,
            sink,
            subscribe=("sg/#",),
            username="school",
            password=PASSWORD,
            tls=True,
            ca_file=provided.authority,
        ) as bridge:
            for number in numbered(300):
                bridge.publish("loop/back", number, qos=1)
            async with running_bridge(
                mosquitto.port,
                sink,
                client_id="other",
                subscribe=("loop/#",),
                username="school",
                password=PASSWORD,
                tls=True,
                ca_file=provided.authority,
            ):
                big = bytes(500_000)
                bridge.publish("loop/back", big, qos=1)
                await eventually(lambda: big in sink.payloads)


@pytest.mark.parametrize("password", ["wrong horse", None])
async def test_a_wrong_password_is_told_without_a_word_of_it(tmp_path: Path, password: str | None) -> None:
    users = {"school": PASSWORD}
    with (
        MosquittoProcess(tmp_path / "mosquitto", users=users) as mosquitto,
        structlog.testing.capture_logs() as logs,
    ):
        async with running_bridge(
            mosquitto.port, HeldSink(), is_connected=False, username="school", password=password
        ) as bridge:
            await eventually(lambda: bridge.counters.failures_total >= 2)
            assert (bridge.state, bridge.reason) == ("connecting", "the broker refuses us: Not authorized")
    (told,) = [entry for entry in logs if entry["event"] == "bridge_failed"]
    assert told["reason"] == "the broker refuses us: Not authorized"
    assert "horse" not in repr(logs)
    assert "'school'" not in repr(logs)


async def test_a_broker_of_another_authority_is_not_trusted(tmp_path: Path) -> None:
    own = files.provide(tmp_path / "tls", "broker", addresses.own_names("broker"), datetime.now(UTC))
    other = files.provide(tmp_path / "other", "broker", addresses.own_names("broker"), datetime.now(UTC))
    settings = {"certfile": str(own.certificate), "keyfile": str(own.key)}
    with MosquittoProcess(tmp_path / "mosquitto", settings) as mosquitto:
        async with running_bridge(
            mosquitto.port, HeldSink(), is_connected=False, tls=True, ca_file=other.authority
        ) as bridge:
            await eventually(lambda: bridge.reason)
            assert bridge.reason is not None
            assert bridge.reason.startswith("the broker is not trusted: ")


async def test_a_ca_file_that_is_missing_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"
    async with running_bridge(1, HeldSink(), is_connected=False, tls=True, ca_file=missing) as bridge:
        await eventually(lambda: bridge.reason)
        assert bridge.reason == f"{missing} cannot be used: No such file or directory"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\x20\x02\x00\x01", "the broker refuses us: Unsupported protocol version"),  # MQTT 3.1.1 only
        (b"\x20\x03\x00\x89\x00", "the broker refuses us: Server busy"),
        (b"\x20\x01\x00", "a network protocol error occurred when communicating with the broker"),
        (b"", "the connection was lost"),
    ],
    ids=["old broker", "busy broker", "malformed", "nobody"],
)
async def test_a_peer_that_is_no_broker_for_us_is_tried_again(answer: bytes, reason: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()

    async with scripted_server(serve) as port, running_bridge(port, HeldSink(), is_connected=False) as bridge:
        await eventually(lambda: bridge.counters.failures_total >= 2)
        assert (bridge.state, bridge.reason) == ("connecting", reason)


async def test_a_broker_that_puts_all_of_a_user_under_one_id_keeps_the_session(tmp_path: Path) -> None:
    sink = HeldSink()
    settings = {"use_username_as_clientid": "true"}
    with MosquittoProcess(tmp_path / "mosquitto", settings, users={"school": PASSWORD, "reader": "1"}) as mosquitto:
        async with publisher(mosquitto.port, "reader", "1") as client:
            async with running_bridge(mosquitto.port, sink, username="school", password=PASSWORD) as bridge:
                await eventually(lambda: bridge.counters.connections_total >= 2)
                await eventually(lambda: bridge.state == "connected")
                await published(client, [b"one"])
                await eventually(lambda: sink.frames)
            await published(client, [b"two"])
            async with running_bridge(mosquitto.port, sink, username="school", password=PASSWORD):
                await eventually(lambda: len(sink.frames) == 2)
    assert sink.payloads == [b"one", b"two"]


async def test_a_session_that_our_own_second_connection_took_over_outlives_it(tmp_path: Path) -> None:
    sink = HeldSink()
    settings = {"use_username_as_clientid": "true"}
    with MosquittoProcess(tmp_path / "mosquitto", settings, users={"school": PASSWORD, "reader": "1"}) as mosquitto:
        async with CutLine(mosquitto.port) as line, publisher(mosquitto.port, "reader", "1") as client:
            line.unanswered.add(2)
            async with running_bridge(
                line.port, sink, is_connected=False, username="school", password=PASSWORD
            ) as bridge:
                await eventually(lambda: "already connected" in mosquitto.log_tail())
                await eventually(lambda: bridge.counters.connections_total == 1)
            await published(client, [b"kept"])
            await asyncio.sleep(3)  # the broker's own clock is what is tested: it would end a session of a second
            async with running_bridge(mosquitto.port, sink, username="school", password=PASSWORD):
                await eventually(lambda: sink.frames)
    assert sink.payloads == [b"kept"]


async def test_it_ends_when_it_is_told_to_whatever_its_second_connection_does(tmp_path: Path) -> None:
    settings = {"use_username_as_clientid": "true"}
    with MosquittoProcess(tmp_path / "mosquitto", settings, users={"school": PASSWORD}) as mosquitto:
        for turns in range(6):
            bridge_settings = BridgeSettings(
                "127.0.0.1", mosquitto.port, "bridge", ("sg/#",), username="school", password=PASSWORD
            )
            bridge = Bridge(bridge_settings, HeldSink(), lambda: 0, lambda: 0.1)
            task = asyncio.create_task(bridge.run())
            with structlog.testing.capture_logs() as logs:
                while not any(entry["event"] == "bridge_retained_not_taken" for entry in logs):
                    await asyncio.sleep(0)
                for _ in range(turns):
                    await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task}, timeout=60)
            assert task.cancelled()

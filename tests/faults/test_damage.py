"""A damaged database: it is set aside, named and survived. The program always starts, and the admin key opens it."""

import json
import os
import random
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devices.frame import Frame
from gateway.store import database, sqlite
from tests.declared import SALVAGED
from tests.faults import rounds
from tests.faults.fault_figures import rows, unready
from tests.faults.stream import WINDOW, WITHIN_S, NumberStream, wait_for
from tests.faults.wire_client import WireClient
from tests.gateway_process import GatewayProcess
from tests.writing_store import frame, telemetry, writing_store

PAGE_BYTES = 4_096
ROUNDS = 4
TAPS = 2_000
RECEIVED_US = 1_700_000_000_000_000
DAMAGED_FILES = max(50, rounds.ROUNDS)

Damage = Callable[[Path], None]


def write_at(file: Path, place: int, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(place)
        opened.write(data)


def zeroed(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def garbage(file: Path) -> None:
    file.write_bytes(random.Random(1).randbytes(file.stat().st_size))


def truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def headless(file: Path) -> None:
    write_at(file, 0, bytes(100))


def without_schema(file: Path) -> None:
    write_at(file, 100, random.Random(2).randbytes(PAGE_BYTES - 100))


def overwritten(file: Path, seed: int = 3) -> None:
    """Garbage over every third page but the first."""
    choices = random.Random(seed)
    for page in range(1, file.stat().st_size // PAGE_BYTES):
        if choices.randrange(3) == 0:
            write_at(file, page * PAGE_BYTES, choices.randbytes(PAGE_BYTES))


def without_readings(file: Path, page: int) -> None:
    """Garbage over this page, at which the readings begin; the small tables are sound."""
    write_at(file, (page - 1) * PAGE_BYTES, random.Random(4).randbytes(PAGE_BYTES))


def root_of_readings(gateway: GatewayProcess) -> int:
    [(page,)] = rows(gateway.data, "SELECT rootpage FROM sqlite_master WHERE name = 'pack'")
    return int(str(page))


def filled(gateway: GatewayProcess) -> str:
    """Adds a device that has sent some messages; returns its secret."""
    secret = gateway.add_device("before")
    with WireClient(gateway.mqtt_port) as client:
        client.sign_in("before", secret)
        for number in range(50):
            client.publish("sg/before/telemetry", {"boot": "b", "seq": number, "values": {"n": number, "m": number}})
    return secret


def set_aside(gateway: GatewayProcess) -> list[Path]:
    return sorted(gateway.data.glob("schoolgate.db.damaged-*[0-9Z]"))


def assert_it_works(gateway: GatewayProcess, name: str) -> None:
    """The key of the first start opens the API, and what a new device sends is stored."""
    secret = gateway.add_device(name)
    with WireClient(gateway.mqtt_port) as client:
        client.sign_in(name, secret)
        client.publish(f"sg/{name}/telemetry", {"values": {"n": 1}})
        client.publish(f"sg/{name}/tap", {"credential": "04:a2:24:b2", "kind": "uid"})
    query = "SELECT count(*) FROM reading JOIN series ON id = series_id WHERE device_id = ?"
    assert rows(gateway.data, query, name) == [(1,)]
    assert rows(gateway.data, "SELECT count(*) FROM tap WHERE device_id = ?", name) == [(1,)]


def assert_it_is_told(gateway: GatewayProcess) -> None:
    """The file is named in the log and, for whoever asks the API, in the audit log."""
    [aside] = set_aside(gateway)
    assert aside.stat().st_size == 0 or aside.read_bytes()
    assert f"database_set_aside file={aside}" in gateway.log_file.read_text()
    with gateway.api() as api:
        entries = api.get("audit").json()["items"]
    assert [entry["detail"] for entry in entries if entry["action"] == "database_set_aside"] == [str(aside)]


@pytest.mark.parametrize(
    "damage",
    [zeroed, garbage, truncated, emptied, headless, without_schema, overwritten],
    ids=lambda damage: damage.__name__,
)
def test_damage_found_at_the_start_is_set_aside_named_and_survived(tmp_path: Path, damage: Damage) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        filled(gateway)
        key = gateway.admin_key
        gateway.stop()
        damage(gateway.data / database.FILE_NAME)
        gateway.start()
        assert gateway.admin_key == key
        assert_it_is_told(gateway)
        assert_it_works(gateway, "after")
        gateway.restart()
        assert len(set_aside(gateway)) == 1
        assert "Traceback" not in gateway.log_file.read_text()


async def test_whatever_was_done_to_the_file_there_is_a_database_afterwards(tmp_path: Path) -> None:
    """Bytes, runs, and pages of garbage and noughts, pages in each other's place, and ends cut off."""
    async with writing_store(tmp_path / "whole") as store:
        for number in range(60):
            await store.add_device(f"d{number}")
        await store.take(*(telemetry(f"d{number % 60}", '{"values":{"n":1,"m":2}}') for number in range(2_000)))
        await store.take(*(tap(number) for number in range(200)))
    whole = (tmp_path / "whole" / database.FILE_NAME).read_bytes()
    for seed in range(DAMAGED_FILES):
        path = tmp_path / str(seed) / database.FILE_NAME
        path.parent.mkdir()
        path.write_bytes(damaged(whole, random.Random(seed)))
        preparation = database.prepare(path, SALVAGED)
        aside = [preparation.set_aside] if preparation.set_aside is not None else []
        assert [other for other in path.parent.glob("*damaged*") if not other.name.endswith(("-wal", "-shm"))] == aside
        assert database.prepare(path).set_aside is None
        engine = sqlite.open_engine(path)
        with engine.begin() as connection:
            sqlite.write_something(connection)
        engine.dispose()
        shutil.rmtree(path.parent)


def tap(number: int) -> Frame:
    """A tap that was made half a second before it was received."""
    received_us = RECEIVED_US + number * 1_000_000
    body = {"boot": "b", "seq": number, "credential": f"04:a2:24:{number % 256:02x}", "kind": "uid"}
    return frame("sg/d1/tap", json.dumps(body | {"at": received_us // 1_000 - 500}), received_us)


def leaf_with(file: Path, number: int) -> int:
    """Returns the page of the table of taps that this one stands on; no index has the time of receipt."""
    [place] = [found.start() for found in re.finditer(re.escape(received(number)), file.read_bytes())]
    return place // PAGE_BYTES


def received(number: int) -> bytes:
    return (RECEIVED_US + number * 1_000_000).to_bytes(8, "big")


async def test_taps_and_the_outbox_are_carried_over_but_for_the_page_that_is_damaged(tmp_path: Path) -> None:
    async with writing_store(tmp_path) as store:
        await store.add_device("d1")
        await store.take(*(tap(number) for number in range(TAPS)))
    file = tmp_path / database.FILE_NAME
    page = leaf_with(file, TAPS // 2)
    whole = file.read_bytes()[page * PAGE_BYTES : (page + 1) * PAGE_BYTES]
    lost = {number for number in range(TAPS) if received(number) in whole}
    write_at(file, page * PAGE_BYTES, random.Random(5).randbytes(PAGE_BYTES))
    async with writing_store(tmp_path) as store:
        found = [int(str(at_us)) for (at_us,) in await store.rows("SELECT received_us FROM tap ORDER BY id")]
        beside = {min(lost) - 1, max(lost) + 1}
        assert found == [RECEIVED_US + n * 1_000_000 for n in range(TAPS) if n not in lost | beside]
        assert 0 < len(lost) < 100
        outbox = await store.rows("SELECT json_extract(payload, '$.id') FROM outbox ORDER BY seq")
        assert outbox == [(number + 1,) for number in range(TAPS)]
        await store.take(tap(0), tap(TAPS))  # the first one is a repetition
        assert await store.rows("SELECT count(*) FROM tap") == [(len(found) + 1,)]


async def test_rows_that_cannot_be_are_left_behind_when_the_others_are_carried_over(tmp_path: Path) -> None:
    async with writing_store(tmp_path) as store:
        await store.add_device("d1")
        await store.take(*(tap(number) for number in range(4)))
    file = tmp_path / database.FILE_NAME
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("UPDATE tap SET at_us = 'now' WHERE id = 1")
        connection.execute("UPDATE tap SET boot = CAST(x'ff' AS TEXT) WHERE id = 2")
        connection.execute("UPDATE tap SET kind = 7 WHERE id = 3")
        connection.execute("INSERT INTO fact VALUES ('clock_high_us', '17x95'), ('raw_edge_us', '3600000000')")
        connection.execute("INSERT INTO series VALUES (?, 'd1', 'temperature_c')", (2**62,))
    connection.close()
    database.mark_damaged(file)
    async with writing_store(tmp_path) as store:
        assert await store.rows("SELECT id FROM tap") == [(3,), (4,)]  # a text column makes a text of a number
        assert await store.rows("SELECT name FROM fact") == [("last_frame_no",)]
        assert await store.rows("SELECT id FROM series") == []


def damaged(whole: bytes, choices: random.Random) -> bytes:
    data, size = bytearray(whole), len(whole)
    match choices.randrange(5):
        case 0:
            for _ in range(choices.randrange(1, 40)):
                data[choices.randrange(size)] = choices.randrange(256)
        case 1 | 2 as kind:
            for _ in range(choices.randrange(1, 6)):
                start = choices.randrange(size)
                end = min(size, start + choices.randrange(1, 2 * PAGE_BYTES))
                data[start:end] = choices.randbytes(end - start) if kind == 1 else bytes(end - start)
        case 3:
            del data[choices.randrange(size) :]
        case _:
            one, other = (choices.randrange(size // PAGE_BYTES) * PAGE_BYTES for _ in range(2))
            page = data[one : one + PAGE_BYTES]
            data[one : one + PAGE_BYTES] = data[other : other + PAGE_BYTES]
            data[other : other + PAGE_BYTES] = page
    return bytes(data)


def test_what_can_be_read_of_the_devices_is_carried_over(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        secret = filled(gateway)
        gateway.stop()
        without_readings(gateway.data / database.FILE_NAME, root_of_readings(gateway))
        gateway.start()
        assert_it_is_told(gateway)
        with WireClient(gateway.mqtt_port) as client:
            client.sign_in("before", secret)
            client.publish("sg/before/telemetry", {"boot": "b", "seq": 1, "values": {"n": 1}})
        assert_it_works(gateway, "after")


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_damage_met_while_running_is_set_aside_and_the_gateway_starts_again_by_itself(
    tmp_path: Path, seed: int
) -> None:
    """Somebody writes over the file under the running program. What it acknowledges after that is in the new one."""
    with GatewayProcess(tmp_path / "data") as gateway:
        filled(gateway)
        gateway.restart()  # so that what was sent is in the file, and not in its log
        pid = gateway.pid
        overwritten(gateway.data / database.FILE_NAME, seed)
        secrets: list[str] = []

        def is_started_again() -> bool:
            """Uses what there is until the damage is met."""
            try:
                with gateway.api() as api:
                    api.get("readings", params={"device": "before", "measurement": "n"})
                    api.get("taps")
                    answer = api.post("devices", json={"id": f"during-{len(secrets)}", "kind": "sensor"})
                if answer.status_code == 201:
                    secrets.append(answer.json()["secret"])
                    with WireClient(gateway.mqtt_port) as client:
                        client.sign_in(f"during-{len(secrets) - 1}", secrets[-1])
                        client.publish(f"sg/during-{len(secrets) - 1}/telemetry", {"values": {"n": 1}})
            except Exception as error:  # noqa: BLE001 a gateway that ends its life may break off anything
                print(f"meanwhile: {error!r}")
                time.sleep(0.05)
            return bool(set_aside(gateway))

        wait_for(is_started_again, WITHIN_S, "the damage to be met")
        gateway.wait_until_ready()
        assert gateway.pid == pid
        assert_it_is_told(gateway)
        assert "database_damaged" in gateway.log_file.read_text()
        assert_it_works(gateway, "after")
        assert not unready(gateway)


def test_a_stream_goes_on_over_damage_and_what_comes_after_it_is_stored_once(tmp_path: Path) -> None:
    """A device under way while the file is damaged signs in again, with its old secret if the devices can be read."""
    with GatewayProcess(tmp_path / "data") as gateway:
        secret = gateway.add_device("stream")
        filled(gateway)
        gateway.restart()
        file, page = gateway.data / database.FILE_NAME, root_of_readings(gateway)
        with NumberStream(gateway.mqtt_port, "stream", secret, 1, is_keyed=True) as stream:
            wait_for(lambda: len(stream.acknowledged) > 100, WITHIN_S, "a start")
            gateway.kill9()
            without_readings(file, page)
            file.with_name(f"{file.name}-wal").unlink()  # it may hold a good copy of the page
            gateway.start()
            so_far = len(stream.acknowledged)
            wait_for(lambda: len(stream.acknowledged) > so_far + 500, WITHIN_S, "acknowledgements after the damage")
            stream.finish(within_s=WITHIN_S)
        assert_it_is_told(gateway)
        query = "SELECT value FROM reading JOIN series ON id = series_id WHERE device_id = 'stream'"
        stored = [round(float(str(value))) for (value,) in rows(gateway.data, query)]
        assert len(stored) == len(set(stored))
        assert set(range(so_far + WINDOW, max(stream.acknowledged) + 1)) <= set(stored)

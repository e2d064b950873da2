"""Garbage in one column of one table: SQLite holds anything anywhere, and the gateway starts over it and takes in."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import mqtt5
import pytest
import structlog.testing
from sqlalchemy import Column, Connection, LargeBinary, Table, Text, select
from sqlalchemy.exc import DatabaseError

from devices import registry
from devices.frame import Frame
from devices.mqtt.server.door import Door
from foundation.clocks import wall_us
from gateway.alerts.room import open_alerts
from gateway.configuration.sections import Configuration, Mqtt, Mqtts, Node
from gateway.core import Core, open_core
from gateway.doors.mqtt import open_mqtt
from gateway.main import rooms
from gateway.readings.tables import reading, series
from gateway.store import database, sqlite
from gateway.supervision import Supervisor
from gateway.tls.certificates import Certificates
from tests.declared import TABLES
from tests.eventually import eventually
from tests.faults import rounds
from tests.faults.test_damage import assert_it_works
from tests.faults.wire_client import WireClient
from tests.gateway_process import GatewayProcess

ALL_KINDS_FROM_ROUNDS = 500
LIVES = 3

GARBAGE: dict[str, object] = {
    "text": "garbage",
    "blob": b"\x00\xff\x00garbage",
    "negative": -(1 << 62),
    "huge": (1 << 63) - 1,
    "empty": "",
    "JSON": '{"broken": [',
    "fraction": 1e300,
    "no UTF-8": b"\xff\xfe",
}
"""By what it is called; "no UTF-8" is stored as text."""

COLUMNS = [(table, column) for metadata in TABLES for table in metadata.sorted_tables for column in table.columns]

SUITED = {Text: ("blob", "empty", "JSON", "no UTF-8"), LargeBinary: ("text", "empty", "huge", "blob")}
"""What a column of a kind minds; the others are for numbers."""

FOR_NUMBERS = ("text", "blob", "negative", "huge", "fraction")


def kinds_for(number: int, column: Column[object]) -> Iterator[str]:
    if rounds.ROUNDS >= ALL_KINDS_FROM_ROUNDS:
        yield from GARBAGE
        return
    suited = next((kinds for kind, kinds in SUITED.items() if isinstance(column.type, kind)), FOR_NUMBERS)
    yield suited[number % len(suited)]


CASES = [
    pytest.param(table, column, kind, id=f"{table.name}.{column.name}-{kind}")
    for number, (table, column) in enumerate(COLUMNS)
    for kind in kinds_for(number, column)
]


def spoil(file: Path, table: Table, column: Column[object], kind: str) -> None:
    """Puts the garbage into every row that takes it: where it has to be unique that is one."""
    place = "CAST(? AS TEXT)" if kind == "no UTF-8" else "?"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        try:
            connection.execute(f'UPDATE OR IGNORE "{table.name}" SET "{column.name}" = {place}', (GARBAGE[kind],))
        except sqlite3.IntegrityError as error:
            assert "datatype mismatch" in str(error)  # the number of a row is the one thing that SQLite looks at


def fill(gateway: GatewayProcess) -> None:
    """Has the gateway write a row into every table that it can be brought to write with little ado."""
    secret = gateway.add_device("before", publish=["homeassistant/#", "ha/#", "news"], subscribe=["news"])
    hot = {
        "name": "Hot",
        "kind": "threshold",
        "measurement": "n",
        "device": "before",
        "above": 5,
        "clear": 4,
        "for_s": 0,
    }
    with gateway.api() as api:
        assert api.post("rules", json=hot).status_code == 201
        person = api.post("people", json={"name": "Ada"}, headers={"Idempotency-Key": "one"}).json()["id"]
        card = api.post(f"people/{person}/cards", json={"credential": "04:a2:24:b1", "kind": "uid"})
        assert card.status_code == 201
    with WireClient(gateway.mqtt_port) as absent:
        absent.sign_in(
            "before",
            secret,
            "absent",
            expiry_s=3_600,
            will=mqtt5.Will(topic="news", payload=b"gone", will_delay_interval=3_000),
        )
        absent.subscribe("news")
    with WireClient(gateway.mqtt_port) as client:
        client.sign_in("before", secret)
        for number in range(9):
            client.publish("sg/before/telemetry", {"boot": "b", "seq": number, "values": {"n": number}})
        client.publish("sg/before/tap", {"credential": "04:a2:24:b2", "kind": "uid"})
        client.publish("sg/before/telemetry", {"values": "broken"})
        client.publish("sg/stranger/telemetry", {"values": {"n": 1}})
        client.publish("news", "queued")
        client.publish("homeassistant/sensor/ha1/t/config", {
            "name": "T", "state_topic": "ha/t", "unique_id": "ha1_t", "device": {"identifiers": ["ha1"], "name": "HA"},
        })  # fmt: skip
        retained = mqtt5.PublishPacket("news", b"kept", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=99, retain=True)
        client.send(retained.write())
        client.wait_for(mqtt5.PubAckPacket)


LEFT_OUT = {
    "mqtt_will": ("session_key, topic, payload, qos, retain, delay_s, expiry_s, properties, user",
                  "SELECT session_key, 'news', x'31', 1, 0, 9, NULL, x'', 'before' FROM mqtt_session"),
    "mqtt_received": ("session_key, packet_id", "SELECT session_key, 7 FROM mqtt_session"),
    "mqtt_queued": ("session_key, number, topic, payload, qos, retain, properties, subscription_ids, "
                    "was_sent, is_released",
                    "SELECT session_key, 9, 'news', x'31', 1, 0, x'', '[]', 0, 0 FROM mqtt_session"),
    "reading_1m": ("series_id, start_us, count, min, max, sum, last", "VALUES (4, 0, 1, 1, 1, 1, 1)"),
    "reading_1h": ("series_id, start_us, count, min, max, sum, last", "VALUES (4, 0, 1, 1, 1, 1, 1)"),
    "kept_frame": ("device_id, topic, payload, received_us, is_retained",
                   "VALUES ('stranger', 'sg/stranger/telemetry', x'7b7d', 1, 0)"),
    "announcement": ("topic, device_id, payload, updated_us",
                     "VALUES ('homeassistant/sensor/ha1/t/config', 'ha1', x'7b7d', 1)"),
    "device_status": ("device_id, is_online", "VALUES ('before', 1)"),
    "command": ("id, device_id, name, payload, created_us", "VALUES ('c', 'before', 'blink', x'7b7d', 1)"),
    "outbox": ("lane, entity_key, payload, created_us", "VALUES (0, 'nobody', x'7b7d', 1)"),
    "audit": ("at_us, actor, action, detail, count", "VALUES (1, 'gateway', 'nothing', '', 1)"),
}  # fmt: skip
"""What comes into a table only with time or luck."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a data directory in which every table has a row."""
    data = tmp_path_factory.mktemp("filled") / "data"
    with GatewayProcess(data) as gateway:
        fill(gateway)
    with closing(sqlite3.connect(data / database.FILE_NAME, isolation_level=None)) as connection:
        empty = []
        for metadata in TABLES:
            for table in metadata.sorted_tables:
                has_row = connection.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()[0]
                if not has_row and table.name in LEFT_OUT:
                    columns, rows = LEFT_OUT[table.name]
                    has_row = connection.execute(f'INSERT INTO "{table.name}" ({columns}) {rows}').rowcount
                if not has_row:
                    empty.append(table.name)
    assert empty == []
    return data


@pytest.mark.parametrize(("table", "column", "kind"), CASES)
async def test_the_parts_that_read_at_a_start_skip_what_they_cannot_read(
    filled: Path, tmp_path: Path, table: Table, column: Column[object], kind: str
) -> None:
    """In one process: the core, the sessions of the MQTT door, the alerts. A message of a new device is stored, and one
    of a device that was there before breaks nothing."""
    data = tmp_path / "data"
    shutil.copytree(filled, data)
    spoil(data / database.FILE_NAME, table, column, kind)
    with structlog.testing.capture_logs() as entries:
        for _ in range(LIVES):
            try:
                if await lives(data):
                    break
            except DatabaseError as error:
                assert sqlite.is_damage(error)
                database.mark_damaged(data / database.FILE_NAME)
        else:
            raise AssertionError("it starts again for ever")
    failed = {"group_not_stored", "task_failed", "stage_failed", "acknowledgement_failed", "writer_failed"}
    assert [entry for entry in entries if entry["event"] in failed] == []
    if kind != "no UTF-8":
        assert [entry for entry in entries if entry["event"] == "database_set_aside"] == []
    assert not any("garbage" in str(entry) for entry in entries if "payload" in entry)


async def lives(data: Path) -> bool:
    """Opens what reads at a start and sends messages through; returns False if the file was found damaged by that."""
    configuration = Configuration(node=Node(data=data), mqtt=Mqtt(enabled=False), mqtts=Mqtts(enabled=False))
    damages: list[str] = []
    supervisor = Supervisor(lambda: 0.0)
    async with open_core(configuration, rooms(configuration), bytes(32), damages.append) as core:
        catalogue, stages = core.catalogue, core.stages
        async with (
            open_alerts(configuration.alerts, core.store, catalogue, stages, supervisor, lambda _: None) as alerts,
            open_mqtt(configuration.mqtt, configuration.mqtts, core, Certificates(data, "school"), supervisor) as door,
        ):
            await take(core, door)
            await eventually(lambda: damages or alerts._ready.is_set())
            await asyncio.sleep(0)
            if damages:
                return False
            assert supervisor.readiness() == {}
            assert core.readiness()["store"] is None
    return not damages


async def take(core: Core, door: Door) -> None:
    now_us = wall_us()
    await core.store.write(lambda connection: registry.add(connection, "after", "sensor", now_us))
    await core.store.read(core.registry.refresh)
    frames = [
        Frame(topic, json.dumps(body).encode(), now_us, None, False)
        for topic, body in (
            ("sg/after/telemetry", {"boot": "b", "seq": 1, "values": {"n": 1}}),
            ("sg/before/telemetry", {"boot": "b", "seq": 100, "values": {"n": 9, "m": 2}}),
            ("sg/before/tap", {"boot": "b", "seq": 101, "credential": "04:a2:24:b3", "kind": "uid"}),
            ("ha/t", 1),
        )
    ]
    await core.store.take_in(frames, [])
    door.broker.publish("news", b"for whoever listens", 1)
    door.broker.expire(door.broker.steady_us() + 3_600_000_000)

    def found(connection: Connection) -> list[float]:
        mine = select(reading.c.value).join(series, series.c.id == reading.c.series_id)
        return list(connection.execute(mine.where(series.c.device_id == "after")).scalars())

    assert await core.store.read(found) == [1]


SPOILED_FOR_REAL = (
    ("mqtt_retained", "payload", "huge"),
    ("mqtt_session", "expiry_s", "text"),
    ("alert", "severity", "blob"),
    ("series", "measurement", "no UTF-8"),
    ("device", "secret_digest", "text"),
)


@pytest.mark.parametrize(("table", "column", "kind"), SPOILED_FOR_REAL)
def test_the_program_becomes_ready_and_takes_in(
    filled: Path, tmp_path: Path, table: str, column: str, kind: str
) -> None:
    data = tmp_path / "data"
    shutil.copytree(filled, data)
    [(found, place)] = [(one, two) for one, two in COLUMNS if (one.name, two.name) == (table, column)]
    spoil(data / database.FILE_NAME, found, place, kind)
    with GatewayProcess(data) as gateway:
        assert_it_works(gateway, "after")
        with gateway.api() as api:
            figures = api.get(f"{gateway.http_url}/metrics").text
        skipped = sum(
            float(line.rsplit(" ", 1)[1]) for line in figures.splitlines() if "unreadable" in line and line[0] != "#"
        )
        assert skipped >= (kind != "no UTF-8")


def test_an_admin_key_that_is_no_text_is_replaced_if_no_other_works(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        key = gateway.admin_key
        gateway.stop()
        (gateway.data / "admin.key").write_bytes(b"\xff\xfe\x00")
        gateway.start()
        assert (gateway.data / "admin.key").read_bytes() == b"\xff\xfe\x00"  # the key of the first start still works
        gateway.stop()
        (gateway.data / "admin.key").write_text(key)
        gateway.start()
        assert_it_works(gateway, "after")

"""The command `schoolgate`, as school IT and programs use it: what it prints, and what its exit code says."""

import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import StaticPool, create_engine

from foundation.clock import HOUR_US, SECOND_US
from gateway.cli.commands import main
from gateway.configuration.layers import load
from gateway.readings.roll_up import roll_up_some
from gateway.store.database import FILE_NAME
from tests.gateway_process import PROGRAM, environment


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command did."""

    code: int
    out: str
    err: str

    def json(self) -> object:
        return json.loads(self.out)


Command = Callable[..., Answer]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs the command's own entry in this process, on the data directory `tmp_path/data`."""
    monkeypatch.setattr(os, "environ", environment({"node.data": str(tmp_path / "data")}))

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["schoolgate", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        written = capfd.readouterr()
        assert "Traceback" not in written.err
        return Answer(int(ended.value.code or 0), written.out, written.err)

    return run


@pytest.fixture
def database(tmp_path: Path, run: Command) -> Iterator[sqlite3.Connection]:
    """The database that a first command made, for a test that spoils it."""
    assert run("devices", "add", "lab-7", "--kind", "sensor").code == 0
    with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME, isolation_level=None)) as connection:
        yield connection


def test_the_program_names_its_commands() -> None:
    help_text = subprocess.run(
        [PROGRAM, "--help"], env=environment({}), capture_output=True, text=True, check=True
    ).stdout
    for command in ("run", "check-config", "doctor", "devices", "keys", "verify-store"):
        assert f"\n  {command} " in help_text


def test_a_wrong_configuration_ends_every_command_with_2_and_an_explanation(tmp_path: Path) -> None:
    settings = environment({"node.data": str(tmp_path / "data"), "mqtt.prot": "1"})
    for arguments in (
        ["run"],
        ["check-config"],
        ["doctor"],
        ["devices", "list"],
        ["keys", "list"],
        ["verify-store"],
    ):
        ended = subprocess.run([PROGRAM, *arguments], env=settings, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert "SCHOOLGATE_MQTT__PROT" in ended.stderr
        assert "did you mean SCHOOLGATE_MQTT__PORT?" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert ended.stdout == ""
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["devices", "add"],
        ["devices", "add", "lab-7"],
        ["devices", "add", "a/b", "--kind", "sensor"],
        ["devices", "add", "lab-7", "--kind", "Sensor!"],
        ["devices", "add", "lab-7", "--kind", "sensor", "--publish", "a#"],
        ["keys", "create"],
        ["keys", "create", "--role", "boss"],
        ["keys", "create", "--role", "service"],
        ["keys", "create", "--role", "service", "--scope", "everything"],
        ["keys", "create", "--role", "viewer", "--scope", "devices:read"],
        ["check-config", "--config", "/nowhere/schoolgate.toml"],
        ["check-config", "--colour"],
        ["fly"],
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(run: Command, arguments: list[str]) -> None:
    answer = run(*arguments)
    assert answer.code == 2
    assert answer.err
    assert answer.out == ""


def test_check_config_prints_a_file_that_gives_the_same_configuration(run: Command, tmp_path: Path) -> None:
    file = tmp_path / "school.toml"
    file.write_text('[school]\nname = "Schule \\"Ö\\""\n[mqtt]\nanonymous_topics = ["a/#"]\n')
    answer = run("check-config", "--config", str(file), "--data", str(tmp_path / "other"))
    assert answer.code == 0
    assert 'name = "Schule' in answer.out
    assert f"# file {file}" in answer.out
    printed = tmp_path / "printed.toml"
    printed.write_text(answer.out)
    assert load(printed, {}) == load(file, {}, {"node.data": str(tmp_path / "other")})


def test_check_config_says_in_json_where_each_value_came_from(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOOLGATE_BRIDGE__PASSWORD", "hunter2")
    monkeypatch.setenv("SCHOOLGATE_MQTT__PORT", "2883")
    answer = run("check-config", "--json")
    tree = answer.json()
    assert isinstance(tree, dict)
    assert tree["mqtt"]["port"] == {"value": 2883, "from": "environment SCHOOLGATE_MQTT__PORT"}
    assert tree["http"]["port"] == {"value": 8080, "from": "default"}
    assert tree["bridge"]["password"]["value"] == "(hidden)"
    assert "hunter2" not in answer.out
    assert "hunter2" not in run("check-config").out


def test_a_device_is_added_listed_and_revoked(run: Command) -> None:
    added = run("devices", "add", "lab-7", "--kind", "sensor", "--name", "Lab", "--place", "Room 7", "--json")
    assert added.code == 0
    secret = added.json()
    assert isinstance(secret, dict)
    assert list(secret) == ["id", "secret"]
    assert secret["id"] == "lab-7"
    run(
        "devices",
        "add",
        "z2m",
        "--kind",
        "bridge",
        "--publish",
        "zigbee2mqtt/#",
        "--subscribe",
        "zigbee2mqtt/+/set",
    )
    listed = run("devices", "list", "--json").json()
    assert isinstance(listed, dict)
    lab, bridge = listed["items"]
    assert (lab["id"], lab["kind"], lab["name"], lab["place"], lab["state"]) == (
        "lab-7",
        "sensor",
        "Lab",
        "Room 7",
        "active",
    )
    assert (bridge["publish"], bridge["subscribe"]) == (["zigbee2mqtt/#"], ["zigbee2mqtt/+/set"])
    assert run("devices", "revoke", "lab-7", "--json").json() == {"id": "lab-7", "state": "revoked"}
    table = run("devices", "list").out.splitlines()
    assert table[0].split() == ["id", "kind", "state", "online", "last", "seen", "name", "place"]
    assert table[1].split() == ["lab-7", "sensor", "revoked", "never", "Lab", "Room", "7"]
    assert str(secret["secret"]) not in run("devices", "list", "--json").out


def test_a_device_that_exists_or_does_not_is_a_failure_that_is_explained(run: Command) -> None:
    run("devices", "add", "lab-7", "--kind", "sensor")
    again = run("devices", "add", "lab-7", "--kind", "sensor")
    assert (again.code, "lab-7 exists already" in again.err) == (1, True)
    unknown = run("devices", "revoke", "lab-8")
    assert (unknown.code, "lab-8" in unknown.err) == (1, True)


def test_a_key_is_created_listed_and_revoked(run: Command) -> None:
    created = run("keys", "create", "--role", "admin", "--name", "Ada", "--json").json()
    assert isinstance(created, dict)
    assert list(created) == ["id", "key"]
    run("keys", "create", "--role", "service", "--scope", "devices:read")
    listed = run("keys", "list", "--json").json()
    assert isinstance(listed, dict)
    assert {(key["role"], key["name"]) for key in listed["items"]} == {("admin", "Ada"), ("service", "")}
    assert str(created["key"]) not in run("keys", "list").out
    last = run("keys", "revoke", str(created["id"]))
    assert (last.code, "last admin key" in last.err) == (1, True)
    run("keys", "create", "--role", "admin")
    assert run("keys", "revoke", str(created["id"])).code == 0
    assert run("keys", "revoke", "000000000000").code == 1


def test_what_commands_changed_is_in_the_audit_log(run: Command, database: sqlite3.Connection) -> None:
    run("devices", "revoke", "lab-7")
    run("keys", "create", "--role", "viewer")
    actions = [row[0] for row in database.execute("SELECT action FROM audit ORDER BY id")]
    assert actions == ["device_added", "device_revoked", "key_created"]


def test_lists_of_more_than_a_page_are_whole(run: Command, database: sqlite3.Connection) -> None:
    columns = "id, kind, name, place, state, format, publish_grants, subscribe_grants, created_us, revision"
    database.executemany(
        f"INSERT INTO device ({columns}) VALUES (?, 'sensor', '', '', 'active', 'native', '[]', '[]', 0, 1)",
        [(f"d{number}",) for number in range(1_500)],
    )
    listed = run("devices", "list", "--json").json()
    assert isinstance(listed, dict)
    assert len({one["id"] for one in listed["items"]}) == 1_501


def test_commands_at_the_same_time_wait_for_each_other(tmp_path: Path) -> None:
    settings = environment({"node.data": str(tmp_path / "data")})

    def add(number: int) -> subprocess.CompletedProcess[str]:
        arguments = [str(PROGRAM), "devices", "add", f"d{number}", "--kind", "sensor", "--json"]
        return subprocess.run(arguments, env=settings, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(4) as threads:
        ended = list(threads.map(add, range(4)))
    assert [(one.returncode, one.stderr) for one in ended] == [(0, "")] * 4
    with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME)) as connection:
        assert connection.execute("SELECT count(*) FROM device").fetchone() == (4,)


def test_without_a_database_lists_explain_themselves(run: Command) -> None:
    for arguments in (["devices", "list"], ["keys", "list"], ["verify-store"]):
        answer = run(*arguments)
        assert answer.code == 1
        assert FILE_NAME in answer.out + answer.err


def test_a_file_in_the_way_of_the_data_directory_is_explained(run: Command, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    answer = run("devices", "add", "lab-7", "--kind", "sensor")
    assert answer.code == 1
    assert str(tmp_path / "data") in answer.err


def test_a_damaged_database_is_explained_and_left_to_the_gateway(run: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / FILE_NAME
    file.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    before = file.read_bytes()
    for arguments in (["devices", "list"], ["devices", "add", "lab-7", "--kind", "sensor"], ["doctor"]):
        answer = run(*arguments)
        assert answer.code == 1
        assert str(file) in answer.out + answer.err
    assert run("verify-store").code == 1
    assert file.read_bytes() == before


def test_a_database_of_another_version_is_not_touched(run: Command, database: sqlite3.Connection) -> None:
    database.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    for arguments in (["devices", "list"], ["devices", "add", "lab-8", "--kind", "sensor"]):
        answer = run(*arguments)
        assert (answer.code, "another version" in answer.err) == (1, True)
    assert "newer version" in run("doctor").out


def test_a_database_that_stays_locked_is_explained(
    run: Command, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.sqlite.BUSY_TIMEOUT_S", 0.2)
    database.execute("BEGIN IMMEDIATE")
    answer = run("devices", "add", "lab-8", "--kind", "sensor")
    assert (answer.code, "locked" in answer.err) == (1, True)
    assert run("devices", "list").code == 0
    database.execute("ROLLBACK")


def test_a_sound_store_is_verified(run: Command, database: sqlite3.Connection) -> None:
    database.execute("INSERT INTO series VALUES (1, 'lab-7', 'temperature_c')")
    database.execute("INSERT INTO pack (group_no, at_us, frame_no, clock, value_1) VALUES (0, 1000, 1, 0, 21.5)")
    database.execute("INSERT INTO fact VALUES ('last_frame_no', '1')")
    answer = run("verify-store", "--json")
    assert answer.code == 0
    result = answer.json()
    assert isinstance(result, dict)
    assert result["good"] is True
    assert {check["name"]: check["examined"] for check in result["checks"]}["readings"] == 1


def roll_up_a_day(database: sqlite3.Connection) -> None:
    """A day of one series with what gateway.readings.roll_up makes of it, the last hour being due."""
    now_us = time.time_ns() // 1000
    day_us = now_us // HOUR_US * HOUR_US - 24 * HOUR_US
    database.execute("BEGIN")
    database.execute("INSERT INTO series VALUES (1, 'lab-7', 'temperature_c')")
    database.execute("INSERT INTO fact VALUES ('last_frame_no', '10000')")
    database.executemany(
        "INSERT INTO pack (group_no, at_us, frame_no, clock, value_1) VALUES (0, ?, ?, 0, ?)",
        [(day_us + number * 10 * SECOND_US, number, random.gauss(20, 3)) for number in range(8_640)],
    )
    database.executemany("INSERT INTO roll_up_due VALUES (1, ?)", [(day_us + hour * HOUR_US,) for hour in range(24)])
    database.execute("COMMIT")
    engine = create_engine("sqlite://", creator=lambda: database, poolclass=StaticPool)
    with engine.begin() as connection:
        assert not roll_up_some(connection, now_us, for_s=60)
    database.execute("INSERT INTO roll_up_due VALUES (1, ?)", [day_us])


def test_roll_ups_that_agree_with_their_readings_are_good(run: Command, database: sqlite3.Connection) -> None:
    roll_up_a_day(database)
    database.execute(
        "UPDATE reading_1m SET sum = 0 WHERE start_us < (SELECT min(hour_us) FROM roll_up_due) + ?", [HOUR_US]
    )
    answer = run("verify-store", "--json")
    assert answer.code == 0, answer.out
    result = answer.json()
    assert isinstance(result, dict)
    assert {check["name"]: check["examined"] for check in result["checks"]}["roll-ups, a sample"] > 300


@pytest.mark.parametrize("change", ["sum = sum + 1", "count = count + 1", "last = last + 1e-6", "min = min - 1e-6"])
def test_roll_ups_that_do_not_agree_are_found(run: Command, database: sqlite3.Connection, change: str) -> None:
    roll_up_a_day(database)
    database.execute(f"UPDATE reading_1h SET {change}")
    answer = run("verify-store")
    assert answer.code == 1
    assert "reading_1h of series 1" in answer.out


PACK = "INSERT INTO pack (group_no, at_us, frame_no, clock, value_0)"
TAP = "INSERT INTO tap (event_key, device_id, at_us, received_us, clock, credential_digest, kind, boot, seq)"


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        (f"{PACK} VALUES (9, 1000, 0, 0, 21.5)", "the group 9, which no series is in"),
        ("INSERT INTO reading_1h VALUES (8, 0, 1, 1, 1, 1, 1)", "reading_1h holds rows of series 8"),
        ("INSERT INTO series VALUES (1, 'ghost', 'temperature_c')", "device ghost, which does not exist"),
        (f"{PACK} VALUES (9, 1000, 77, 0, 21.5)", "frame number 77, but only 0"),
        (f"{PACK} VALUES (9, 1000, 0, 5, 21.5)", "1 packs of readings say of their clock"),
        (
            f"{TAP} VALUES ('a', 'r', 1, 1, 0, x'00', 'uid', 'b', 3), ('c', 'r', 1, 1, 0, x'', 'uid', 'b', 3)",
            "2 times",
        ),
        ("INSERT INTO card VALUES (x'00', 'ref0', 'nobody', 'uid', 0)", "card ref0 belongs to nobody"),
        ("INSERT INTO seen VALUES ('lab-7', 'b', x'0102', 0)", "boot b, are no ranges"),
    ],
)
def test_rows_that_disagree_are_found(
    run: Command, database: sqlite3.Connection, statement: str, complaint: str
) -> None:
    database.execute(statement)
    answer = run("verify-store")
    assert answer.code == 1
    assert complaint in answer.out


def test_a_broken_page_is_found(run: Command, database: sqlite3.Connection, tmp_path: Path) -> None:
    database.executemany(
        "INSERT INTO audit (at_us, actor, action, detail, count) VALUES (?, 'gateway', 'x', ?, 1)",
        [(number, "x" * 5_000) for number in range(50)],
    )
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    file = tmp_path / "data" / FILE_NAME
    content = bytearray(file.read_bytes())
    middle = len(content) * 3 // 4 // 4096 * 4096
    content[middle : middle + 4096] = bytes(4096)
    file.write_bytes(content)
    answer = run("verify-store")
    assert answer.code == 1
    assert "bad      pages of the file" in answer.out
    assert "keep a copy" in answer.err


def test_the_doctor_names_the_program_that_has_a_port(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("SCHOOLGATE_MQTT__HOST", "127.0.0.1")
        monkeypatch.setenv("SCHOOLGATE_MQTT__PORT", str(taken.getsockname()[1]))
        answer = run("doctor", "--json")
    assert answer.code == 1
    result = answer.json()
    assert isinstance(result, dict)
    (finding,) = [one for one in result["findings"] if one["subject"] == "port mqtt"]
    assert finding["verdict"] == "bad"
    assert f"process {os.getpid()}" in finding["text"]
    assert "SCHOOLGATE_MQTT__PORT" in finding["advice"]

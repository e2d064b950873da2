"""Dead letters, devices and commands as they are listed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, update

from devices import registry
from foundation.errors import NotFound
from gateway.fleet import commands, listing
from gateway.fleet.tables import command, device_status, kept_frame
from gateway.ingest import dead_letters
from gateway.ingest.tables import dead_letter
from tests.school_database import START_US, opened


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with opened(tmp_path) as connection:
        yield connection


@given(st.binary(max_size=10_000))
def test_any_payload_is_shown_as_text_of_at_most_4096_characters(payload: bytes) -> None:
    shown = dead_letters.shown(payload)
    assert len(shown) <= 4096
    assert shown.encode().decode() == shown


def test_text_is_shown_as_it_is_and_other_bytes_escaped() -> None:
    assert dead_letters.shown('{"größe": 1'.encode()) == '{"größe": 1'
    assert dead_letters.shown(b"a\xff\x00b") == "a\\xff\x00b"


def test_dead_letters_are_listed_newest_first_with_their_true_size(connection: Connection) -> None:
    for number in range(3):
        row = {"device_id": f"lab-{number % 2}", "topic": "sg/x", "reason": "not JSON", "received_us": START_US}
        connection.execute(insert(dead_letter).values(**row, payload=b"x" * 5000 * number))
    first = dead_letters.page(connection, None, None, 2)
    assert [(one.id, one.size, len(one.payload)) for one in first.items] == [("3", 10_000, 4096), ("2", 5000, 4096)]
    assert [one.id for one in dead_letters.page(connection, None, first.next, 2).items] == ["1"]
    assert [one.id for one in dead_letters.page(connection, "lab-1", None, 9).items] == ["2"]
    dead_letters.remove(connection, 2)
    with pytest.raises(NotFound):
        dead_letters.find(connection, 2)
    with pytest.raises(NotFound):
        dead_letters.remove(connection, 2)


def test_a_device_is_listed_with_its_liveness_and_what_is_kept_of_it(connection: Connection) -> None:
    registry.add(connection, "lab-1", "sensor", START_US, name="Lab", publish=["zigbee2mqtt/#"])
    registry.add(connection, "lab-2", "sensor", START_US)
    status = {"device_id": "lab-1", "is_online": True, "last_seen_us": START_US + 1}
    connection.execute(insert(device_status).values(status))
    for _ in range(3):
        row = {"device_id": "lab-1", "topic": "sg/lab-1/telemetry", "payload": b"{}", "received_us": START_US}
        connection.execute(insert(kept_frame).values(**row, is_retained=False))
    listed = listing.find(connection, "lab-1")
    assert (listed.online, listed.last_seen_at, listed.kept_frames) == (True, "2026-11-23T08:00:00.000001Z", 3)
    assert (listed.name, listed.state, listed.format, listed.publish) == ("Lab", "active", "native", ["zigbee2mqtt/#"])
    silent = listing.find(connection, "lab-2")
    assert (silent.online, silent.last_seen_at, silent.kept_frames) == (None, None, 0)


def test_devices_are_listed_by_id_and_state_page_by_page(connection: Connection) -> None:
    for number in range(4):
        registry.add(connection, f"lab-{number}", "sensor", START_US)
    registry.revoke(connection, "lab-1")
    first = listing.page(connection, None, None, 3)
    second = listing.page(connection, None, first.next, 3)
    assert [one.id for one in (*first.items, *second.items)] == ["lab-0", "lab-1", "lab-2", "lab-3"]
    assert [one.id for one in listing.page(connection, "revoked", None, 9).items] == ["lab-1"]
    assert {one.id for one in listing.several(connection, ["lab-3", "lab-0", "nobody"])} == {"lab-0", "lab-3"}


def test_commands_are_listed_newest_first_with_what_became_of_them(connection: Connection) -> None:
    made = [commands.create(connection, "lab-1", "led", b"{}", START_US + number // 2) for number in range(4)]
    commands.create(connection, "lab-2", "led", b"{}", START_US)
    connection.execute(update(command).where(command.c.id == made[3].id).values(acknowledged_us=START_US + 9))
    first = commands.page(connection, "lab-1", None, 3)
    second = commands.page(connection, "lab-1", first.next, 3)
    found = [*first.items, *second.items]
    assert {one.id for one in found} == {one.id for one in made}
    assert [one.created_at for one in found] == sorted((one.created_at for one in made), reverse=True)
    assert {one.id: one.state for one in found}[made[3].id] == "acknowledged"

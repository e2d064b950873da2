"""The registry: an entry that cannot be read costs that device its service, and nobody else theirs."""

from pathlib import Path

import pytest
import structlog.testing
from sqlalchemy import text

from devices import registry
from devices.registry import Registry
from gateway.fleet import listing
from tests.school_database import opened
from tests.writing_store import telemetry, writing_store


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("state", "retired"),
        ("format", "zigbee"),
        ("publish_grants", "[broken"),
        ("publish_grants", '{"not": "a list"}'),
        ("subscribe_grants", "[1]"),
        ("name", b"\xff\x00"),
        ("created_us", "yesterday"),
        ("adopted_us", b"\x01"),
        ("revision", "first"),
    ],
)
def test_an_entry_that_cannot_be_read_is_skipped_and_named_once(tmp_path: Path, column: str, value: object) -> None:
    view = Registry()
    with opened(tmp_path) as connection:
        for device_id in ("broken", "good"):
            registry.add(connection, device_id, "sensor", 1)
        change = text(f"UPDATE device SET {column} = :value WHERE id = 'broken'")
        connection.execute(change, {"value": value})
        with structlog.testing.capture_logs() as entries:
            assert view.refresh(connection)
            registry.add(connection, "next", "sensor", 1)
            assert view.refresh(connection)
    is_read = column == "revision"  # it only orders the entries
    assert set(view.devices) - {"broken"} == {"good", "next"}
    assert ("broken" in view.devices) is is_read
    said = [(entry["event"], entry["device_id"]) for entry in entries]
    assert said == ([] if is_read else [("device_unreadable", "broken")])
    assert str(value) not in str(entries)


def test_a_device_whose_grants_cannot_be_read_is_listed_without_any(tmp_path: Path) -> None:
    with opened(tmp_path) as connection:
        for device_id in ("broken", "good"):
            registry.add(connection, device_id, "sensor", 1, publish=["a/#"])
        connection.execute(text("UPDATE device SET publish_grants = '[broken' WHERE id = 'broken'"))
        listed = listing.page(connection, None, None, 10).items
    assert [(one.id, one.publish) for one in listed] == [("broken", []), ("good", ["a/#"])]


async def test_what_a_device_with_such_an_entry_sends_is_a_dead_letter(tmp_path: Path) -> None:
    async with writing_store(tmp_path) as store:
        for device_id in ("broken", "good"):
            await store.add_device(device_id)
        change = text("UPDATE device SET publish_grants = '[', revision = 99 WHERE id = 'broken'")
        await store.store.write(lambda connection: connection.execute(change))
    async with writing_store(tmp_path) as store:
        frames = [telemetry(device_id, '{"values":{"n":1}}') for device_id in ("broken", "good")]
        intake = await store.take(*frames)
        assert [reason for _, reason in intake.refused] == ["the device's entry in the registry cannot be read"]
        assert await store.rows("SELECT topic FROM dead_letter") == [("sg/broken/telemetry",)]
        assert await store.rows("SELECT device_id FROM reading JOIN series ON id = series_id") == [("good",)]

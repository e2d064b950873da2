"""What the log looks like, and that logging never fails or betrays."""

import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.sections import Log
from gateway.logs import Repeated, render_text, set_up


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Captured:
    """A log that goes to a file."""

    def __init__(self, file: Path, log: Log) -> None:
        self._file = file
        self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        set_up(log, self._descriptor)

    def lines(self) -> list[str]:
        return self._file.read_text("utf-8").splitlines()

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def text(tmp_path: Path) -> Iterator[Captured]:
    captured = Captured(tmp_path / "log", Log())
    yield captured
    captured.close()


@pytest.fixture
def as_json(tmp_path: Path) -> Iterator[Captured]:
    captured = Captured(tmp_path / "log", Log(level="debug", format="json"))
    yield captured
    captured.close()


def test_a_line_has_utc_time_level_event_and_fields(text: Captured) -> None:
    structlog.get_logger("store").warning("frame_refused", device_id="lab-7", reason="not JSON", size_bytes=3)
    (line,) = text.lines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z warning  frame_refused "
        r'device_id=lab-7 reason="not JSON" size_bytes=3 part=store',
        line,
    )


def test_json_is_one_object_a_line(as_json: Captured) -> None:
    structlog.get_logger("store").debug("found", path=Path("/x"), text="ä\n")
    (line,) = as_json.lines()
    event = json.loads(line)
    assert event.pop("at").endswith("Z")
    assert event == {"event": "found", "level": "debug", "part": "store", "path": "/x", "text": "ä\n"}


def test_what_is_below_the_level_is_not_written(text: Captured) -> None:
    structlog.get_logger().debug("unseen")
    logging.getLogger("some.library").info("unseen")
    assert text.lines() == []


def test_what_a_library_logs_is_an_event_of_ours(as_json: Captured) -> None:
    logging.getLogger("some.library").warning("took %d s", 3)
    (line,) = as_json.lines()
    event = json.loads(line)
    assert (event["event"], event["message"], event["part"]) == ("library_message", "took 3 s", "some")


def test_a_traceback_is_written_without_local_variables(text: Captured) -> None:
    def fail() -> None:
        card_number = "04A224B1"
        raise ValueError("cannot" if card_number else "")

    for log in (structlog.get_logger().exception, logging.getLogger("library").exception):
        try:
            fail()
        except ValueError:
            log("task_failed")
    written = "\n".join(text.lines())
    assert written.count("ValueError: cannot") == 2
    assert "04A224B1" not in written


@given(st.text())
def test_no_value_of_a_peer_begins_a_line_or_drives_the_terminal(value: str) -> None:
    line = render_text({"at": "T", "level": "info", "event": "sign_in_failed", "client_id": value}, is_coloured=False)
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert line.startswith("T info     sign_in_failed client_id=")


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    set_up(Log(), writing)
    structlog.get_logger().info("nobody_reads_this")
    os.close(writing)
    structlog.get_logger().info("the_descriptor_is_closed")


def test_a_full_disk_under_the_log_stops_nothing() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    set_up(Log(), full)
    structlog.get_logger().error("no_room")
    os.close(full)


def test_a_repeating_failure_is_logged_once_and_then_as_recovered(as_json: Captured) -> None:
    failure = Repeated(structlog.get_logger(), "broker_unreachable")
    failure.succeeded()
    for _ in range(5):
        failure.failed(host="broker")
    failure.succeeded(host="broker")
    failure.succeeded()
    events = [json.loads(line) for line in as_json.lines()]
    assert [event["event"] for event in events] == ["broker_unreachable", "recovered"]
    assert (events[1]["failure"], events[1]["previous_errors"]) == ("broker_unreachable", 5)

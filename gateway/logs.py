"""The log: one line an event on standard error, for people or as JSON. Times are UTC.

An event is a stable snake_case name with fields. No name, card number or payload of a pupil is ever a field.
"""

import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextlib import suppress

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from gateway.configuration.sections import Log

LEVEL_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31;1"}
FIRST_KEYS = frozenset({"at", "level", "event", "exception"})


class Line:
    """Writes lines to a file descriptor. One that cannot be written (full disk, closed pipe) is dropped: the
    gateway goes on, and nothing is buffered that could grow."""

    def __init__(self, descriptor: int, part: str = "") -> None:
        self._descriptor = descriptor
        self.part = part

    def msg(self, line: str) -> None:
        with suppress(OSError):
            os.write(self._descriptor, line.encode("utf-8", "backslashreplace") + b"\n")

    log = debug = info = warning = error = critical = exception = fatal = msg


class LibraryHandler(logging.Handler):
    """Passes what libraries log through `logging` to our log, as the event `library_message`."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name.partition(".")[0])
        fields: dict[str, object] = {"message": record.getMessage()}
        if record.exc_info is not None:
            fields["exc_info"] = record.exc_info
        log.log(record.levelno, "library_message", **fields)


def set_up(log: Log, descriptor: int | None = None) -> None:
    """Sends every log of this process to `descriptor`, standard error unless given."""
    where = sys.stderr.fileno() if descriptor is None else descriptor
    is_coloured = os.isatty(where) and "NO_COLOR" not in os.environ
    level = logging.getLevelNamesMapping()[log.level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _add_part,
            _add_exception,
            render_json if log.format == "json" else _text_renderer(is_coloured=is_coloured),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *names: Line(where, *names[:1]),
        cache_logger_on_first_use=True,
    )
    libraries = logging.getLogger()
    libraries.handlers[:] = [LibraryHandler()]
    libraries.setLevel(max(level, logging.WARNING))


def _add_part(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    part = getattr(logger, "part", "")
    if part:
        event.setdefault("part", part)
    return event


def _add_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Puts the traceback under `exception`, without local variables: they may hold what no log may."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    if isinstance(given, BaseException):
        given = (type(given), given, given.__traceback__)
    if isinstance(given, tuple) and given[0] is not None:
        event["exception"] = "".join(traceback.format_exception(*given)).rstrip()
    return event


def render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Returns the event as one line of JSON."""
    return json.dumps(event, default=str)


def _text_renderer(*, is_coloured: bool) -> Processor:
    def render(_logger: WrappedLogger, _method: str, event: MutableMapping[str, object]) -> str:
        return render_text(event, is_coloured=is_coloured)

    return render


def render_text(event: Mapping[str, object], *, is_coloured: bool) -> str:
    """Returns `2026-11-23T08:00:00.000000Z info     frame_refused device_id=lab-7 reason="not JSON"`.

    A value of a peer cannot begin a line or drive the terminal: what is not a plain word is quoted as JSON.
    """
    level = str(event.get("level", ""))
    label = f"{level:<8}"
    if is_coloured and level in LEVEL_COLOURS:
        label = f"\x1b[{LEVEL_COLOURS[level]}m{label}\x1b[0m"
    fields = "".join(f" {key}={_word(value)}" for key, value in event.items() if key not in FIRST_KEYS)
    line = f"{event.get('at', '')} {label} {event.get('event', '')}{fields}"
    exception = event.get("exception")
    return line if exception is None else f"{line}\n{exception}"


def _word(value: object) -> str:
    text = str(value)
    is_plain = text.isascii() and text.isprintable() and not set(text) & {" ", '"', "="} and text != ""
    return text if is_plain else json.dumps(text, ensure_ascii=not text.isprintable())


class Repeated:
    """A failure that may repeat: logged when it begins, and as recovered with the number of its errors."""

    def __init__(self, log: FilteringBoundLogger, event: str) -> None:
        self._log = log
        self._event = event
        self.errors = 0

    def failed(self, **fields: object) -> None:
        """Counts the failure; logs the first one."""
        if self.errors == 0:
            self._log.warning(self._event, **fields)
        self.errors += 1

    def succeeded(self, **fields: object) -> None:
        """Logs the recovery if something failed before; call it on every success."""
        if self.errors:
            self._log.info("recovered", failure=self._event, previous_errors=self.errors, **fields)
            self.errors = 0

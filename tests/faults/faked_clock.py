"""A gateway whose clock the test sets: Debian's libfaketime, which leaves the steady clock alone."""

from pathlib import Path

import pytest

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
TEN_YEARS_DAYS = 3652


class FakedClock:
    """How far the clock of the processes started from now on is off, and of those that run already."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert LIBRARIES, "this test needs Debian's libfaketime"
        self._file = directory / "clock"
        self.set(0)
        monkeypatch.setenv("LD_PRELOAD", str(LIBRARIES[0]))
        monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(self._file))
        monkeypatch.setenv("FAKETIME_CACHE_DURATION", "1")  # seconds until it looks again
        monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        monkeypatch.setenv("NO_FAKE_STAT", "1")

    def set(self, days: int) -> None:
        """The clock jumps to this many days from now, back to the right time with 0."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{days:+d}d\n")
        new.rename(self._file)

"""What the simulator tells the person or the program that started it."""

import json
import sys
import time
from typing import TextIO

_LINES_PER_S = 8
_PROGRESS_EVERY_S = 3.0


class Report:
    """Lines for people, or one JSON object a line.

    Events go to `out`; faults at most a few a second, the rest of them is counted. Progress goes to `err`: on a
    terminal it overwrites itself, elsewhere a line appears now and then.
    """

    def __init__(self, *, is_json: bool, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._is_json = is_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._is_terminal = self._err.isatty()
        self._is_line_open = False
        self._next_progress = 0.0
        self._next_note = 0.0
        self._second = 0
        self._in_second = 0
        self._unsaid = 0

    def event(self, kind: str, text: str, **fields: object) -> None:
        """Something that happened."""
        if self._is_json:
            self._print(json.dumps({"event": kind, "text": text, **fields}))
        else:
            self._print(text)

    def fault(self, text: str) -> None:
        """Something that was ordered to go wrong. Not every one of a hundred a second is told."""
        second = int(time.monotonic())
        if second != self._second:
            if self._unsaid:
                self.event("fault", f"  … and {self._unsaid} more faults")
            self._second, self._in_second, self._unsaid = second, 0, 0
        self._in_second += 1
        if self._in_second <= _LINES_PER_S:
            self.event("fault", text)
        else:
            self._unsaid += 1

    def progress(self, what: str, done: int, total: int) -> None:
        """How far long work has come; the last step is always told."""
        now = time.monotonic()
        if done < total and now < self._next_progress:
            return
        self._next_progress = now + (0.1 if self._is_terminal else _PROGRESS_EVERY_S)
        self.note(f"{what}: {done:,} of {total:,}", is_final=done >= total or not self._is_terminal)

    def note(self, text: str, *, is_final: bool = True) -> None:
        """A line of progress that the next one may overwrite; where it cannot, only some of those are told."""
        now = time.monotonic()
        if not is_final and not self._is_terminal:
            if now < self._next_note:
                return
            self._next_note = now + _PROGRESS_EVERY_S
        if self._is_terminal:
            self._err.write(f"\r\x1b[K{text}" + ("\n" if is_final else ""))
            self._is_line_open = not is_final
        else:
            self._err.write(text + "\n")
        self._err.flush()

    def _print(self, line: str) -> None:
        if self._is_line_open:
            self._err.write("\r\x1b[K")
            self._err.flush()
            self._is_line_open = False
        self._out.write(line + "\n")
        self._out.flush()

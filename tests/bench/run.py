"""One run of the benchmarks: how long it may take, where its files lie, whom it tells how far it is."""

import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from firmware_sim.report import Report

Choice = TypeVar("Choice")

CACHE = Path(".cache") / "bench"
"""On the disk that the gateway's data would be on, unlike a temporary directory in memory."""


class WrongResult(Exception):
    """What was measured did not do its work: its figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """`is_quick`: only shows that everything works. `repetitions`: of everything, interleaved with its baseline."""

    is_quick: bool
    repetitions: int
    directory: Path
    cache: Path
    report: Report

    def pick(self, full: Choice, quick: Choice) -> Choice:
        return quick if self.is_quick else full

    def say(self, text: str, *, is_final: bool = False) -> None:
        """Tells how far it is, on standard error."""
        self.report.note(text, is_final=is_final)

    @contextmanager
    def scratch(self, template: Path | None = None) -> Iterator[Path]:
        """Gives a directory that is gone afterwards, a copy of `template` if there is one."""
        path = Path(tempfile.mkdtemp(dir=self.directory)) / "data"
        if template is None:
            path.mkdir()
        else:
            shutil.copytree(template, path)
        try:
            yield path
        finally:
            shutil.rmtree(path.parent)


@contextmanager
def opened(*, is_quick: bool, repetitions: int) -> Iterator[Run]:
    """Gives a run whose directory is emptied at the end. What is expensive to make stays in the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="run-", dir=CACHE)).absolute()
    try:
        yield Run(is_quick, repetitions, directory, CACHE.absolute(), Report(is_json=False))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def quantile(values: Sequence[float], share: float) -> float:
    """Returns the smallest value that `share` of the values do not exceed; NaN where there are none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan

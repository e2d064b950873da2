"""`python -m tests.bench [NAMES …]`: figures with the machine they were taken on, as ratios to baselines.

Nothing is asserted about time. What is checked is that the work was done: a benchmark whose result is wrong says so,
and the exit code is 1.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.bench import fleet, ingest, live, pieces, range_query
from tests.bench.machine import machine
from tests.bench.run import Run, WrongResult, opened
from tests.bench.table import Table

BENCHMARKS: dict[str, Callable[[Run], list[Table]]] = {
    "ingest": ingest.run,
    "live": live.run,
    "fleet": fleet.run,
    "range": range_query.run,
    "pieces": pieces.run,
}

BUSY = 0.5
"""Programs that want a core, for each core: from here on the figures are worth less."""


def main() -> int:
    arguments = _arguments()
    _allow_many_connections()
    records: dict[str, object] = {}
    wrong: list[str] = []
    repetitions = arguments.repetitions or (1 if arguments.quick else 3)
    with opened(is_quick=arguments.quick, repetitions=repetitions) as bench:
        found = machine(bench.directory)
        print(found.text())
        if found.load > BUSY * found.cores:
            print("The machine is busy with other work: believe the ratios more than the figures, and neither much.")
        if arguments.quick:
            print("Quick: shows that the benchmarks work; the figures mean little.")
        for name in arguments.names or BENCHMARKS:
            began = time.monotonic()
            try:
                tables = BENCHMARKS[name](bench)
            except (WrongResult, AssertionError) as error:  # the second one: a server does not start, or ended
                wrong.append(f"{name}: {error}")
                print(f"\nWRONG  {name}: {error}", flush=True)
                continue
            for table in tables:
                print(f"\n{table.text()}", flush=True)
            seconds = round(time.monotonic() - began, 1)
            records[name] = {"seconds": seconds, "tables": [table.record() for table in tables]}
    if arguments.json is not None:
        record = {
            "machine": asdict(found),
            "is_quick": arguments.quick,
            "repetitions": repetitions,
            "benchmarks": records,
            "wrong": wrong,
        }
        arguments.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Figures with their baselines.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; none: all of them")
    parser.add_argument("--quick", action="store_true", help="short: only to see that everything works")
    parser.add_argument("--repetitions", type=int, metavar="N", help="of everything, in turn (3; quick: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    if arguments.repetitions is not None and arguments.repetitions < 1:
        parser.error("at least one repetition")
    return arguments


def _allow_many_connections() -> None:
    """The servers inherit this limit of open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())

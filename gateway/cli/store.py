"""`verify-store`."""

import dataclasses
import json
import sys

import typer

from gateway.cli.database import no_database
from gateway.cli.options import ConfigOption, DataOption, JsonOption, configured
from gateway.cli.printing import complain, progress


def verify_store(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check the database: the file itself, and that its rows agree with each other. Reads only."""
    configuration = configured(config, data).configuration
    from gateway.health.verification import CheckResult, verify
    from gateway.main import rooms
    from gateway.store.database import FILE_NAME

    path = configuration.node.data / FILE_NAME
    if not path.exists():
        raise no_database(path)
    results: list[CheckResult] = []
    for result in verify(path, rooms(configuration), on_progress=progress(sys.stderr.isatty())):
        results.append(result)
        if not as_json:
            verdict = "bad" if result.problems else "good"
            typer.echo(f"{verdict:<8} {result.name}: {result.examined:,} examined")
            for problem in result.problems:
                typer.echo(f"{'':<8} → {problem}")
    has_problems = any(result.problems for result in results)
    if as_json:
        listed = [dataclasses.asdict(result) for result in results]
        typer.echo(json.dumps({"path": str(path), "good": not has_problems, "checks": listed}, indent=2))
    if has_problems:
        complain(f"{path} is damaged: stop the gateway, keep a copy of the file, and start it again")
        raise typer.Exit(1)

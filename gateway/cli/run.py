"""`run` and `doctor`."""

import dataclasses
import gc
import json

import typer

from gateway.cli.options import ConfigOption, DataOption, JsonOption, configured


def run(config: ConfigOption = None, data: DataOption = None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    gc.disable()  # loading makes hardly any garbage, and looking for it takes a tenth of a start
    configuration = configured(config, data).configuration
    from gateway import main as gateway_main  # loads every part, so only here
    from gateway.logs import set_up

    set_up(configuration.log)
    gateway_main.run(configuration)


def doctor(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Look for what could keep the gateway from working, and say what to do about it."""
    configuration = configured(config, data).configuration
    from foundation.findings import Verdict
    from gateway.main import rooms

    findings = [finding for room in rooms(configuration) for finding in room.checks()]
    if as_json:
        listed = [dataclasses.asdict(finding) for finding in findings]
        typer.echo(json.dumps({"findings": listed}, indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.verdict.value:<8} {finding.subject:<18} {finding.text}")
            if finding.advice:
                typer.echo(f"{'':<27} → {finding.advice}")
    if any(finding.verdict is Verdict.BAD for finding in findings):
        raise typer.Exit(1)

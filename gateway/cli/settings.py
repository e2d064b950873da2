"""`check-config`: the configuration in force, and where each value came from."""

import json
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import ConfigOption, DataOption, JsonOption, configured
from gateway.configuration.layers import Effective, Setting, settings


def check_config(
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the reference of all keys.")] = False,
) -> None:
    """Print the configuration in force, and where each value came from."""
    if markdown:
        from gateway.configuration.reference import markdown as reference

        typer.echo(reference(), nl=False)
        return
    effective = configured(config, data)
    if as_json:
        tree: dict[str, dict[str, object]] = {}
        for setting in settings():
            described = {"value": _plain(effective, setting), "from": str(effective.origin(setting.name))}
            tree.setdefault(setting.section, {})[setting.key] = described
        typer.echo(json.dumps(tree, indent=2))
        return
    section = ""
    for setting in settings():
        if setting.section != section:
            typer.echo(f"{chr(10) if section else ''}[{setting.section}]")
            section = setting.section
        typer.echo(f"{_toml_line(effective, setting):<50} # {effective.origin(setting.name)}")


def _plain(effective: Effective, setting: Setting) -> object:
    """The value as JSON has it; a secret is only said to be set or not."""
    value = effective.value(setting)
    if setting.is_secret:
        return "(hidden)" if value else None
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _toml_line(effective: Effective, setting: Setting) -> str:
    value = _plain(effective, setting)
    if value is None or setting.is_secret:
        return f"# {setting.key} ="
    return f"{setting.key} = {json.dumps(value, ensure_ascii=False)}"

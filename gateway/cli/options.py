"""Options that every command has, and the configuration that they give."""

import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.configuration.layers import Effective, trace

ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="TOML file of the configuration.")]


DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Directory of everything the gateway keeps.")
]


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def configured(config: Path | None, data: Path | None) -> Effective:
    return trace(config, os.environ, {} if data is None else {"node.data": str(data)})

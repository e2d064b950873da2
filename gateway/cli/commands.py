"""The command `schoolgate`. Exit codes: 0 good, 1 a failure it explains, 2 wrong usage or configuration."""

import sys
from typing import NoReturn

import typer

from foundation.errors import SchoolgateError
from gateway.cli import devices, keys, run, settings, store
from gateway.cli.printing import complain
from gateway.errors import ConfigError

app = typer.Typer(
    help="A school's own edge gateway.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(run.run)
app.command("check-config")(settings.check_config)
app.command()(run.doctor)
app.command("verify-store")(store.verify_store)
app.add_typer(devices.app, name="devices")
app.add_typer(keys.app, name="keys")


def main() -> NoReturn:
    """The program's entry: an expected failure is explained on standard error, without a traceback."""
    try:
        app(prog_name="schoolgate")
    except ConfigError as error:
        complain(str(error))
        sys.exit(2)
    except SchoolgateError as error:
        complain(str(error))
        sys.exit(1)
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        sys.exit(1)
    sys.exit(0)

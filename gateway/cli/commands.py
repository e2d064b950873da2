"""The command `schoolgate`. Exit codes: 0 good, 1 a failure it explains, 2 wrong usage or configuration."""

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from foundation.errors import Conflict, Invalid, NotFound, SchoolgateError, Unavailable
from gateway.configuration.layers import Configuration, Effective, Setting, settings, trace
from gateway.errors import ConfigError, Corrupt

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.store.page import Page

T = TypeVar("T")

ACTOR = "gateway"
PAGE = 1_000

app = typer.Typer(
    help="A school's own edge gateway.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
devices_app = typer.Typer(help="Devices that may talk to the gateway.", no_args_is_help=True)
keys_app = typer.Typer(help="Keys for the API.", no_args_is_help=True)
app.add_typer(devices_app, name="devices")
app.add_typer(keys_app, name="keys")

ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="TOML file of the configuration.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Directory of everything the gateway keeps.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def run(config: ConfigOption = None, data: DataOption = None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    configuration = _configured(config, data).configuration
    from gateway import main as gateway_main  # loads every part, so only here
    from gateway.logs import set_up

    set_up(configuration.log)
    gateway_main.run(configuration)


@app.command("check-config")
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
    effective = _configured(config, data)
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


@app.command()
def doctor(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Look for what could keep the gateway from working, and say what to do about it."""
    configuration = _configured(config, data).configuration
    from gateway.health.doctor import Verdict, examine

    findings = examine(configuration)
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


@app.command("verify-store")
def verify_store(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check the database: the file itself, and that its rows agree with each other. Reads only."""
    configuration = _configured(config, data).configuration
    from foundation.clock import DAY_US
    from gateway.health.verification import CheckResult, verify
    from gateway.store.database import FILE_NAME

    path = configuration.node.data / FILE_NAME
    if not path.exists():
        raise _no_database(path)
    results: list[CheckResult] = []
    raw_from_us = _now_us() - (configuration.store.raw_days - 1) * DAY_US
    for result in verify(path, raw_from_us, on_progress=_progress(sys.stderr.isatty())):
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
        _complain(f"{path} is damaged: stop the gateway, keep a copy of the file, and start it again")
        raise typer.Exit(1)


@devices_app.command("add")
def add_device(
    device_id: Annotated[str, typer.Argument(metavar="ID")],
    kind: Annotated[str, typer.Option("--kind", help="What it is: sensor, reader, meter …")],
    name: Annotated[str, typer.Option("--name", help="What people call it.")] = "",
    place: Annotated[str, typer.Option("--place", help="Where it is.")] = "",
    publish: Annotated[
        list[str] | None,
        typer.Option("--publish", metavar="FILTER", help="One more topic filter it may publish to."),
    ] = None,
    subscribe: Annotated[
        list[str] | None,
        typer.Option("--subscribe", metavar="FILTER", help="One more filter it may subscribe to."),
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a device, and print its secret: it is shown this once."""
    configuration = _configured(config, data).configuration
    from devices import registry
    from devices.mqtt.topics import filter_fault
    from gateway.access import audit

    for topic_filter in (*(publish or ()), *(subscribe or ())):
        if (fault := filter_fault(topic_filter)) is not None:
            raise typer.BadParameter(f"{topic_filter!r}: {fault}")
    try:
        registry.check_id(device_id)
        registry.check_kind(kind)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with _connected(configuration, is_writing=True) as connection:
        try:
            secret = registry.add(
                connection,
                device_id,
                kind,
                _now_us(),
                name=name,
                place=place,
                publish=publish or (),
                subscribe=subscribe or (),
            )
        except registry.DeviceExists as error:
            raise Conflict(f"device {device_id} exists already: see schoolgate devices list") from error
        audit.record(connection, ACTOR, "device_added", f"{device_id} by the command line", _now_us())
    if as_json:
        typer.echo(json.dumps({"id": device_id, "secret": secret}))
    else:
        typer.echo(f"user name  {device_id}\npassword   {secret}\nThe password is shown this once.")


@devices_app.command("list")
def list_devices(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the devices, those that are only seen and those that are revoked too."""
    configuration = _configured(config, data).configuration
    from gateway.fleet import listing

    with _connected(configuration, is_writing=False) as connection:
        found = _every(lambda after_id: listing.page(connection, None, after_id, PAGE))
    if as_json:
        typer.echo(json.dumps({"items": [dataclasses.asdict(one) for one in found]}, indent=2))
        return
    online = {True: "yes", False: "no", None: ""}
    rows = [
        (one.id, one.kind, one.state, online[one.online], one.last_seen_at or "never", one.name, one.place)
        for one in found
    ]
    _table(("id", "kind", "state", "online", "last seen", "name", "place"), rows)


@devices_app.command("revoke")
def revoke_device(
    device_id: Annotated[str, typer.Argument(metavar="ID")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a device's right to talk; what it said stays."""
    configuration = _configured(config, data).configuration
    from devices import registry
    from gateway.access import audit

    with _connected(configuration, is_writing=True) as connection:
        try:
            registry.revoke(connection, device_id)
        except registry.UnknownDevice as error:
            raise NotFound(f"device {device_id}") from error
        audit.record(connection, ACTOR, "device_revoked", f"{device_id} by the command line", _now_us())
    typer.echo(json.dumps({"id": device_id, "state": "revoked"}) if as_json else f"{device_id} is revoked")


@keys_app.command("create")
def create_key(
    role: Annotated[str, typer.Option("--role", help="admin, operator, teacher, issuer, viewer or service.")],
    name: Annotated[str, typer.Option("--name", help="Whose it is, or what for.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="SCOPE", help="One thing that a service key may do."),
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create an API key and print it: it is shown this once."""
    configuration = _configured(config, data).configuration
    from gateway.access import audit, keys

    if role not in (roles := [known.value for known in keys.Role]):
        raise typer.BadParameter(f"there is no role {role!r}; the roles are {' '.join(roles)}")
    with _connected(configuration, is_writing=True) as connection:
        try:
            key, text = keys.create(connection, keys.Role(role), _now_us(), name=name, scopes=scope or ())
        except Invalid as error:
            raise typer.BadParameter(error.reason) from error
        audit.record(connection, ACTOR, "key_created", f"{key.id} {role} by the command line", _now_us())
    if as_json:
        typer.echo(json.dumps({"id": key.id, "key": text}))
    else:
        typer.echo(f"id   {key.id}\nkey  {text}\nThe key is shown this once.")


@keys_app.command("list")
def list_keys(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the API keys, revoked ones too; the keys themselves are stored nowhere."""
    configuration = _configured(config, data).configuration
    from foundation import rfc3339
    from gateway.access import keys

    with _connected(configuration, is_writing=False) as connection:
        found = _every(lambda after_id: keys.page(connection, after_id, PAGE))
    listed: list[dict[str, object]] = [
        {
            "id": key.id,
            "role": key.role.value,
            "name": key.name,
            "scopes": list(key.scopes),
            "created_at": rfc3339.text(key.created_us),
            "revoked_at": rfc3339.text_or_none(key.revoked_us),
        }
        for key in found
    ]
    if as_json:
        typer.echo(json.dumps({"items": listed}, indent=2))
        return
    columns = ("id", "role", "name", "created_at", "revoked_at")
    _table(
        tuple(column.replace("_at", "") for column in columns),
        [tuple(str(key[column] or "") for column in columns) for key in listed],
    )


@keys_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a key."""
    configuration = _configured(config, data).configuration
    from gateway.access import audit, keys

    with _connected(configuration, is_writing=True) as connection:
        keys.revoke(connection, key_id, _now_us())
        audit.record(connection, ACTOR, "key_revoked", f"{key_id} by the command line", _now_us())
    typer.echo(json.dumps({"id": key_id, "state": "revoked"}) if as_json else f"key {key_id} is revoked")


def main() -> NoReturn:
    """The program's entry: an expected failure is explained on standard error, without a traceback."""
    try:
        app(prog_name="schoolgate")
    except ConfigError as error:
        _complain(str(error))
        sys.exit(2)
    except SchoolgateError as error:
        _complain(str(error))
        sys.exit(1)
    except OSError as error:
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        sys.exit(1)
    sys.exit(0)


def _configured(config: Path | None, data: Path | None) -> Effective:
    return trace(config, os.environ, {} if data is None else {"node.data": str(data)})


@contextmanager
def _connected(configuration: Configuration, *, is_writing: bool) -> "Iterator[Connection]":
    """One transaction beside a running gateway; to write, on a new database if there is none yet.

    Raises Conflict, Corrupt or Unavailable for a database that cannot be used.
    """
    from sqlalchemy.exc import DatabaseError

    from gateway.store.database import FILE_NAME, is_damage, is_empty, open_engine, prepare
    from gateway.store.revision import Fit, fit_of

    path = configuration.node.data / FILE_NAME
    try:
        if not path.exists() and not is_writing:
            raise _no_database(path)
        if is_writing and is_empty(path):  # nobody has made it, or somebody is making it right now
            prepare(path)
        engine = open_engine(path, read_only=not is_writing)
        try:
            with engine.begin() as connection:
                if fit_of(connection) is not Fit.CURRENT:
                    raise Conflict(f"{path} was made by another version: restart the gateway, it migrates the file")
                yield connection
        finally:
            engine.dispose()
    except DatabaseError as error:
        if is_damage(error):
            raise Corrupt(path, f"{error.orig}; restart the gateway: it sets the file aside and goes on") from error
        raise Unavailable(f"{path} cannot be used: {error.orig}", retry_after_s=30.0) from error


def _no_database(path: Path) -> Unavailable:
    return Unavailable(f"{path} is not there: is --data right, was the gateway ever started?", retry_after_s=0.0)


def _every(page: "Callable[[str | None], Page[T, str]]") -> list[T]:
    """The items of all pages."""
    found: list[T] = []
    after_id: str | None = None
    while True:
        one = page(after_id)
        found += one.items
        after_id = one.next
        if after_id is None:
            return found


def _now_us() -> int:
    return time.time_ns() // 1000


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


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        typer.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _progress(is_terminal: bool) -> Callable[[str], None]:
    """Writes what is being done to standard error: on a terminal in one line that is written over."""
    if not is_terminal:
        return lambda _what: None

    def show(what: str) -> None:
        typer.echo(f"\r\x1b[K{what}", nl=False, err=True)

    return show


def _complain(text: str) -> None:
    typer.echo(f"schoolgate: {text}", err=True)

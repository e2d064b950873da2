"""`keys create`, `list` and `revoke`."""

import json
from typing import Annotated

import typer

from foundation.clocks import wall_us
from foundation.errors import Invalid
from gateway.cli.database import ACTOR, PAGE, connected, every
from gateway.cli.options import ConfigOption, DataOption, JsonOption, configured
from gateway.cli.printing import print_table

app = typer.Typer(help="Keys for the API.", no_args_is_help=True)


@app.command("create")
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
    configuration = configured(config, data).configuration
    from gateway.access import audit, keys

    if role not in (roles := [known.value for known in keys.Role]):
        raise typer.BadParameter(f"there is no role {role!r}; the roles are {' '.join(roles)}")
    with connected(configuration, is_writing=True) as connection:
        try:
            key, text = keys.create(connection, keys.Role(role), wall_us(), name=name, scopes=scope or ())
        except Invalid as error:
            raise typer.BadParameter(error.reason) from error
        audit.record(connection, ACTOR, "key_created", f"{key.id} {role} by the command line", wall_us())
    if as_json:
        typer.echo(json.dumps({"id": key.id, "key": text}))
    else:
        typer.echo(f"id   {key.id}\nkey  {text}\nThe key is shown this once.")


@app.command("list")
def list_keys(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the API keys, revoked ones too; the keys themselves are stored nowhere."""
    configuration = configured(config, data).configuration
    from foundation import rfc3339
    from gateway.access import keys

    with connected(configuration, is_writing=False) as connection:
        found = every(lambda after_id: keys.page(connection, after_id, PAGE))
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
    print_table(
        tuple(column.replace("_at", "") for column in columns),
        [tuple(str(key[column] or "") for column in columns) for key in listed],
    )


@app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a key."""
    configuration = configured(config, data).configuration
    from gateway.access import audit, keys

    with connected(configuration, is_writing=True) as connection:
        keys.revoke(connection, key_id, wall_us())
        audit.record(connection, ACTOR, "key_revoked", f"{key_id} by the command line", wall_us())
    typer.echo(json.dumps({"id": key_id, "state": "revoked"}) if as_json else f"key {key_id} is revoked")

"""`devices add`, `list` and `revoke`."""

import dataclasses
import json
from typing import Annotated

import typer

from foundation.clocks import wall_us
from foundation.errors import Conflict, NotFound
from gateway.cli.database import ACTOR, PAGE, connected, every
from gateway.cli.options import ConfigOption, DataOption, JsonOption, configured
from gateway.cli.printing import print_table

app = typer.Typer(help="Devices that may talk to the gateway.", no_args_is_help=True)


@app.command("add")
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
    configuration = configured(config, data).configuration
    from devices import ids, registry
    from devices.mqtt.topics import filter_fault
    from gateway.access import audit

    for topic_filter in (*(publish or ()), *(subscribe or ())):
        if (fault := filter_fault(topic_filter)) is not None:
            raise typer.BadParameter(f"{topic_filter!r}: {fault}")
    try:
        ids.check_id(device_id)
        ids.check_kind(kind)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with connected(configuration, is_writing=True) as connection:
        try:
            secret = registry.add(
                connection,
                device_id,
                kind,
                wall_us(),
                name=name,
                place=place,
                publish=publish or (),
                subscribe=subscribe or (),
            )
        except registry.DeviceExists as error:
            raise Conflict(f"device {device_id} exists already: see schoolgate devices list") from error
        audit.record(connection, ACTOR, "device_added", f"{device_id} by the command line", wall_us())
    if as_json:
        typer.echo(json.dumps({"id": device_id, "secret": secret}))
    else:
        typer.echo(f"user name  {device_id}\npassword   {secret}\nThe password is shown this once.")


@app.command("list")
def list_devices(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the devices, those that are only seen and those that are revoked too."""
    configuration = configured(config, data).configuration
    from gateway.fleet import listing

    with connected(configuration, is_writing=False) as connection:
        found = every(lambda after_id: listing.page(connection, None, after_id, PAGE))
    if as_json:
        typer.echo(json.dumps({"items": [dataclasses.asdict(one) for one in found]}, indent=2))
        return
    online = {True: "yes", False: "no", None: ""}
    rows = [
        (one.id, one.kind, one.state, online[one.online], one.last_seen_at or "never", one.name, one.place)
        for one in found
    ]
    print_table(("id", "kind", "state", "online", "last seen", "name", "place"), rows)


@app.command("revoke")
def revoke_device(
    device_id: Annotated[str, typer.Argument(metavar="ID")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a device's right to talk; what it said stays."""
    configuration = configured(config, data).configuration
    from devices import registry
    from gateway.access import audit

    with connected(configuration, is_writing=True) as connection:
        try:
            registry.revoke(connection, device_id)
        except registry.UnknownDevice as error:
            raise NotFound(f"device {device_id}") from error
        audit.record(connection, ACTOR, "device_revoked", f"{device_id} by the command line", wall_us())
    typer.echo(json.dumps({"id": device_id, "state": "revoked"}) if as_json else f"{device_id} is revoked")

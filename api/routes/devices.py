"""Devices: the registry, adoption, secrets and commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import Field, JsonValue
from sqlalchemy import Connection
from starlette.responses import Response

from api import cursors
from api.answers import Answer, Listing, paged
from api.auth import Caller, GuardedRoute, requires
from api.cursors import AfterNumberAndText, AfterText
from api.fields import Body, DeviceId, DeviceKind, DevicePath, IdempotencyKey, Limit, MaybeEmptyName, TopicFilter
from api.idempotency import once
from api.problems import documented
from devices import registry
from devices.mqtt.topics import filter_fault
from foundation.errors import Conflict, Invalid, NotFound
from gateway.access import audit
from gateway.access.keys import Permission
from gateway.fleet import adoption, commands, listing
from gateway.fleet.commands import Command
from gateway.fleet.listing import ListedDevice, State

MAX_PAYLOAD: Final = 64 << 10

router = APIRouter(prefix="/api/v1/devices", tags=["devices"], route_class=GuardedRoute)

Reader = Annotated[Caller, Depends(requires(Permission.DEVICES_READ))]
Writer = Annotated[Caller, Depends(requires(Permission.DEVICES_WRITE))]
Filters = Annotated[list[TopicFilter], Field(max_length=100)]


class NewDevice(Body):
    """A device to add. `publish` and `subscribe`: topic filters beyond its own topics."""

    id: DeviceId
    kind: DeviceKind
    name: MaybeEmptyName = ""
    place: MaybeEmptyName = ""
    publish: Filters = Field(default_factory=list)
    subscribe: Filters = Field(default_factory=list)


class Description(Body):
    """What to change of a device; what is left out stays."""

    kind: DeviceKind | None = None
    name: MaybeEmptyName | None = None
    place: MaybeEmptyName | None = None


class NewCommand(Body):
    """A command: `payload` is published as JSON on the device's `cmd/<name>` topic."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    payload: JsonValue = None


@dataclass(frozen=True, slots=True)
class AddedDevice(ListedDevice):
    """The device, and its secret: it is shown this once."""

    secret: str


@dataclass(frozen=True, slots=True)
class DeviceSecret:
    """A device's new secret: it is shown this once."""

    id: str
    secret: str


@dataclass(frozen=True, slots=True)
class Adoption:
    """The adopted device, and how many frames that were kept of it are stored now."""

    device: ListedDevice
    replayed: int


@router.get("", response_model=Listing[ListedDevice], responses=documented(400, 401, 403, 503))
async def list_devices(
    caller: Reader,
    state: Annotated[State | None, Query(description="In this state only")] = None,
    limit: Limit = 100,
    after: AfterText = None,
) -> Response:
    """Devices in order of their ids."""
    position = cursors.text(after)
    page = await caller.parts.store.read(lambda connection: listing.page(connection, state, position, limit))
    return paged(page, lambda device_id: (device_id,))


@router.post(
    "", status_code=201, response_model=AddedDevice, responses=documented(400, 401, 403, 409, 413, 415, 422, 503)
)
async def add_device(caller: Writer, device: NewDevice, idempotency_key: IdempotencyKey = None) -> Response:
    """Adds a device that may talk at once."""
    for topic_filter in (*device.publish, *device.subscribe):
        fault = filter_fault(topic_filter)
        if fault is not None:
            raise Invalid(f"{topic_filter!r}: {fault}")
    now_us = caller.parts.now_us()

    def create(connection: Connection) -> AddedDevice:
        with _known(device.id):
            secret = registry.add(
                connection,
                device.id,
                device.kind,
                now_us,
                name=device.name,
                place=device.place,
                publish=device.publish,
                subscribe=device.subscribe,
            )
        audit.record(connection, caller.actor, "device_added", device.id, now_us)
        return AddedDevice(**asdict(listing.find(connection, device.id)), secret=secret)

    async def then(_device: AddedDevice) -> None:
        await _registry_changed(caller, device.id)

    return await once(caller, idempotency_key, create, then)


@router.get("/{id}", response_model=ListedDevice, responses=documented(400, 401, 403, 404, 503))
async def get_device(caller: Reader, device_id: DevicePath) -> Response:
    """One device."""
    return Answer(await caller.parts.store.read(lambda connection: listing.find(connection, device_id)))


@router.patch("/{id}", response_model=ListedDevice, responses=documented(400, 401, 403, 404, 413, 415, 503))
async def change_device(caller: Writer, device_id: DevicePath, description: Description) -> Response:
    """Changes what a device is called, what it is, or where."""

    def change(connection: Connection) -> ListedDevice:
        _describe(connection, device_id, description)
        audit.record(connection, caller.actor, "device_changed", device_id, caller.parts.now_us())
        return listing.find(connection, device_id)

    changed = await caller.parts.store.write(change)
    await _registry_changed(caller, device_id)
    return Answer(changed)


@router.delete("/{id}", status_code=204, responses=documented(400, 401, 403, 404, 503))
async def revoke_device(caller: Writer, device_id: DevicePath) -> Response:
    """Ends a device's right to talk. What it said stays, and so does its entry."""

    def revoke(connection: Connection) -> None:
        with _known(device_id):
            registry.revoke(connection, device_id)
        audit.record(connection, caller.actor, "device_revoked", device_id, caller.parts.now_us())

    await caller.parts.store.write(revoke)
    await _registry_changed(caller, device_id)
    return Response(status_code=204)


@router.post("/{id}/adopt", response_model=Adoption, responses=documented(400, 401, 403, 404, 409, 413, 415, 503))
async def adopt_device(
    caller: Writer,
    device_id: DevicePath,
    description: Description | None = None,
) -> Response:
    """Makes a device that was only seen an active one, and stores what was kept of it."""

    def adopt(connection: Connection) -> None:
        found = listing.find(connection, device_id)
        if found.state == "revoked":
            raise Conflict(f"device {device_id} is revoked: give it a new secret to let it talk again")
        now_us = caller.parts.now_us()
        if description is not None:
            _describe(connection, device_id, description)
        if found.state == "seen":
            registry.adopt(connection, device_id, now_us)
            audit.record(connection, caller.actor, "device_adopted", device_id, now_us)

    parts = caller.parts
    await parts.store.write(adopt)
    await _registry_changed(caller, device_id)
    replayed = await adoption.replay_device(parts.store, device_id)
    parts.live.note_devices([device_id])
    return Answer(Adoption(await parts.store.read(lambda connection: listing.find(connection, device_id)), replayed))


@router.post("/{id}/secret", response_model=DeviceSecret, responses=documented(400, 401, 403, 404, 503))
async def renew_secret(caller: Writer, device_id: DevicePath) -> Response:
    """Gives a device a new secret; the old one ends. A revoked or merely seen device becomes active."""

    def renew(connection: Connection) -> str:
        now_us = caller.parts.now_us()
        with _known(device_id):
            secret = registry.renew_secret(connection, device_id, now_us)
        audit.record(connection, caller.actor, "device_secret_renewed", device_id, now_us)
        return secret

    secret = await caller.parts.store.write(renew)
    await _registry_changed(caller, device_id)
    return Answer(DeviceSecret(device_id, secret))


@router.get("/{id}/commands", response_model=Listing[Command], responses=documented(400, 401, 403, 404, 503))
async def list_commands(
    caller: Reader,
    device_id: DevicePath,
    limit: Limit = 100,
    after: AfterNumberAndText = None,
) -> Response:
    """A device's commands, newest first."""
    position = cursors.number_and_text(after)

    def query(connection: Connection) -> Response:
        listing.find(connection, device_id)
        return paged(commands.page(connection, device_id, position, limit), lambda last: last)

    return await caller.parts.store.read(query)


@router.post(
    "/{id}/commands",
    status_code=201,
    response_model=Command,
    responses=documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
async def send_command(
    caller: Writer,
    device_id: DevicePath,
    command: NewCommand,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Sends a command to a device, at once or as soon as it is connected."""
    payload = msgspec.json.encode(command.payload)
    if len(payload) > MAX_PAYLOAD:
        raise Invalid(f"the payload is longer than {MAX_PAYLOAD} bytes")

    def create(connection: Connection) -> Command:
        found = listing.find(connection, device_id)
        if found.state != "active":
            raise Conflict(f"device {device_id} is {found.state}: it takes no commands")
        now_us = caller.parts.now_us()
        audit.record(connection, caller.actor, "command_sent", f"{device_id} {command.name}", now_us)
        return commands.create(connection, device_id, command.name, payload, now_us)

    async def then(sent: Command) -> None:
        caller.parts.fleet.send_command(device_id, sent.name, payload)

    return await once(caller, idempotency_key, create, then)


@contextmanager
def _known(device_id: str) -> Iterator[None]:
    """Translates the registry's errors."""
    try:
        yield
    except registry.UnknownDevice as error:
        raise NotFound(f"device {device_id}") from error
    except registry.DeviceExists as error:
        raise Conflict(f"device {device_id} exists already") from error
    except ValueError as error:
        raise Invalid(str(error)) from error


def _describe(connection: Connection, device_id: str, description: Description) -> None:
    given = description.model_dump(exclude_none=True)
    if given:
        with _known(device_id):
            registry.change(connection, device_id, **given)
    else:
        listing.find(connection, device_id)


async def _registry_changed(caller: Caller, device_id: str) -> None:
    """Has the doors and the stages go by the new registry, and tells the listeners."""
    parts = caller.parts
    await parts.store.read(parts.fleet.registry.refresh)
    parts.alerts.devices_changed()
    parts.live.note_devices([device_id])

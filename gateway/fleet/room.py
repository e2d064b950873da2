"""What the fleet declares: the registry and all that is known of devices. Open, it follows the registry."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import devices.tables
from devices.registry import Registry
from foundation.room import Room
from gateway.fleet import adoption, tables
from gateway.fleet.following import follow
from gateway.store.store import Store
from gateway.supervision import Supervisor


@dataclass(frozen=True, slots=True)
class Fleet:
    """The devices, for whoever looks in. `send_command(device_id, name, payload)`: hands a command, which is stored
    already, to the ways out."""

    registry: Registry
    send_command: Callable[[str, str, bytes], None]


def fleet_room() -> Room:
    return Room(name="fleet", tables=(devices.tables.metadata, tables.metadata), statements=adoption.STATEMENTS)


@asynccontextmanager
async def open_fleet(
    store: Store, registry: Registry, supervisor: Supervisor, on_change: Callable[[], None]
) -> AsyncIterator[None]:
    """Notices what other processes change in the registry, until left; `on_change` is told."""
    async with supervisor.running("registry", partial(follow, store, registry, on_change)):
        yield

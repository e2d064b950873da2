"""All devices of a school on one event loop: connects them, reconnects them with back-off, keeps them alive."""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from firmware_sim.device_client import DeviceClient

_CONNECTING_AT_ONCE = 16
_TURN_S = 0.1
_KEEP_ALIVE_EVERY_S = 1.0
_FIRST_BACK_OFF_S = 0.5
_LONGEST_BACK_OFF_S = 20.0
_GOODBYE_S = 3.0


@dataclass(frozen=True, slots=True)
class FleetState:
    """The fleet in numbers. `waiting`: messages that devices keep; `refused_devices`: those not let in."""

    devices: int
    online: int
    sent: int
    acknowledged: int
    waiting: int
    dropped: int
    refused: int
    connections: int
    commands: int
    refused_devices: int


class Fleet:
    """Owns the devices' connections from `run` until it is cancelled, then says goodbye for all of them."""

    def __init__(self, clients: Iterable[DeviceClient], rng: random.Random) -> None:
        self.clients = {client.id: client for client in clients}
        self._rng = rng
        self._not_before: dict[str, float] = {}
        self._back_off_s: dict[str, float] = {}
        self._seen_connections: dict[str, int] = {}
        self._limit = asyncio.Semaphore(_CONNECTING_AT_ONCE)
        self._last_error = ""

    @property
    def trouble(self) -> str:
        """Why devices are offline, as far as they know."""
        refusals = {client.refusal for client in self.clients.values() if client.refusal}
        return ", ".join(sorted(refusals)) or self._last_error

    def state(self) -> FleetState:
        clients = self.clients.values()
        acknowledged = sum(client.outbox.acknowledged for client in clients)
        waiting = sum(len(client.outbox) for client in clients)
        dropped = sum(client.outbox.dropped for client in clients)
        return FleetState(
            devices=len(self.clients),
            online=sum(client.is_online for client in clients),
            sent=acknowledged + waiting + dropped,
            acknowledged=acknowledged,
            waiting=waiting,
            dropped=dropped,
            refused=sum(client.refused for client in clients),
            connections=sum(client.connections for client in clients),
            commands=sum(client.commands for client in clients),
            refused_devices=sum(bool(client.refusal) for client in clients),
        )

    async def run(self) -> None:
        """Keeps every plugged-in device connected. Ends only by cancellation, with all connections closed."""
        loop = asyncio.get_running_loop()
        keep_alive_at = loop.time()
        try:
            async with asyncio.TaskGroup() as connecting:
                while True:
                    now = loop.time()
                    for client in self.clients.values():
                        if client.is_plugged and client.is_idle and self._not_before.get(client.id, 0.0) <= now:
                            self._schedule(client, now)
                            connecting.create_task(self._connect(client), name=f"connect {client.id}")
                    if now >= keep_alive_at:
                        keep_alive_at = now + _KEEP_ALIVE_EVERY_S
                        for client in self.clients.values():
                            client.tick()
                    await asyncio.sleep(_TURN_S)
        finally:
            async with asyncio.TaskGroup() as leaving:
                for client in self.clients.values():
                    leaving.create_task(client.say_goodbye(_GOODBYE_S), name=f"goodbye {client.id}")

    async def until_online(self, share: float, on_progress: Callable[[int], None]) -> None:
        """Waits until `share` of the devices are online."""
        wanted = round(share * len(self.clients))
        while (online := self.state().online) < wanted:
            on_progress(online)
            await asyncio.sleep(_TURN_S)
        on_progress(online)

    def _schedule(self, client: DeviceClient, now: float) -> None:
        """When to try again if this attempt comes to nothing: twice as late as the last time, with jitter."""
        was_good = client.connections > self._seen_connections.get(client.id, 0)
        self._seen_connections[client.id] = client.connections
        previous = self._back_off_s.get(client.id, 0.0)
        back_off_s = _FIRST_BACK_OFF_S if was_good else min(_LONGEST_BACK_OFF_S, previous * 2 or _FIRST_BACK_OFF_S)
        self._back_off_s[client.id] = back_off_s
        self._not_before[client.id] = now + back_off_s * self._rng.uniform(0.7, 1.3)

    async def _connect(self, client: DeviceClient) -> None:
        async with self._limit:
            if not client.is_plugged or not client.is_idle:
                return
            try:
                await client.connect()
            except OSError as error:
                self._last_error = error.strerror or str(error)

"""The bridge to a broker that the school already runs, opened if there is one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from foundation.clocks import wall_us
from foundation.findings import Finding
from foundation.room import Room
from gateway.configuration import sections
from gateway.core import Core
from gateway.supervision import Supervisor

if TYPE_CHECKING:
    from devices.mqtt.client.bridge import Bridge, BridgeSettings


def bridge_room(section: sections.Bridge) -> Room:
    return Room(name="bridge", checks=partial(_check, section))


def _check(section: sections.Bridge) -> Iterator[Finding]:
    if section.enabled:
        from devices.mqtt.client.examination import check_bridge

        yield from check_bridge(_settings(section))


@asynccontextmanager
async def open_bridge(section: sections.Bridge, core: Core, supervisor: Supervisor) -> AsyncIterator["Bridge | None"]:
    """Holds a connection until left; yields None if there is no broker."""
    if not section.enabled:
        yield None
        return
    from devices.mqtt.client.bridge import Bridge  # loads paho-mqtt, so only where there is a broker

    bridge = Bridge(_settings(section), core.writer, wall_us)
    async with supervisor.running("bridge", bridge.run):
        yield bridge


def _settings(section: sections.Bridge) -> "BridgeSettings":
    from devices.mqtt.client.bridge import BridgeSettings

    return BridgeSettings(
        host=section.host,
        port=section.port,
        client_id=section.client_id,
        username=section.username or None,
        password=section.password.get_secret_value() or None,
        tls=section.tls,
        ca_file=section.ca_file,
        subscribe=section.subscribe,
        receive_max=section.receive_max,
        session_expiry_s=section.session_expiry_s,
        canary_s=section.canary_s,
    )

"""The life of the program: has every room declare itself, opens the rooms in order, and ends them in order.

Opening: the store, the stages that read commits, the ways in, the ways to look in. Closing is the other way round: the
ways to look in end, the ways in stop while the writer goes on, the stages drain, the writer commits the rest and the
store closes. What is committed after the stages have drained is found by the next start.

A new room is one line in `rooms`, which says what it declares, and one in `Life._open`, which opens it.
"""

import asyncio
import gc
import random
import resource
import signal
from contextlib import AsyncExitStack, suppress
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog
import uvloop
from sqlalchemy.exc import DatabaseError

from api.app import build
from api.parts import Parts
from devices.mqtt.server.broker import Broker
from foundation.backoff import Backoff
from foundation.clocks import wall_us
from foundation.errors import Unavailable
from foundation.room import Reports, Room
from gateway import clockwatch
from gateway.access.room import access_room
from gateway.alerts import listing
from gateway.alerts.lifecycle import Change
from gateway.alerts.room import alerts_room, open_alerts
from gateway.attendance.room import attendance_room
from gateway.configuration.sections import Configuration
from gateway.core import open_core
from gateway.doors.bridge import bridge_room, open_bridge
from gateway.doors.http import http_room, open_http
from gateway.doors.mqtt import mqtt_room, open_mqtt
from gateway.fleet.room import Fleet, fleet_room, open_fleet
from gateway.health.report import Report
from gateway.ingest.room import ingest_room
from gateway.live.hub import Hub, Kind
from gateway.live.room import open_live
from gateway.people.cards import load_key
from gateway.people.room import card_key_file, people_room
from gateway.readings.room import readings_room
from gateway.schedule import scheduled
from gateway.store import data_directory, database, sqlite
from gateway.store.room import store_room
from gateway.supervision import Supervisor
from gateway.tls.certificates import Certificates, tls_room

if TYPE_CHECKING:
    from devices.mqtt.client.bridge import Bridge

log = structlog.get_logger("gateway")

START_AGAIN_AFTER_S = 1.0
START_AGAIN_AT_MOST_AFTER_S = 60.0

GC_THRESHOLDS = (50_000, 20, 50)
"""A group's rows are thousands of tuples without cycles; by default each 700 of them are searched for some."""


def rooms(configuration: Configuration) -> tuple[Room, ...]:
    """Returns every room's declaration, in the order in which people are told of them."""
    data, kept, privacy = configuration.node.data, configuration.store, configuration.privacy
    return (
        store_room(data),
        readings_room(kept),
        attendance_room(privacy),
        ingest_room(),
        fleet_room(),
        people_room(data, privacy),
        access_room(data, kept),
        alerts_room(kept),
        tls_room(data),
        mqtt_room(configuration.mqtt, configuration.mqtts),
        bridge_room(configuration.bridge),
        http_room(configuration.http, configuration.https),
    )


def run(configuration: Configuration) -> None:
    """Runs the gateway until SIGTERM or SIGINT; starts again by itself, with back-off, if the database is found
    damaged.

    Raises Conflict if another gateway runs on the data directory, ConfigError, Corrupt, Unavailable if the database
    cannot be used, and OSError if a door cannot be opened.
    """
    gc.freeze()  # what is loaded by now stays for good; to collect it first would take a tenth of a second
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()
    allow_many_connections()
    with data_directory.held(configuration.node.data):
        uvloop.run(_live(configuration))


def allow_many_connections() -> None:
    """Raises the process's soft limit of open files, often 1,024, to its hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _live(configuration: Configuration) -> None:
    """One life after the other, until told to end."""
    loop = asyncio.get_running_loop()
    told_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_end.set)
    backoff = Backoff(START_AGAIN_AFTER_S, START_AGAIN_AT_MOST_AFTER_S, random.random)
    while not told_to_end.is_set():
        started_s = loop.time()
        await Life(configuration, told_to_end).run()
        if told_to_end.is_set():
            break
        backoff.note_lived(loop.time() - started_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(backoff.next_s()):
                await told_to_end.wait()
        log.warning("starting_again")


class Life:
    """One life of the program, from opening the database to closing it. `told_to_end` ends it; so does damage, and
    then the next one sets the file aside."""

    def __init__(self, configuration: Configuration, told_to_end: asyncio.Event) -> None:
        self._configuration = configuration
        self._told_to_end = told_to_end
        self._path = configuration.node.data / database.FILE_NAME
        self._damage: str | None = None
        self._is_damaged = asyncio.Event()
        self._started_us = wall_us()

    async def run(self) -> None:
        """Opens everything, runs until it ends, closes everything. Raises what `run` does."""
        try:
            async with AsyncExitStack() as stack:
                await self._open(stack)
                await self._until_over()
                log.info("stopping")
        except (DatabaseError, Unavailable) as error:
            self._explain(error)
        log.info("stopped")

    async def _until_over(self) -> None:
        events = [asyncio.create_task(event.wait()) for event in (self._told_to_end, self._is_damaged)]
        await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        for event in events:
            event.cancel()

    def _explain(self, error: DatabaseError | Unavailable) -> None:
        """Lets the next life begin if the error came of a damaged file. Raises Unavailable if it did not."""
        if isinstance(error, DatabaseError):
            if not sqlite.is_damage(error):
                raise Unavailable(f"{self._path} cannot be used: {error.orig}", retry_after_s=30.0) from error
            database.mark_damaged(self._path)
            self._damage = str(error.orig)
        if self._damage is None and not database.is_marked_damaged(self._path):
            raise error
        log.error("database_damaged", path=str(self._path), damage=self._damage)

    def _on_damage(self, damage: str) -> None:
        if self._damage is None:
            log.error("database_damaged", path=str(self._path), damage=damage)
        self._damage = damage
        self._is_damaged.set()

    async def _open(self, stack: AsyncExitStack) -> None:
        configuration, data = self._configuration, self._configuration.node.data
        open_ = stack.enter_async_context
        supervisor = Supervisor()
        certificates = Certificates(data, configuration.node.name)
        school_key = load_key(card_key_file(data, configuration.privacy))
        declared = rooms(configuration)
        core = await open_(open_core(configuration, declared, school_key, self._on_damage))
        store, stages = core.store, core.stages
        hub = await open_(open_live(core.run_no, store, core.catalogue.series, stages, supervisor))
        tell = partial(_tell_alert, hub)
        alerts = await open_(open_alerts(configuration.alerts, store, core.catalogue, stages, supervisor, tell))
        await open_(open_fleet(store, core.registry, supervisor, alerts.devices_changed))
        clock_was_set = stack.enter_context(scheduled(store, declared, wall_us, core.is_clock_right))
        watch = partial(clockwatch.watch, core.clock, core.note_clock, clock_was_set)
        await open_(supervisor.running("clock", watch))
        door = await open_(open_mqtt(configuration.mqtt, configuration.mqtts, core, certificates, supervisor))
        bridge = await open_(open_bridge(configuration.bridge, core, supervisor))
        told_of: list[Reports] = [core, certificates, door, *filter(None, [bridge]), alerts, supervisor]
        report = Report(configuration, version("schoolgate"), self._started_us, core, door, bridge, alerts, told_of)
        await open_(supervisor.running("status", partial(report.tell, hub)))
        parts = Parts(
            store=store,
            fleet=Fleet(core.registry, partial(_send_command, door.broker, bridge)),
            alerts=alerts,
            live=hub,
            health=report,
            school_key=school_key,
            now_us=wall_us,
        )
        await open_(
            open_http(configuration.http, configuration.https, build(parts), certificates, supervisor, hub.close)
        )
        log.info("ready", data=str(data), version=report.version)


def _tell_alert(hub: Hub, change: Change) -> None:
    hub.publish_event(Kind.ALERT, listing.shown(change.alert), change.alert.device_id)


def _send_command(broker: Broker, bridge: "Bridge | None", device_id: str, name: str, payload: bytes) -> None:
    topic = f"sg/{device_id}/cmd/{name}"
    broker.publish(topic, payload, qos=1)
    if bridge is not None:
        bridge.publish(topic, payload, qos=1)

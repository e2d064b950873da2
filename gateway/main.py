"""The composition root: builds every part from the configuration, opens them in order, and ends them in order.

Opening: the store, the stages that read commits, the ways in. Closing is the other way round: the ways in stop, the
writer commits what came and the acknowledgements leave, the stages drain, the store closes.
"""

import asyncio
import gc
import resource
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

import structlog
import uvloop
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from api.app import build
from api.parts import Parts
from api.server import serve_http
from devices.mqtt.client.bridge import Bridge, BridgeSettings
from devices.mqtt.server import journal
from devices.mqtt.server.broker import Broker
from devices.mqtt.server.door import Door, DoorLimits
from devices.mqtt.server.limits import Limits
from foundation.clocks import monotonic_us, steady_clock, wall_us
from gateway.alerts import listing
from gateway.alerts.lifecycle import Change
from gateway.alerts.stage import AlertStage
from gateway.committed import Committed
from gateway.configuration.layers import Configuration
from gateway.core import Core, open_core, write_clock
from gateway.errors import Unavailable
from gateway.fleet import adoption
from gateway.health.metrics import GatewayCollector
from gateway.health.report import Report
from gateway.live.hub import Hub, Kind
from gateway.logs import Repeated
from gateway.people import cards
from gateway.schedule import scheduled
from gateway.store import database
from gateway.tls import authority

log = structlog.get_logger("gateway")

REGISTRY_POLL_S = 1.0
STATUS_EVERY_S = 1.0
CLOCK_EVERY_S = 1.0
START_AGAIN_AFTER_S = 1.0
WILL_GRACE_US = 15_000_000
"""After a start, clients that were connected have this long to come back before their wills are published."""

DRAIN_WITHIN_S = 15.0

GC_THRESHOLDS = (50_000, 20, 50)
"""A group's rows are thousands of tuples without cycles; by default each 700 of them are searched for some."""


def run(configuration: Configuration) -> None:
    """Runs the gateway until SIGTERM or SIGINT; starts again by itself if the database is found damaged or one of its
    tasks fails.

    Raises ConfigError, Corrupt, Unavailable if the database cannot be used, and OSError if a door cannot be opened.
    """
    gc.collect()
    gc.freeze()  # what is loaded by now stays for good
    gc.set_threshold(*GC_THRESHOLDS)
    allow_many_connections()
    while uvloop.run(Gateway(configuration).run()):
        log.warning("starting_again")


def allow_many_connections() -> None:
    """Raises the process's soft limit of open files, often 1,024, to its hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Gateway:
    """One life of the program, from opening the database to closing it."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._data = configuration.node.data
        self._stop = asyncio.Event()
        self._must_start_again = False
        self._told_to_end = asyncio.Event()
        self._damage: str | None = None
        self._started_us = wall_us()
        self._version = version("schoolgate")
        self._stages: list[Callable[[Committed], None]] = []
        self._tls_failure: str | None = None
        self._core: Core
        self._hub: Hub
        self._alerts: AlertStage
        self._bridge: Bridge | None = None

    async def run(self) -> bool:
        """Opens everything, runs until told to stop, closes everything. Returns whether to start again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        try:
            async with AsyncExitStack() as stack:
                await self._open(stack)
                await self._stop.wait()
                log.info("stopping")
        except (DatabaseError, Unavailable) as error:
            self._explain(error)
        log.info("stopped")
        if self._must_start_again:
            with suppress(TimeoutError):
                async with asyncio.timeout(START_AGAIN_AFTER_S):
                    await self._told_to_end.wait()
        return self._must_start_again and not self._told_to_end.is_set()

    def _end(self) -> None:
        self._told_to_end.set()
        self._stop.set()

    def _explain(self, error: DatabaseError | Unavailable) -> None:
        """Has the gateway start again if the error came of a damaged file. Raises Unavailable if it did not."""
        path = self._data / database.FILE_NAME
        if isinstance(error, DatabaseError):
            if not database.is_damage(error):
                raise Unavailable(f"{path} cannot be used: {error.orig}", retry_after_s=30.0) from error
            database.mark_damaged(path)
            self._damage = str(error.orig)
        if self._damage is None and not database.is_marked_damaged(path):
            raise error
        log.error("database_damaged", path=str(path), damage=self._damage)
        self._must_start_again = True

    async def _open(self, stack: AsyncExitStack) -> None:
        configuration = self._configuration
        school_key = cards.load_key(configuration.privacy.card_key_file or self._data / "card.key")
        core = self._core = await stack.enter_async_context(
            open_core(configuration, school_key, self._on_committed, self._on_damage)
        )
        self._hub = Hub(core.run_no, core.store, core.catalogue.series)
        self._alerts = AlertStage(
            core.store, core.catalogue, self._tell_alert, wall_us, configuration.alerts.stale_after_s
        )
        self._stages += [self._note_series, self._hub.publish, self._alerts.feed]
        await stack.enter_async_context(self._run_task("alerts", self._alerts.run(), self._alerts.close))
        await stack.enter_async_context(self._run_task("live", self._hub.run()))
        await stack.enter_async_context(self._run_task("registry", self._follow_registry()))
        clock_was_set = stack.enter_context(scheduled(core.store, configuration, wall_us, core.is_clock_right))
        await stack.enter_async_context(self._run_task("clock", self._watch_clock(clock_was_set)))
        door = await stack.enter_async_context(self._open_ways_in())
        report = Report(
            configuration,
            self._version,
            self._started_us,
            core,
            door,
            self._bridge,
            self._alerts,
            self._tls_failure,
        )
        await stack.enter_async_context(self._run_task("status", self._tell_status(report)))
        await self._open_http(stack, build(self._parts(school_key, report)))
        stack.callback(self._hub.close)
        log.info("ready", data=str(self._data), version=self._version)

    # What the core tells.

    def _on_committed(self, committed: Committed) -> None:
        for stage in self._stages:
            stage(committed)

    def _on_damage(self, damage: str) -> None:
        if self._damage is None:
            log.error("database_damaged", path=str(self._data / database.FILE_NAME), damage=damage)
        self._damage = damage
        self._must_start_again = True
        self._stop.set()

    def _note_series(self, committed: Committed) -> None:
        for entry in committed.new_series:
            self._core.catalogue.add(entry)

    # The ways in.

    @asynccontextmanager
    async def _open_ways_in(self) -> AsyncIterator[Door]:
        configuration, core = self._configuration, self._core
        mqtt = configuration.mqtt
        steady_us = steady_clock(core.clock.best_us(wall_us()))  # a wrong clock is no reason to end what has to last
        broker = Broker(
            core.writer,
            Limits(
                max_packet_bytes=mqtt.max_packet_bytes,
                receive_max=mqtt.receive_max,
                max_inflight=mqtt.max_inflight,
                topic_alias_max=mqtt.topic_alias_max,
                max_keep_alive_s=mqtt.max_keep_alive_s,
                session_expiry_max_s=mqtt.session_expiry_max_s,
                queue_bytes=mqtt.queue_bytes,
                queue_total_bytes=mqtt.queue_total_bytes,
                retained_bytes=mqtt.retained_bytes,
            ),
            wall_us,
            steady_us,
        )
        now_us = steady_us()

        def restore(connection: Connection) -> None:
            broker.restore(
                journal.load_sessions(connection, now_us),
                journal.load_retained(connection),
                journal.load_wills(connection),
                now_us + WILL_GRACE_US,
            )

        core.store.read_now(restore)
        door = Door(
            broker,
            self._core.registry,
            self._refresh_registry,
            mqtt.anonymous_topics,
            DoorLimits(mqtt.max_connections, mqtt.connect_timeout_s, mqtt.slow_consumer_s),
        )
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._run_task("door", door.run()))
            stack.push_async_callback(door.close)
            if mqtt.enabled:
                await door.listen(mqtt.host, mqtt.port)
            if configuration.mqtts.enabled and (context := self._tls_context(is_mqtt=True)) is not None:
                await door.listen(configuration.mqtts.host, configuration.mqtts.port, context)
            if configuration.bridge.enabled:
                bridge = self._bridge = Bridge(self._bridge_settings(), core.writer, wall_us)
                await stack.enter_async_context(self._run_task("bridge", bridge.run()))
            yield door

    def _bridge_settings(self) -> BridgeSettings:
        section = self._configuration.bridge
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

    # The ways to look in.

    async def _open_http(self, stack: AsyncExitStack, app: FastAPI) -> None:
        http, https = self._configuration.http, self._configuration.https
        if http.enabled:
            await stack.enter_async_context(serve_http(app, http.host, http.port))
        if https.enabled and (context := self._tls_context(is_mqtt=False)) is not None:
            await stack.enter_async_context(serve_http(app, https.host, https.port, context))

    def _tls_context(self, *, is_mqtt: bool) -> ssl.SSLContext | None:
        """Returns the context of a door with TLS; None, with the reason kept, if there can be no certificate."""
        configuration = self._configuration
        section = configuration.mqtts if is_mqtt else configuration.https
        try:
            provided = authority.provide(
                self._data / "tls",
                configuration.node.name,
                authority.own_names(configuration.node.name),
                datetime.now(UTC),
            )
        except Unavailable as error:
            self._tls_failure = error.reason
            log.error("tls_unavailable", reason=error.reason, hint="the doors without TLS are open")
            return None
        for event in provided.events:
            log.info("certificate", what=event)
        for aside in provided.set_aside:
            log.warning("certificate_set_aside", file=str(aside), hint="it could not be read; a new one is in use")
        return authority.ssl_context(
            section.certificate or provided.certificate,
            section.key or provided.key,
            client_authority=provided.authority if is_mqtt else None,
            is_client_certificate_required=is_mqtt and configuration.mqtts.require_client_certificate,
        )

    def _parts(self, school_key: bytes, report: Report) -> Parts:
        core = self._core
        metrics = CollectorRegistry()
        metrics.register(GatewayCollector(report.status, report.counters, report.totals))
        return Parts(
            store=core.store,
            registry=self._core.registry,
            hub=self._hub,
            alerts=self._alerts,
            now_us=wall_us,
            school_key=school_key,
            version=self._version,
            node=self._configuration.node.name,
            publish_command=partial(self._publish_command, report.door.broker),
            replay=lambda letter_id: adoption.replay_dead_letter(core.store, core.writer, letter_id),
            replay_device=lambda device_id: adoption.replay_device(core.store, core.writer, device_id),
            status=report.status,
            readiness=report.readiness,
            metrics=metrics,
        )

    def _publish_command(self, broker: Broker, device_id: str, name: str, payload: bytes) -> None:
        topic = f"sg/{device_id}/cmd/{name}"
        broker.publish(topic, payload, qos=1)
        if self._bridge is not None:
            self._bridge.publish(topic, payload, qos=1)

    def _tell_alert(self, change: Change) -> None:
        self._hub.publish_event(Kind.ALERT, listing.shown(change.alert), change.alert.device_id)

    # Tasks.

    @asynccontextmanager
    async def _run_task(
        self, name: str, work: Coroutine[object, object, None], close: Callable[[], None] | None = None
    ) -> AsyncIterator[None]:
        """Runs `work` beside the others until left: told to `close` if it can be, else cancelled. If it fails,
        the gateway starts again rather than run on without it."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._on_task_done)
        try:
            yield
        finally:
            if close is not None:
                close()
                await asyncio.wait([task], timeout=DRAIN_WITHIN_S)
            task.cancel()
            await asyncio.wait([task])

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("task_failed", task=task.get_name(), exc_info=error)
            self._must_start_again = True
            self._stop.set()

    async def _follow_registry(self) -> None:
        """Notices what the command line changed in the database beside us."""
        store = self._core.store
        unread = Repeated(log, "registry_not_read")
        while True:
            await asyncio.sleep(REGISTRY_POLL_S)
            try:
                has_changed = await store.read(self._core.registry.refresh)
            except Unavailable as error:
                unread.failed(reason=error.reason)
                continue
            unread.succeeded()
            if has_changed:
                self._alerts.devices_changed()

    def _refresh_registry(self) -> bool:
        try:
            return self._core.store.read_now(self._core.registry.refresh)
        except Unavailable:
            return False  # `_follow_registry` says why

    async def _watch_clock(self, clock_was_set: Callable[[], None]) -> None:
        core = self._core
        clock = core.clock
        written_us = 0
        while True:
            now_us, steady_us = wall_us(), monotonic_us()
            has_jumped = clock.has_jumped(now_us, steady_us)
            if clock.judge(now_us, steady_us):
                log.warning("clock_judged", is_right=clock.is_right, doubt=clock.doubt)
            if has_jumped:
                log.warning("clock_was_set", is_right=clock.is_right)
                clock_was_set()
            if clock.is_right and not 0 <= now_us - written_us < 60_000_000:
                written_us = now_us
                try:
                    await core.store.write(lambda connection, at=now_us: write_clock(connection, at))  # type: ignore[misc]
                except Unavailable:
                    written_us = 0
            await asyncio.sleep(CLOCK_EVERY_S)

    async def _tell_status(self, report: Report) -> None:
        while True:
            await asyncio.sleep(STATUS_EVERY_S)
            await report.sample()
            if self._hub.wants(Kind.STATUS):
                self._hub.publish_event(Kind.STATUS, report.status())

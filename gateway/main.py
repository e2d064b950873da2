"""The composition root: builds every part from the configuration, opens them in order, and ends them in order.

Opening: the store, the stages that read commits, the ways in. Closing is the other way round: the ways in stop, the
writer commits what came and the acknowledgements leave, the stages drain, the store closes.
"""

import asyncio
import gc
import resource
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import structlog
import uvloop
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DatabaseError

from api.app import build
from api.parts import Parts
from devices.mqtt import journal
from devices.mqtt.bridge import Bridge, BridgeSettings
from devices.mqtt.broker import Broker, Limits
from devices.mqtt.door import Door, DoorLimits
from devices.registry import Registry
from devices.tables import dead_letter, kept_frame
from gateway import alert_list, cards, certificates, replay, rfc3339
from gateway.admin_key import ensure_admin_key
from gateway.alerts.lifecycle import Change
from gateway.alerts.stage import AlertStage
from gateway.bounded import ByteCap
from gateway.catalogue import Catalogue
from gateway.clockwatch import ClockWatch
from gateway.committed import Committed
from gateway.configuration import Configuration
from gateway.discovery import Discovery
from gateway.errors import Unavailable
from gateway.http_server import serve_http
from gateway.ingest import Ingest
from gateway.live import Hub, Kind
from gateway.logs import Repeated
from gateway.metrics import GatewayCollector
from gateway.schedule import scheduled
from gateway.sources import Sources
from gateway.statements import compile_for
from gateway.status import (
    BridgeFigures,
    IngestFigures,
    MqttFigures,
    Rate,
    Status,
    count_alerts,
    count_devices,
    count_online,
)
from gateway.store import database
from gateway.store.store import Store
from gateway.store.writer import Writer
from gateway.tables import fact

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


def wall_us() -> int:
    """Returns the machine's time, µs since 1970 UTC; it may jump."""
    return time.time_ns() // 1000


def monotonic_us() -> int:
    """Returns µs since some moment; it never jumps."""
    return time.monotonic_ns() // 1000


def steady_clock(start_us: int) -> Callable[[], int]:
    """Returns a clock that starts at `start_us` and never jumps, for timers."""
    offset_us = start_us - monotonic_us()
    return lambda: monotonic_us() + offset_us


@dataclass(frozen=True, slots=True)
class Core:
    """The open store and what belongs to it."""

    store: Store
    writer: Writer
    preparation: database.Preparation
    clock: ClockWatch
    dead_letters: ByteCap
    kept_frames: ByteCap

    def is_clock_right(self) -> bool:
        return self.clock.is_right_at(wall_us(), monotonic_us())


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
        self._registry = Registry()
        self._catalogue = Catalogue(self._registry)
        self._stages: list[Callable[[Committed], None]] = []
        self._rate = Rate()
        self._frames_per_s = 0.0
        self._online = 0
        self._tls_failure: str | None = None
        self._core: Core
        self._hub: Hub
        self._alerts: AlertStage
        self._broker: Broker
        self._door: Door
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
        if self._damage is None:
            raise error
        log.error("database_damaged", path=str(path), damage=self._damage)
        self._must_start_again = True

    async def _open(self, stack: AsyncExitStack) -> None:
        configuration = self._configuration
        school_key = cards.load_key(configuration.privacy.card_key_file or self._data / "card.key")
        core = self._core = await stack.enter_async_context(self._open_store(school_key))
        self._hub = Hub(self._started_us, core.store, self._catalogue.series)
        self._alerts = AlertStage(
            core.store, self._catalogue, self._tell_alert, wall_us, configuration.alerts.stale_after_s
        )
        self._stages += [self._note_series, self._hub.publish, self._alerts.feed]
        await stack.enter_async_context(self._run_task("alerts", self._alerts.run(), self._alerts.close))
        await stack.enter_async_context(self._run_task("live", self._hub.run()))
        await stack.enter_async_context(self._run_task("registry", self._follow_registry()))
        clock_was_set = stack.enter_context(scheduled(core.store, configuration, wall_us, core.is_clock_right))
        await stack.enter_async_context(self._run_task("clock", self._watch_clock(clock_was_set)))
        await stack.enter_async_context(self._run_task("status", self._tell_status()))
        await stack.enter_async_context(self._open_ways_in())
        await self._open_http(stack, build(self._parts(school_key)))
        stack.callback(self._hub.close)
        log.info("ready", data=str(self._data), version=self._version)

    # The store.

    @asynccontextmanager
    async def _open_store(self, school_key: bytes) -> AsyncIterator[Core]:
        settings = self._configuration.store
        path = self._data / database.FILE_NAME
        preparation = database.prepare(path)
        if preparation.set_aside is not None:
            log.error(
                "database_set_aside",
                file=str(preparation.set_aside),
                damage=preparation.damage,
                salvaged_rows=preparation.salvaged_rows,
            )
        engine = database.open_engine(path, cache_bytes=settings.cache_bytes)
        readers = database.open_engine(path, read_only=True)
        with engine.begin() as connection:
            ensure_admin_key(connection, self._data / "admin.key", wall_us())
            self._registry.refresh(connection)
            self._catalogue.load(connection)
            newest = connection.execute(select(fact.c.value).where(fact.c.name == "clock_high_us")).scalar()
        clock = ClockWatch(int(newest or 0))
        clock.judge(wall_us(), monotonic_us())
        dead_letters = ByteCap(dead_letter, settings.dead_letter_bytes)
        kept_frames = ByteCap(kept_frame, settings.kept_frame_bytes)
        statements = compile_for(engine.dialect, {**journal.STATEMENTS, **replay.STATEMENTS})
        ingest = Ingest(
            Sources(self._registry, statements, clock.note_stamp),
            statements,
            school_key,
            wall_us,
            lambda: clock.is_right_at(wall_us(), monotonic_us()),
            dead_letters,
            kept_frames,
            Discovery(),
        )
        writer = Writer(engine, path, ingest, settings.queue_bytes, self._on_committed, self._on_damage)
        store = Store(writer, readers, settings.queue_bytes)
        loop = asyncio.get_running_loop()

        def on_damage_read(damage: str) -> None:
            database.mark_damaged(path)
            self._damage = damage
            with suppress(RuntimeError):  # the loop is closed: this life is over
                loop.call_soon_threadsafe(self._on_damage_read, damage)

        database.explain(readers, on_damage_read)
        writer.start()
        try:
            yield Core(store, writer, preparation, clock, dead_letters, kept_frames)
        finally:
            await writer.close()
            store.close()
            engine.dispose()

    def _on_committed(self, committed: Committed) -> None:
        for stage in self._stages:
            stage(committed)

    def _on_damage(self, damage: str) -> None:
        self._damage = damage
        self._must_start_again = True
        self._stop.set()

    def _on_damage_read(self, damage: str) -> None:
        if not self._must_start_again:
            log.error("database_damaged", path=str(self._data / database.FILE_NAME), damage=damage)
            self._core.writer.give_up(damage)
            self._on_damage(damage)

    def _note_series(self, committed: Committed) -> None:
        for entry in committed.new_series:
            self._catalogue.add(entry)

    # The ways in.

    @asynccontextmanager
    async def _open_ways_in(self) -> AsyncIterator[None]:
        configuration, core = self._configuration, self._core
        mqtt = configuration.mqtt
        steady_us = steady_clock(core.clock.best_us(wall_us()))  # a wrong clock is no reason to end what has to last
        broker = self._broker = Broker(
            core.writer,
            Limits(
                max_packet_bytes=mqtt.max_packet_bytes,
                receive_max=mqtt.receive_max,
                max_inflight=mqtt.max_inflight,
                topic_alias_max=mqtt.topic_alias_max,
                max_keep_alive_s=mqtt.max_keep_alive_s,
                session_expiry_max_s=mqtt.session_expiry_max_s,
                queue_bytes=mqtt.queue_bytes,
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
        door = self._door = Door(
            broker,
            self._registry,
            self._refresh_registry,
            mqtt.anonymous_topics,
            DoorLimits(mqtt.max_connections, mqtt.connect_timeout_s, mqtt.slow_consumer_s, mqtt.connect_rate),
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
            yield

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
            provided = certificates.provide(
                self._data / "tls",
                configuration.node.name,
                certificates.own_names(configuration.node.name),
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
        return certificates.ssl_context(
            section.certificate or provided.certificate,
            section.key or provided.key,
            client_authority=provided.authority if is_mqtt else None,
            is_client_certificate_required=is_mqtt and configuration.mqtts.require_client_certificate,
        )

    def _parts(self, school_key: bytes) -> Parts:
        core = self._core
        metrics = CollectorRegistry()
        metrics.register(GatewayCollector(self.status, lambda: self._broker.counters, self._totals))
        return Parts(
            store=core.store,
            registry=self._registry,
            hub=self._hub,
            alerts=self._alerts,
            now_us=wall_us,
            school_key=school_key,
            version=self._version,
            node=self._configuration.node.name,
            publish_command=self._publish_command,
            replay=lambda letter_id: replay.replay_dead_letter(core.store, core.writer, letter_id),
            replay_device=lambda device_id: replay.replay_device(core.store, core.writer, device_id),
            status=self.status,
            readiness=self.readiness,
            metrics=metrics,
        )

    def _publish_command(self, device_id: str, name: str, payload: bytes) -> None:
        topic = f"sg/{device_id}/cmd/{name}"
        self._broker.publish(topic, payload, qos=1)
        if self._bridge is not None:
            self._bridge.publish(topic, payload, qos=1)

    # What it says of itself.

    def status(self) -> Status:
        """Returns the figures as of now; cheap enough for every second."""
        store, broker = self._core.store, self._broker
        figures = store.status
        bridge = self._bridge
        return Status(
            node=self._configuration.node.name,
            school=self._configuration.school.name,
            timezone=self._configuration.school.timezone,
            version=self._version,
            started_at=rfc3339.text(self._started_us),
            now=rfc3339.text(wall_us()),
            clock_right=self._core.clock.is_right,
            ingest=IngestFigures(
                frames_total=figures.frames_total,
                frames_per_s=round(self._frames_per_s, 1),
                commit_ms=round(store.median_commit_ms(), 2),
                queue_bytes=figures.queue_bytes,
                queue_cap_bytes=store.queue_cap_bytes,
                duplicates_total=figures.duplicates_total,
                dead_letters_total=figures.dead_letters_total,
                refused_total=broker.counters.refused_topics_total,
            ),
            mqtt=MqttFigures(len(self._door.peers)),
            bridge=BridgeFigures("off", None) if bridge is None else BridgeFigures(bridge.state, bridge.reason),
            devices=count_devices(self._registry, self._online),
            alerts=count_alerts(self._alerts.counts()),
        )

    def readiness(self) -> dict[str, str | None]:
        """Returns each part with the reason why it is not ready, None if it is."""
        configuration, bridge = self._configuration, self._bridge
        parts: dict[str, str | None] = {"store": self._core.store.status.failure, "clock": self._core.clock.doubt}
        if configuration.mqtts.enabled or configuration.https.enabled:
            parts["tls"] = self._tls_failure
        if bridge is not None:
            parts["bridge"] = None if bridge.state == "connected" else (bridge.reason or bridge.state)
        return parts

    def _totals(self) -> dict[str, tuple[str, float]]:
        core = self._core
        return {
            "failed_commits": ("Commits that the disk refused", core.store.status.failed_commits_total),
            "dead_letters_dropped": ("Oldest dead letters dropped at their cap", core.dead_letters.dropped_total),
            "kept_frames_dropped": ("Oldest kept frames dropped at their cap", core.kept_frames.dropped_total),
            "retained_refused": ("Messages not retained at the cap", self._broker.retained.refused),
            "connections_refused": (
                "Connections over mqtt.max_connections or mqtt.connect_rate",
                self._door.connections_refused_total,
            ),
        }

    def _tell_alert(self, change: Change) -> None:
        self._hub.publish_event(Kind.ALERT, alert_list.shown(change.alert), change.alert.device_id)

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
                has_changed = await store.read(self._registry.refresh)
            except Unavailable as error:
                unread.failed(reason=error.reason)
                continue
            unread.succeeded()
            if has_changed:
                self._alerts.devices_changed()

    def _refresh_registry(self) -> bool:
        try:
            return self._core.store.read_now(self._registry.refresh)
        except Unavailable:
            return False  # `_follow_registry` says why

    async def _watch_clock(self, clock_was_set: Callable[[], None]) -> None:
        core = self._core
        clock = core.clock
        written_us = 0
        while True:
            await asyncio.sleep(CLOCK_EVERY_S)
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
                    await core.store.write(lambda connection, at=now_us: _write_clock(connection, at))  # type: ignore[misc]
                except Unavailable:
                    written_us = 0

    async def _tell_status(self) -> None:
        store = self._core.store
        while True:
            await asyncio.sleep(STATUS_EVERY_S)
            self._frames_per_s = self._rate.sample(store.status.frames_total)
            if self._hub.wants(Kind.STATUS):
                with suppress(Unavailable):  # the last count, then
                    self._online = await store.read(count_online)
                self._hub.publish_event(Kind.STATUS, self.status())


def _write_clock(connection: Connection, now_us: int) -> None:
    row = {"name": "clock_high_us", "value": str(now_us)}
    statement = sqlite_insert(fact).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": str(now_us)}))

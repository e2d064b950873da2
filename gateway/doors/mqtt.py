"""The MQTT door, opened with and without TLS over the sessions that the last run left."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from sqlalchemy import Connection

from devices.mqtt.server import journal, tables
from devices.mqtt.server.broker import Broker
from devices.mqtt.server.door import Door, DoorLimits
from devices.mqtt.server.limits import Limits
from foundation.clock import SECOND_US
from foundation.clocks import steady_clock, wall_us
from foundation.findings import Finding
from foundation.room import Room
from gateway.configuration.sections import Mqtt, Mqtts
from gateway.core import Core
from gateway.doors.ports import check_port
from gateway.fleet.following import look_now
from gateway.supervision import Supervisor
from gateway.tls.certificates import Certificates
from gateway.tls.examination import check_certificate

WILL_GRACE_US: Final = 15 * SECOND_US
"""After a start, clients that were connected have this long to come back before their wills are published."""


def mqtt_room(mqtt: Mqtt, mqtts: Mqtts) -> Room:
    return Room(
        name="mqtt", tables=(tables.metadata,), statements=journal.STATEMENTS, checks=partial(_check, mqtt, mqtts)
    )


def _check(mqtt: Mqtt, mqtts: Mqtts) -> Iterator[Finding]:
    if mqtt.enabled:
        yield check_port("mqtt", mqtt.host, mqtt.port)
    if mqtts.enabled:
        yield check_port("mqtts", mqtts.host, mqtts.port)
        yield from check_certificate("mqtts", mqtts.certificate, mqtts.key)


@asynccontextmanager
async def open_mqtt(
    mqtt: Mqtt, mqtts: Mqtts, core: Core, certificates: Certificates, supervisor: Supervisor
) -> AsyncIterator[Door]:
    """Listens until left; then says good-bye to everybody. Raises OSError if an address is taken or not allowed."""
    steady_us = steady_clock(core.clock.best_us(wall_us()))  # a wrong clock is no reason to end what has to last
    broker = Broker(core.writer, _limits(mqtt), wall_us, steady_us)
    now_us = steady_us()

    def restore(connection: Connection) -> None:
        sessions = journal.load_sessions(connection, now_us, core.skipped)
        broker.restore(
            sessions,
            journal.load_retained(connection, now_us, core.skipped),
            journal.load_wills(connection, core.skipped),
            now_us + WILL_GRACE_US,
        )
        broker.note(journal.remains(connection, sessions))

    core.store.read_now(restore)
    door = Door(
        broker,
        core.registry,
        partial(look_now, core.store, core.registry),
        mqtt.anonymous_topics,
        DoorLimits(mqtt.max_connections, mqtt.connect_timeout_s, mqtt.slow_consumer_s),
    )
    async with supervisor.running("door", door.run):
        try:
            if mqtt.enabled:
                await door.listen(mqtt.host, mqtt.port)
            if mqtts.enabled:
                context = certificates.context(
                    mqtts.certificate,
                    mqtts.key,
                    takes_client_certificates=True,
                    is_client_certificate_required=mqtts.require_client_certificate,
                )
                if context is not None:
                    await door.listen(mqtts.host, mqtts.port, context)
            yield door
        finally:
            await door.close()


def _limits(mqtt: Mqtt) -> Limits:
    return Limits(
        max_packet_bytes=mqtt.max_packet_bytes,
        receive_max=mqtt.receive_max,
        max_inflight=mqtt.max_inflight,
        topic_alias_max=mqtt.topic_alias_max,
        max_keep_alive_s=mqtt.max_keep_alive_s,
        session_expiry_max_s=mqtt.session_expiry_max_s,
        queue_bytes=mqtt.queue_bytes,
        queue_total_bytes=mqtt.queue_total_bytes,
        retained_bytes=mqtt.retained_bytes,
    )

"""Every room's tables, for the migrations."""

from sqlalchemy import MetaData

import devices.mqtt.server.tables
import devices.tables
import gateway.access.tables
import gateway.alerts.tables
import gateway.attendance.tables
import gateway.fleet.tables
import gateway.ingest.tables
import gateway.people.tables
import gateway.readings.tables
import gateway.store.tables

ALL_METADATA: tuple[MetaData, ...] = (
    devices.tables.metadata,
    devices.mqtt.server.tables.metadata,
    gateway.store.tables.metadata,
    gateway.access.tables.metadata,
    gateway.alerts.tables.metadata,
    gateway.attendance.tables.metadata,
    gateway.fleet.tables.metadata,
    gateway.ingest.tables.metadata,
    gateway.people.tables.metadata,
    gateway.readings.tables.metadata,
)

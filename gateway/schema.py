"""Every room's tables, for the migrations."""

from sqlalchemy import MetaData

import devices.mqtt.server.tables
import devices.tables
import gateway.alerts.tables
import gateway.store.tables

ALL_METADATA: tuple[MetaData, ...] = (
    devices.tables.metadata,
    devices.mqtt.server.tables.metadata,
    gateway.store.tables.metadata,
    gateway.alerts.tables.metadata,
)

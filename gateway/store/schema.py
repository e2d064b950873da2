"""Every room's tables, for the migrations."""

from sqlalchemy import MetaData

import devices.mqtt.tables
import devices.tables
import gateway.alerts.tables
import gateway.tables

ALL_METADATA: tuple[MetaData, ...] = (
    devices.tables.metadata,
    devices.mqtt.tables.metadata,
    gateway.tables.metadata,
    gateway.alerts.tables.metadata,
)

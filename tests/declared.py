"""What the rooms declare, for tests that need all tables or statements."""

from collections.abc import Mapping

from sqlalchemy import MetaData
from sqlalchemy.sql.elements import ClauseElement

from foundation.columns import Salvage, carried_over
from gateway.configuration.sections import Configuration
from gateway.main import rooms

ROOMS = rooms(Configuration())
TABLES: tuple[MetaData, ...] = tuple(tables for room in ROOMS for tables in room.tables)
STATEMENTS: Mapping[str, ClauseElement] = {name: one for room in ROOMS for name, one in room.statements.items()}
SALVAGED: tuple[Salvage, ...] = carried_over(TABLES)

"""The device registry's table. Times are integers, µs since 1970 UTC."""

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from foundation.columns import Salvage

metadata = MetaData()


device = Table(
    "device",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False, default=""),
    Column("place", Text, nullable=False, default=""),
    Column("state", Text, nullable=False),  # DeviceState of devices.registry
    Column("format", Text, nullable=False),  # PayloadFormat of devices.registry
    Column("secret_digest", LargeBinary),
    Column("publish_grants", Text, nullable=False, default="[]"),  # JSON list of topic filters
    Column("subscribe_grants", Text, nullable=False, default="[]"),
    Column("created_us", BigInteger, nullable=False),
    Column("adopted_us", BigInteger),
    Column("revision", BigInteger, nullable=False, index=True),  # grows with every change of any device
    info={"salvage": Salvage("device")},
)

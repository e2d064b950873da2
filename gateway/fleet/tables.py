"""Of devices, beside the registry: presence, announcements, kept frames, commands. Times: µs since 1970 UTC."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from foundation.columns import ROW_ID, Salvage

metadata = MetaData()

device_status = Table(
    "device_status",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("is_online", Boolean),  # null: never said
    Column("last_seen_us", BigInteger),
    Column("clock_right_us", BigInteger),  # when its stamp last agreed with the gateway's clock
    info={"salvage": Salvage("device_status")},
)


announcement = Table(
    "announcement",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
)


kept_frame = Table(
    "kept_frame",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("device_id", Text, nullable=False, index=True),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("is_retained", Boolean, nullable=False),
)


command = Table(
    "command",
    metadata,
    Column("id", Text, primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("acknowledged_us", BigInteger),
    Column("answer", LargeBinary),
    Index("command_by_device", "device_id", "created_us"),
)

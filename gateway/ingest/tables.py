"""What the ingest keeps: sequence numbers seen, and frames that could not be decoded. Times: µs since 1970 UTC."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from foundation.columns import ROW_ID

metadata = MetaData()

seen = Table(
    "seen",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("boot", Text, primary_key=True),
    Column("ranges", LargeBinary, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("device_id", Text),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("is_retained", Boolean, nullable=False, default=False),
)

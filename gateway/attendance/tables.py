"""Taps as they were stored. Times are integers, µs since 1970 UTC; a `clock` is a `foundation.clock.Clock`."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

from foundation.columns import ROW_ID, Salvage

metadata = MetaData()

tap = Table(
    "tap",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("event_key", Text, unique=True),  # device, boot and seq, or the digest of the event; null: no key
    Column("device_id", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    Column("device_at_us", BigInteger),  # the stamp as the device gave it, believed or not
    Column("clock", SmallInteger, nullable=False),
    Column("credential_digest", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("direction", Text),
    Column("boot", Text),
    Column("seq", BigInteger),
    Index("tap_by_time", "at_us"),
    Index("tap_by_device", "device_id", "at_us"),
    Index("tap_by_credential", "credential_digest", "at_us"),
    info={"salvage": Salvage("tap", is_long=True)},
)

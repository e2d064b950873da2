"""Tables of what comes in. Times are integers, µs since 1970 UTC; a `clock` is a `foundation.clock.Clock`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

ROW_ID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite keeps a table by its row id only if the key's type is INTEGER."""

device = Table(
    "device",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False, default=""),
    Column("place", Text, nullable=False, default=""),
    Column("state", Text, nullable=False),  # DeviceState of devices.registry
    Column("format", Text, nullable=False),  # native | homeassistant
    Column("secret_digest", LargeBinary),
    Column("publish_grants", Text, nullable=False, default="[]"),  # JSON list of topic filters
    Column("subscribe_grants", Text, nullable=False, default="[]"),
    Column("created_us", BigInteger, nullable=False),
    Column("adopted_us", BigInteger),
    Column("revision", BigInteger, nullable=False, index=True),  # grows with every change of any device
)

device_status = Table(
    "device_status",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("is_online", Boolean),  # null: never said
    Column("last_seen_us", BigInteger),
    Column("clock_right_us", BigInteger),  # when its stamp last agreed with the gateway's clock
)

series = Table(
    "series",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("measurement", Text, nullable=False),
    UniqueConstraint("device_id", "measurement"),
)

PACKED = 4
"""Series of a group: measurements of one device that come in the same messages. A group's number is its series' number
divided by this."""

pack = Table(
    "pack",  # what one message said of the series of a group; null: nothing
    metadata,
    Column("group_no", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, primary_key=True, autoincrement=False),
    Column("frame_no", BigInteger, primary_key=True, autoincrement=False),
    Column("clock", SmallInteger, nullable=False),
    *(Column(f"value_{place}", Float) for place in range(PACKED)),  # series_id % PACKED
    sqlite_with_rowid=False,
)

PACK_VALUES = tuple(pack.c[f"value_{place}"] for place in range(PACKED))

reading = Table(
    "reading",  # a view: every value of a pack as (series, time, value), to be read by series or by range
    MetaData(),
    Column("series_id", BigInteger),
    Column("at_us", BigInteger),
    Column("frame_no", BigInteger),
    Column("value", Float),
    Column("clock", SmallInteger),
)


def _roll_up(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("series_id", BigInteger, primary_key=True, autoincrement=False),
        Column("start_us", BigInteger, primary_key=True, autoincrement=False),
        Column("count", BigInteger, nullable=False),
        Column("min", Float, nullable=False),
        Column("max", Float, nullable=False),
        Column("sum", Float, nullable=False),
        Column("last", Float, nullable=False),
        sqlite_with_rowid=False,
    )


reading_1m = _roll_up("reading_1m")
reading_1h = _roll_up("reading_1h")

roll_up_due = Table(
    "roll_up_due",  # hours of series whose raw rows changed since they were rolled up; roll-ups hold before the first
    metadata,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("hour_us", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

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
)

seen = Table(
    "seen",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("boot", Text, primary_key=True),
    Column("ranges", LargeBinary, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
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

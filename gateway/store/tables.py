"""Tables of the core. Times are integers, µs since 1970 UTC."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from devices.tables import ROW_ID

metadata = MetaData()

fact = Table(
    "fact",  # what the database knows about itself: clock_high_us, last_frame_no, run_no, raw_edge_us …
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, default=""),
    Column("role", Text, nullable=False),  # gateway.keys.Role
    Column("scopes", Text, nullable=False, default="[]"),  # JSON list, for role service
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger),
)

person = Table(
    "person",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("group_name", Text, index=True),
    Column("created_us", BigInteger, nullable=False),
)

card = Table(
    "card",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # keyed digest of the card's number, see gateway.cards
    Column("ref", Text, nullable=False, unique=True),  # the digest's first 16 hex digits, to name the card by
    Column("person_id", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),  # uid | nfc | qr
    Column("created_us", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("at_us", BigInteger, nullable=False, index=True),
    Column("actor", Text, nullable=False),  # device:ID, key:ID, client:ADDRESS or gateway
    Column("action", Text, nullable=False),  # snake_case: topic_refused, sign_in_failed, device_adopted …
    Column("detail", Text, nullable=False),
    Column("count", Integer, nullable=False, default=1),  # the same thing again within a minute is one row
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", ROW_ID, primary_key=True),
    Column("lane", Integer, nullable=False),  # 0 attendance, 3 telemetry aggregates
    Column("entity_key", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
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

idempotency = Table(
    "idempotency",
    metadata,
    Column("key_id", Text, primary_key=True),  # the API key's id
    Column("idempotency_key", Text, primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("is_done", Boolean, nullable=False),
)

"""Keys, the audit log, and answers to requests that may come again. Times are integers, µs since 1970 UTC."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, MetaData, Table, Text

from foundation.columns import ROW_ID, Salvage

metadata = MetaData()

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, default=""),
    Column("role", Text, nullable=False),  # gateway.access.keys.Role
    Column("scopes", Text, nullable=False, default="[]"),  # JSON list, for role service
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger),
    info={"salvage": Salvage("api_key")},
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

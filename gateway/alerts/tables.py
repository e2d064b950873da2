"""Rules, alerts, and how far the engine has come; `saved` reads and writes them. Times: integers, µs since 1970 UTC."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

from foundation.columns import ROW_ID, Salvage

metadata = MetaData()

rule = Table(
    "rule",
    metadata,
    Column("id", Text, primary_key=True),
    Column("body", Text, nullable=False),  # JSON, see gateway.alerts.rules
    Column("enabled", Boolean, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    info={"salvage": Salvage("rule")},
)

alert = Table(
    "alert",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("rule_id", Text, nullable=False),
    Column("rule_name", Text, nullable=False),  # as it was: an alert outlives its rule
    Column("severity", Text, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("measurement", Text),
    Column("subject", Text, nullable=False),  # <device> or <device>/<measurement>
    Column("state", Text, nullable=False),  # gateway.alerts.lifecycle.State
    Column("has_fired", Boolean, nullable=False),
    Column("condition_since_us", BigInteger, nullable=False),
    Column("since_us", BigInteger, nullable=False),
    Column("value", Float),
    Column("value_at_us", BigInteger),
    Column("acknowledged_by", Text),
    Column("acknowledged_us", BigInteger),
    Column("resolved_us", BigInteger),
    Column("reason", Text, nullable=False),  # gateway.alerts.lifecycle.Reason
    Column("updated_us", BigInteger, nullable=False),
    Index("alert_by_state", "state", "id"),
)
Index(
    "alert_open_once",
    alert.c.rule_id,
    alert.c.subject,
    unique=True,
    sqlite_where=text("state != 'resolved'"),
    # PostgreSQL's own word for it comes with PostgreSQL: naming it here loads its dialect at every start
)

alert_progress = Table(
    "alert_progress",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),  # always 1
    Column("frame_no", BigInteger, nullable=False),
    Column("listened_us", BigInteger, nullable=False),
    Column("next_alert_id", BigInteger, nullable=False),
)

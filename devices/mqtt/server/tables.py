"""Tables of MQTT session state. `session_key` names a session: the signed-in user and the client id together.

Times are integers, µs of the broker's steady clock, which starts as wall time at every start. `properties` are
msgpack of `devices.mqtt.server.message.Properties`.
"""

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, MetaData, SmallInteger, Table, Text

metadata = MetaData()

mqtt_session = Table(
    "mqtt_session",
    metadata,
    Column("session_key", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("user", Text),  # device id; null: anonymous
    Column("expiry_s", BigInteger, nullable=False),
    Column("ended_us", BigInteger),  # when its connection closed; null: connected, or the gateway was killed
)

mqtt_will = Table(
    "mqtt_will",
    metadata,
    Column("session_key", Text, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("qos", SmallInteger, nullable=False),
    Column("retain", Boolean, nullable=False),
    Column("delay_s", BigInteger, nullable=False),
    Column("expiry_s", BigInteger),  # life of the message once it is published; null: for ever
    Column("properties", LargeBinary, nullable=False),
    Column("user", Text),
)

mqtt_subscription = Table(
    "mqtt_subscription",
    metadata,
    Column("session_key", Text, primary_key=True),
    Column("filter", Text, primary_key=True),
    Column("qos", SmallInteger, nullable=False),
    Column("options", Integer, nullable=False),  # no_local 1, retain_as_published 2, retain_handling << 2
    Column("subscription_id", BigInteger),
)

mqtt_queued = Table(
    "mqtt_queued",
    metadata,
    Column("session_key", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # order in the session; gives the packet id
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("qos", SmallInteger, nullable=False),
    Column("retain", Boolean, nullable=False),
    Column("properties", LargeBinary, nullable=False),
    Column("subscription_ids", Text, nullable=False),  # JSON list
    Column("expires_us", BigInteger),
    Column("share", Text),  # filter of the shared subscription that it came through
    Column("was_sent", Boolean, nullable=False, default=False),  # on a connection that has ended
    Column("is_released", Boolean, nullable=False, default=False),  # PUBREC came: only PUBREL is left
    sqlite_with_rowid=False,
)

mqtt_received = Table(
    "mqtt_received",  # QoS 2 packet ids of a client that are stored and not yet released
    metadata,
    Column("session_key", Text, primary_key=True),
    Column("packet_id", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

mqtt_retained = Table(
    "mqtt_retained",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("payload", LargeBinary, nullable=False),
    Column("qos", SmallInteger, nullable=False),
    Column("properties", LargeBinary, nullable=False),
    Column("expires_us", BigInteger),
)

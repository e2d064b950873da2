"""Forms that the schema had before its revisions were settled: databases had been made with them already.

What such a database lacks is told by its tables, and is made good before the revisions go on.

From 0003 on a revision that was released is never edited; a test holds the digest of each.
"""

from typing import Final

from sqlalchemy import Connection, inspect

ROLL_UP_DUE: Final = """
    CREATE TABLE roll_up_due (
        series_id BIGINT NOT NULL, hour_us BIGINT NOT NULL, PRIMARY KEY (series_id, hour_us)
    ) WITHOUT ROWID
"""

QUEUED: Final = """
    CREATE TABLE mqtt_queued (
        session_key TEXT NOT NULL, number BIGINT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL,
        qos SMALLINT NOT NULL, retain BOOLEAN NOT NULL, properties BLOB NOT NULL, subscription_ids TEXT NOT NULL,
        expires_us BIGINT, share TEXT, was_sent BOOLEAN NOT NULL, is_released BOOLEAN NOT NULL,
        PRIMARY KEY (session_key, number)
    ) WITHOUT ROWID
"""

MOVED: Final = """
    INSERT INTO mqtt_queued
    SELECT session_key, number, topic, payload, qos, retain, properties, subscription_ids, expires_us, NULL,
           packet_id IS NOT NULL, 0
      FROM queued_before WHERE NOT is_released
"""
"""Of a released one the client has everything, and its packet id is no more."""


def settle(connection: Connection) -> None:
    """Brings a database of an early form to the form of the revision that it goes on from; harmless for all others.

    It belongs into the transaction of the migrations.
    """
    found = inspect(connection)
    tables = set(found.get_table_names())
    if "alembic_version" not in tables:
        return
    version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if version == "0001":
        _complete(connection, tables)
    if version in ("0001", "0002") and "pack" in tables:
        if "tap_by_device" not in {index["name"] for index in found.get_indexes("tap")}:
            connection.exec_driver_sql("CREATE INDEX tap_by_device ON tap (device_id, at_us)")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0003'")


def _complete(connection: Connection, tables: set[str]) -> None:
    if "roll_up_due" not in tables:
        connection.exec_driver_sql(ROLL_UP_DUE)
        hours = "SELECT DISTINCT series_id, at_us - at_us % 3600000000 FROM reading"
        connection.exec_driver_sql(f"INSERT INTO roll_up_due {hours}")
    if "packet_id" in _columns(connection, "mqtt_queued"):
        connection.exec_driver_sql("ALTER TABLE mqtt_queued RENAME TO queued_before")
        connection.exec_driver_sql(QUEUED)
        connection.exec_driver_sql(MOVED)
        connection.exec_driver_sql("DROP TABLE queued_before")
    if "expiry_s" not in _columns(connection, "mqtt_will"):
        connection.exec_driver_sql("ALTER TABLE mqtt_will ADD COLUMN expiry_s BIGINT")


def _columns(connection: Connection, table: str) -> set[str]:
    return {str(column["name"]) for column in inspect(connection).get_columns(table)}

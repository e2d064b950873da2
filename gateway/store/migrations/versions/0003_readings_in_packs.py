"""Readings in packs: what one message said becomes one row, and series get the numbers of their places."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NUMBERS = """
    CREATE TEMPORARY TABLE renumbered AS
    SELECT id AS old_id, device_id, measurement,
           4 * dense_rank() OVER (ORDER BY device_id, (number - 1) / 4) + (number - 1) % 4 AS new_id
      FROM (SELECT id, device_id, measurement, row_number() OVER (PARTITION BY device_id ORDER BY id) AS number
              FROM series)
"""

PACKS = """
    INSERT INTO pack (group_no, at_us, frame_no, clock, value_0, value_1, value_2, value_3)
    SELECT new_id / 4, at_us, frame_no, max(clock),
           max(CASE new_id % 4 WHEN 0 THEN value END), max(CASE new_id % 4 WHEN 1 THEN value END),
           max(CASE new_id % 4 WHEN 2 THEN value END), max(CASE new_id % 4 WHEN 3 THEN value END)
      FROM reading JOIN renumbered ON old_id = series_id
     GROUP BY new_id / 4, at_us, frame_no
"""

READINGS = """
    CREATE VIEW reading AS
    SELECT series_id, at_us, frame_no, value, clock
      FROM (SELECT series.id AS series_id, pack.at_us, pack.frame_no, pack.clock,
                   CASE series.id % 4 WHEN 0 THEN value_0 WHEN 1 THEN value_1 WHEN 2 THEN value_2 ELSE value_3 END
                   AS value
              FROM series JOIN pack ON pack.group_no = series.id / 4) AS placed
     WHERE value IS NOT NULL
"""

AGGREGATES = "start_us, count, min, max, sum, last"


def upgrade() -> None:
    op.create_table(
        "pack",
        sa.Column("group_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("frame_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("clock", sa.SmallInteger(), nullable=False),
        sa.Column("value_0", sa.Float(), nullable=True),
        sa.Column("value_1", sa.Float(), nullable=True),
        sa.Column("value_2", sa.Float(), nullable=True),
        sa.Column("value_3", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("group_no", "at_us", "frame_no"),
        sqlite_with_rowid=False,
    )
    op.execute(NUMBERS)
    op.execute(PACKS)
    op.drop_table("reading")
    for table, columns in (("reading_1m", AGGREGATES), ("reading_1h", AGGREGATES), ("roll_up_due", "hour_us")):
        _renumber(table, columns)
    op.execute("DELETE FROM series")
    op.execute("INSERT INTO series (id, device_id, measurement) SELECT new_id, device_id, measurement FROM renumbered")
    op.execute("DROP TABLE renumbered")
    op.execute(READINGS)


def _renumber(table: str, columns: str) -> None:
    """A copy, for new numbers may be old ones of other series."""
    op.execute(
        f"CREATE TEMPORARY TABLE copied AS SELECT new_id, {columns} FROM {table} "  # noqa: S608 own names
        "JOIN renumbered ON old_id = series_id"
    )
    op.execute(f"DELETE FROM {table}")  # noqa: S608 own names
    op.execute(f"INSERT INTO {table} (series_id, {columns}) SELECT * FROM copied")  # noqa: S608 own names
    op.execute("DROP TABLE copied")

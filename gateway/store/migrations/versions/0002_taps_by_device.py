"""Taps by device: the list of one reader's taps looked at those of all."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("tap_by_device", "tap", ["device_id", "at_us"], unique=False)

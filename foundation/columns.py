"""What tables of all rooms share: their key, and whether rows are worth saving from a damaged file."""

from sqlalchemy import (
    BigInteger,
    Integer,
)

ROW_ID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite keeps a table by its row id only if the key's type is INTEGER."""

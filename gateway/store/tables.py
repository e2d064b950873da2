"""What the store knows of itself, and what waits to be sent. Times are integers, µs since 1970 UTC."""

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

from foundation.columns import ROW_ID, Salvage

metadata = MetaData()

UNFIT_FACTS: Final = "name LIKE 'raw_edge%' OR value GLOB '*[^0-9]*' OR length(value) NOT BETWEEN 1 AND 18"
"""What is no number any more; and where single readings began, for there are none now."""

fact = Table(
    "fact",  # what the database knows about itself: clock_high_us, last_frame_no, run_no, raw_edge_us …
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    info={"salvage": Salvage("fact", unfit=UNFIT_FACTS)},
)


outbox = Table(
    "outbox",
    metadata,
    Column("seq", ROW_ID, primary_key=True),
    Column("lane", Integer, nullable=False),  # 0: attendance, the only one so far
    Column("entity_key", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    info={"salvage": Salvage("outbox", is_long=True)},
)

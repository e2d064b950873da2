"""What the ingest declares: its tables, and how long the sequence numbers of a boot are kept."""

from typing import Final

from foundation.room import Room, rows_for
from gateway.ingest import dead_letters
from gateway.ingest.tables import metadata, seen
from gateway.ingest.verification import check_seen

SEEN_DAYS: Final = 60


def ingest_room() -> Room:
    return Room(
        name="ingest",
        tables=(metadata,),
        statements=dead_letters.STATEMENTS,
        verifications={"boots of devices": check_seen},
        lifetimes=(rows_for(SEEN_DAYS, seen.c.updated_us),),
    )

"""What the store declares: its tables, how the machine suits it, how long what waits to be sent is kept."""

from functools import partial
from pathlib import Path
from typing import Final

from foundation.room import Room, rows_for
from gateway.store.examination import check_store
from gateway.store.sqlite import check_file
from gateway.store.tables import metadata, outbox

OUTBOX_DAYS: Final = 30


def store_room(data: Path) -> Room:
    return Room(
        name="store",
        tables=(metadata,),
        checks=partial(check_store, data),
        verifications={"pages of the file": check_file},
        lifetimes=(rows_for(OUTBOX_DAYS, outbox.c.created_us),),
    )

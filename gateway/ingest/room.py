"""What the ingest declares, and how it is put together: every convention over the same sources."""

from collections.abc import Callable
from typing import Final

from devices.registry import Registry
from foundation.room import Room, rows_for
from foundation.stored import Skipped
from gateway.ingest import dead_letters
from gateway.ingest.conventions import Plans
from gateway.ingest.discovery import Discovery
from gateway.ingest.homeassistant import HomeAssistant
from gateway.ingest.ingest import Ingest
from gateway.ingest.native import Native
from gateway.ingest.records import Records
from gateway.ingest.sources import Sources
from gateway.ingest.statements import Statements
from gateway.ingest.tables import metadata, seen
from gateway.ingest.verification import check_seen
from gateway.store.byte_cap import ByteCap

SEEN_DAYS: Final = 60


def ingest_room() -> Room:
    return Room(
        name="ingest",
        tables=(metadata,),
        statements=dead_letters.STATEMENTS,
        verifications={"boots of devices": check_seen},
        lifetimes=(rows_for(SEEN_DAYS, seen.c.updated_us),),
    )


def build_ingest(
    registry: Registry,
    statements: Statements,
    school_key: bytes,
    now_us: Callable[[], int],
    is_clock_right: Callable[[], bool],
    note_stamp: Callable[[str, int], None],
    dead_letter_cap: ByteCap,
    kept_frame_cap: ByteCap,
    skipped: Skipped | None = None,
) -> Ingest:
    """Returns an ingest that knows every convention. `note_stamp`: see `Sources`; `skipped` counts the rows that cannot
    be read; the others: see `Ingest`."""
    skipped = skipped if skipped is not None else Skipped()
    sources = Sources(registry, statements, note_stamp, skipped)
    records = Records(sources, statements, school_key)
    plans = Plans()
    conventions = (Native(sources, records), HomeAssistant(sources, records, Discovery(skipped), plans.forget))
    return Ingest(sources, conventions, plans, statements, now_us, is_clock_right, dead_letter_cap, kept_frame_cap)

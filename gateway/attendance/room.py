"""What attendance declares: taps, and how long they are kept."""

from foundation.room import Room, rows_for
from gateway.attendance.tables import metadata, tap
from gateway.attendance.verification import check_taps
from gateway.configuration.sections import Privacy


def attendance_room(privacy: Privacy) -> Room:
    return Room(
        name="attendance",
        tables=(metadata,),
        verifications={"taps": check_taps},
        lifetimes=(rows_for(privacy.tap_days, tap.c.at_us),),
    )

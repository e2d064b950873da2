"""What readings declare: their tables, their rolling up, how long they live."""

from foundation.clock import DAY_US
from foundation.clocks import wall_us
from foundation.room import Job, Lifetime, Room
from gateway.configuration.sections import Store
from gateway.readings.roll_up import forget_minutes, forget_readings, roll_up_once
from gateway.readings.tables import metadata
from gateway.readings.verification import check_packs, check_roll_ups, check_series


def readings_room(kept: Store) -> Room:
    return Room(
        name="readings",
        tables=(metadata,),
        verifications={
            "series": check_series,
            "readings": check_packs,
            "roll-ups, a sample": lambda c: check_roll_ups(c, wall_us() - (kept.raw_days - 1) * DAY_US),
        },
        lifetimes=(Lifetime(kept.raw_days, forget_readings), Lifetime(kept.roll_up_1m_days, forget_minutes)),
        jobs=(Job("roll_up", 60, roll_up_once),),
    )

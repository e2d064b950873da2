"""Whether every tap is there once, and every card has its person."""

from sqlalchemy import Connection, func, select

from gateway.attendance.tables import tap
from gateway.people.tables import card, person

_key = tap.c.event_key + ""
_REPEATED_KEYS = (
    select(_key)
    .where(tap.c.event_key.is_not(None))
    .group_by(_key)
    .having(func.count() > 1, func.max(tap.c.received_us) > 0)
)
"""By the rows: the index on the key may be what is damaged, and it knows neither this expression nor the time."""


def check_taps(connection: Connection) -> tuple[int, list[str]]:
    """Every tap is there once, and every card belongs to a person."""
    repeated = (
        select(tap.c.device_id, tap.c.boot, tap.c.seq, func.count().label("times"))
        .where(tap.c.boot.is_not(None), tap.c.seq.is_not(None))
        .group_by(tap.c.device_id, tap.c.boot, tap.c.seq)
        .having(func.count() > 1)
    )
    problems = [
        f"tap {row.seq} of boot {row.boot} of {row.device_id} is stored {row.times} times"
        for row in connection.execute(repeated)
    ]
    problems += [f"the event key {key} is stored twice" for key in connection.execute(_REPEATED_KEYS).scalars()]
    orphans = select(card.c.ref).where(card.c.person_id.not_in(select(person.c.id)))
    problems += [f"card {ref} belongs to nobody" for ref in connection.execute(orphans).scalars()]
    return int(connection.execute(select(func.count()).select_from(tap)).scalar_one()), problems

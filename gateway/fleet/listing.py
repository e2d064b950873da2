"""The devices as they are shown: registry entry, liveness and what is kept of them, in one record."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, Row, Select, func, select

from devices.tables import device
from foundation import rfc3339
from foundation.errors import NotFound
from gateway.fleet.tables import device_status, kept_frame
from gateway.store.page import Page, page_of

# As literals, so that the API's document spells them out; a test holds them to the words of the registry's enums.
State = Literal["active", "seen", "revoked"]
Format = Literal["native", "homeassistant"]


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """One device. `online` is null if it never said; `kept_frames` wait for its adoption."""

    id: str
    kind: str
    name: str
    place: str
    state: State
    format: Format
    online: bool | None
    last_seen_at: rfc3339.Moment | None
    created_at: rfc3339.Moment
    publish: list[str]
    subscribe: list[str]
    kept_frames: int


_KEPT: Final = select(func.count()).where(kept_frame.c.device_id == device.c.id).correlate(device).scalar_subquery()


def _query() -> Select[Any]:
    joined = device.outerjoin(device_status, device_status.c.device_id == device.c.id)
    columns = (device_status.c.is_online, device_status.c.last_seen_us, _KEPT.label("kept_frames"))
    return select(device, *columns).select_from(joined)


def page(connection: Connection, state: State | None, after_id: str | None, limit: int) -> Page[ListedDevice, str]:
    """Returns devices in order of their ids, those after `after_id`; in one state if given."""
    query = _query().order_by(device.c.id).limit(limit + 1)
    if state is not None:
        query = query.where(device.c.state == state)
    if after_id is not None:
        query = query.where(device.c.id > after_id)
    return page_of(connection.execute(query).all(), limit, _from_row, lambda row: str(row.id))


def find(connection: Connection, device_id: str) -> ListedDevice:
    """Returns one device. Raises NotFound."""
    row = connection.execute(_query().where(device.c.id == device_id)).first()
    if row is None:
        raise NotFound(f"device {device_id}")
    return _from_row(row)


def several(connection: Connection, ids: Iterable[str]) -> list[ListedDevice]:
    """Returns those of the devices with these ids (a few hundred at most) that exist."""
    return [_from_row(row) for row in connection.execute(_query().where(device.c.id.in_(list(ids))))]


def _from_row(row: Row[Any]) -> ListedDevice:
    return ListedDevice(
        id=row.id,
        kind=row.kind,
        name=row.name,
        place=row.place,
        state=row.state,
        format=row.format,
        online=row.is_online,
        last_seen_at=rfc3339.text_or_none(row.last_seen_us),
        created_at=rfc3339.text(row.created_us),
        publish=_grants(row.publish_grants),
        subscribe=_grants(row.subscribe_grants),
        kept_frames=row.kept_frames,
    )


def _grants(text: str) -> list[str]:
    """Returns topic filters; none if they cannot be read, for then the registry grants none."""
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.MsgspecError:
        return []

"""Readings: single ones, aggregates of buckets of time, and the newest of every series."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from api import cursors
from api.answers import Listing, paged
from api.auth import Caller, GuardedRoute, requires
from api.cursors import AfterNumber, AfterThreeNumbers
from api.fields import DeviceQuery, From, Limit, Measurement, To, span_us
from api.problems import documented
from gateway.access.keys import Permission
from gateway.readings import buckets, listing
from gateway.readings.buckets import Aggregate, Bucket, Bucketing
from gateway.readings.listing import Reading, ReadingFilter

UNITS_US: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}

router = APIRouter(prefix="/api/v1/readings", tags=["readings"], route_class=GuardedRoute)

Reader = Annotated[Caller, Depends(requires(Permission.READINGS_READ))]
Every = Annotated[
    str | None, Query(pattern=r"^[1-9][0-9]{0,3}[smhd]$", description="Width of buckets: `10s`, `1m`, `1h`, `1d`")
]


@router.get("", response_model=Listing[Bucket] | Listing[Reading], responses=documented(400, 401, 403, 503))
async def list_readings(
    caller: Reader,
    device: DeviceQuery = None,
    measurement: Annotated[Measurement | None, Query(description="Of this measurement only")] = None,
    from_: From = None,
    to: To = None,
    every: Every = None,
    agg: Annotated[Aggregate, Query(description="What a bucket's value is; only with `every`")] = "mean",
    limit: Limit = 100,
    after: AfterThreeNumbers = None,
) -> Response:
    """Readings in order of time. With `every`: aggregates of buckets, which start at multiples of their width since
    1970 UTC and are always whole, also where `from` or `to` falls into one."""
    from_us, to_us = span_us(from_, to)
    wanted = ReadingFilter(from_us, to_us, device, measurement)
    position = cursors.three_numbers(after)
    store = caller.parts.store
    if every is None:
        single = await store.read(lambda connection: listing.page(connection, wanted, position, limit))
        return paged(single, lambda last: last)
    into = Bucketing(int(every[:-1]) * UNITS_US[every[-1]], agg)
    start = None if position is None else position[:2]
    bucketed = await store.read(lambda connection: buckets.page(connection, wanted, into, start, limit))
    return paged(bucketed, lambda last: (*last, 0))


@router.get("/latest", response_model=Listing[Reading], responses=documented(400, 401, 403, 503))
async def list_latest(
    caller: Reader, device: DeviceQuery = None, limit: Limit = 100, after: AfterNumber = None
) -> Response:
    """The newest reading of every series."""
    position = cursors.number(after)
    page = await caller.parts.store.read(lambda connection: listing.latest(connection, device, position, limit))
    return paged(page, lambda last: (last,))

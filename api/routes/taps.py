"""Taps: cards at readers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from api import cursors
from api.answers import Listing, paged
from api.auth import Caller, GuardedRoute, requires
from api.cursors import AfterTwoNumbers
from api.fields import DeviceQuery, From, HexId, Limit, To, span_us
from api.problems import documented
from gateway.access.keys import Permission
from gateway.attendance import taps
from gateway.attendance.taps import Tap, TapFilter

router = APIRouter(prefix="/api/v1/taps", tags=["people"], route_class=GuardedRoute)

Reader = Annotated[Caller, Depends(requires(Permission.TAPS_READ))]


@router.get("", response_model=Listing[Tap], responses=documented(400, 401, 403, 503))
async def list_taps(
    caller: Reader,
    from_: From = None,
    to: To = None,
    device: DeviceQuery = None,
    person: Annotated[HexId | None, Query(description="Of this person's cards only")] = None,
    limit: Limit = 100,
    after: AfterTwoNumbers = None,
) -> Response:
    """Taps, newest first. A tap of a card that nobody holds has no person until somebody gets that card."""
    wanted = TapFilter(*span_us(from_, to), device, person)
    position = cursors.two_numbers(after)
    page = await caller.parts.store.read(lambda connection: taps.page(connection, wanted, position, limit))
    return paged(page, lambda last: last)

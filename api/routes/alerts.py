"""Alerts: what is wrong, and who knows."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from api import cursors
from api.answers import Answer, Listing, paged
from api.auth import Caller, GuardedRoute, requires
from api.cursors import AfterNumber
from api.fields import Limit, NumberPath
from api.problems import documented
from gateway.access import audit
from gateway.access.keys import Permission
from gateway.alerts import listing
from gateway.alerts.listing import ListedAlert, StateFilter

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"], route_class=GuardedRoute)

Reader = Annotated[Caller, Depends(requires(Permission.ALERTS_READ))]
Writer = Annotated[Caller, Depends(requires(Permission.ALERTS_WRITE))]


@router.get("", response_model=Listing[ListedAlert], responses=documented(400, 401, 403, 503))
async def list_alerts(
    caller: Reader,
    state: Annotated[StateFilter | None, Query(description="In this state only; `open`: not resolved")] = None,
    limit: Limit = 100,
    after: AfterNumber = None,
) -> Response:
    """Alerts, newest first."""
    position = cursors.number(after)
    page = await caller.parts.store.read(lambda connection: listing.page(connection, state, position, limit))
    return paged(page, lambda last: (last,))


@router.post("/{id}/ack", response_model=ListedAlert, responses=documented(400, 401, 403, 404, 409, 503))
async def acknowledge_alert(caller: Writer, alert_id: NumberPath) -> Response:
    """Says that somebody knows of an alert. It goes on until its condition is over; again changes nothing."""
    parts = caller.parts
    acknowledged = await parts.alerts.acknowledge(alert_id, caller.key.name or caller.key.id)
    await parts.store.write(
        lambda connection: audit.record(connection, caller.actor, "alert_acknowledged", str(alert_id), parts.now_us())
    )
    return Answer(listing.shown(acknowledged))

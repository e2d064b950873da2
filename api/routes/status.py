"""What the gateway is doing now."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from api.answers import Answer
from api.auth import Caller, GuardedRoute, requires
from api.problems import documented
from gateway.access.keys import Permission
from gateway.health.figures import Status

router = APIRouter(prefix="/api/v1/status", tags=["status"], route_class=GuardedRoute)


@router.get("", response_model=Status, responses=documented(401, 403, 503))
async def get_status(caller: Annotated[Caller, Depends(requires(Permission.STATUS_READ))]) -> Response:
    """Figures of the doors, the store, the devices and the alerts."""
    return Answer(caller.parts.health.status())

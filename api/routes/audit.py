"""The audit log."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from api import cursors
from api.answers import Listing, paged
from api.auth import Caller, GuardedRoute, requires
from api.cursors import AfterNumber
from api.fields import Limit
from api.problems import documented
from gateway.access import audit
from gateway.access.audit import AuditEntry
from gateway.access.keys import Permission

router = APIRouter(prefix="/api/v1/audit", tags=["keys"], route_class=GuardedRoute)


@router.get("", response_model=Listing[AuditEntry], responses=documented(400, 401, 403, 503))
async def list_entries(
    caller: Annotated[Caller, Depends(requires(Permission.AUDIT_READ))], limit: Limit = 100, after: AfterNumber = None
) -> Response:
    """Who did, or was refused, what; newest first."""
    position = cursors.number(after)
    page = await caller.parts.store.read(lambda connection: audit.page(connection, position, limit))
    return paged(page, lambda last: (last,))

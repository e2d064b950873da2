"""Alive, ready, and figures for Prometheus; for machines that watch, so without a key."""

from dataclasses import dataclass
from typing import cast

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from api.answers import Answer
from api.auth import PublicRoute
from api.parts import Parts

router = APIRouter(tags=["health"], route_class=PublicRoute)

ESSENTIAL = frozenset({"store"})
"""What the gateway cannot work without. Whatever else fails, it goes on taking in, storing and answering."""


@dataclass(frozen=True, slots=True)
class Health:
    """The program runs."""

    alive: bool


@dataclass(frozen=True, slots=True)
class PartReadiness:
    """Whether a part works, and if not, why."""

    ready: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the gateway can be used, which asks for the store alone, and whether every part works."""

    ready: bool
    parts: dict[str, PartReadiness]


@router.get("/healthz", response_model=Health)
async def get_health() -> Response:
    """Says that the program runs."""
    return Answer(Health(alive=True))


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness, "description": "Not ready"}})
async def get_readiness(request: Request) -> Response:
    """Says whether the gateway takes in and stores, and for each part that does not work the reason.

    A broker that cannot be reached or a clock in doubt is told here and makes nobody turn away.
    """
    reasons = _parts(request).health.readiness()
    parts = {name: PartReadiness(reason is None, reason) for name, reason in reasons.items()}
    is_ready = all(part.ready for name, part in parts.items() if name in ESSENTIAL)
    return Answer(Readiness(is_ready, parts), 200 if is_ready else 503)


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
async def get_metrics(request: Request) -> Response:
    """Figures in Prometheus' text format."""
    return Response(generate_latest(_parts(request).health.metrics), media_type=CONTENT_TYPE_LATEST)


def _parts(request: Request) -> Parts:
    return cast(Parts, request.app.state.parts)

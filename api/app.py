"""The application: all routers under one roof, and its OpenAPI document."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from api import problems
from api.auth import Gate
from api.edge import Edge
from api.idempotency import Idempotency
from api.pages import Pages
from api.parts import Parts
from api.refusals import Refusals
from api.routes import alerts, audit, dead_letters, devices, health, keys, live, people, readings, rules, status, taps

ROUTERS: Final[tuple[APIRouter, ...]] = tuple(
    room.router
    for room in (
        devices,
        readings,
        taps,
        people,
        alerts,
        rules,
        live,
        status,
        dead_letters,
        keys,
        audit,
        health,
    )
)

PUBLIC: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""The addresses of the API that need no key; the console's files and the OpenAPI document are the others."""

DESCRIPTION: Final = """\
Every call needs a key: `Authorization: Bearer sg_…`. Lists come in pages: hand `next` back as `after`. Times are
RFC 3339, in UTC. Errors are problem details (RFC 9457): 400 is a request that this document forbids, 422 one that it
allows and that still cannot be done."""


def build(parts: Parts) -> FastAPI:
    """Returns the application over these parts. It needs no lifespan, and several servers may serve it at once."""
    app = _Application(
        title="Schoolgate",
        version=parts.health.version,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        routes=[route for router in ROUTERS for route in router.routes],  # flat: looking one up takes half the time
    )
    app.state.parts = parts
    app.state.gate = Gate(parts.store)
    app.state.refusals = Refusals(parts.store, parts.now_us, parts.health.metrics)
    app.state.idempotency = Idempotency()
    app.state.rule_lock = asyncio.Lock()
    problems.install(app)
    pages = Pages(parts.dist)
    for path in pages.paths:
        app.add_route(path, pages.serve, methods=["GET"], include_in_schema=False)
    app.add_exception_handler(405, _method_not_allowed)
    app.add_middleware(Edge, metrics=parts.health.metrics)
    return app


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Returns the OpenAPI document, with the problems that `problems.documented` refers to."""
        if self.openapi_schema is None:
            document = get_openapi(title=self.title, version=self.version, routes=self.routes, description=DESCRIPTION)
            document["components"]["schemas"]["Problem"] = problems.SCHEMA
            self.openapi_schema = document
        return self.openapi_schema


async def _method_not_allowed(request: Request, _error: Exception) -> Response:
    """RFC 9110 §15.5.6: `Allow` lists all methods of the path, whichever route they belong to."""
    path = request.url.path
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    methods = {method for route in routes if route.path_regex.match(path) for method in route.methods or ()} or {"GET"}
    return problems.answer(405, f"{request.method} is not for this path", {"Allow": ", ".join(sorted(methods))})

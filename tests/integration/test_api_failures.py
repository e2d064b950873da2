"""What a caller hears when something fails inside: a problem, and nothing of the inside."""

import sqlite3
from collections.abc import Mapping
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import OperationalError

from api import problems
from api.edge import Edge
from api.parts import Parts
from api.routes import health
from foundation.errors import Conflict, Invalid, NotFound, Unavailable

SECRET = "a detail of the inside"


def client_of(error: Exception, metrics: CollectorRegistry) -> httpx.AsyncClient:
    """Returns a client of an application whose readiness fails with this error."""

    def readiness() -> Mapping[str, str | None]:
        raise error

    parts: dict[str, Any] = dict.fromkeys(field.name for field in fields(Parts))
    app = FastAPI()
    app.include_router(health.router)
    app.state.parts = Parts(**parts | {"health": SimpleNamespace(readiness=readiness, metrics=metrics)})
    problems.install(app)
    app.add_middleware(Edge, metrics=metrics)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://school")


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (RuntimeError(SECRET), 500, "the gateway made a mistake; its log says which"),
        (ValueError(SECRET), 500, "the gateway made a mistake; its log says which"),
        (OperationalError(SECRET, None, sqlite3.OperationalError(SECRET)), 503, "the database cannot be read now"),
        (Unavailable("the disk is full", 4.2), 503, "the disk is full"),
        (NotFound("device lab-7"), 404, "device lab-7 is not known"),
        (Conflict("it is there already"), 409, "it is there already"),
        (Invalid("that cannot be"), 422, "that cannot be"),
        (problems.Problem(403, "not for you"), 403, "not for you"),
    ],
)
async def test_a_failure_is_a_problem_without_internals(error: Exception, status: int, detail: str) -> None:
    metrics = CollectorRegistry()
    async with client_of(error, metrics) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == detail
    assert SECRET not in answer.text
    assert metrics.get_sample_value(
        "schoolgate_http_requests_total", {"method": "GET", "route": "/readyz", "status": str(status)}
    )


async def test_who_cannot_be_served_now_is_told_when_to_come_back() -> None:
    async with client_of(Unavailable("the disk is full", 4.2), CollectorRegistry()) as client:
        assert (await client.get("/readyz")).headers["retry-after"] == "5"

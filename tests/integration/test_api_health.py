"""What watchers ask without a key, and the OpenAPI document."""

import json
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import httpx
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from api.parts import Parts
from api.routes.health import router
from tests.gateway_process import GatewayProcess


def get(school: GatewayProcess, path: str) -> httpx.Response:
    return httpx.get(f"{school.http_url}{path}", timeout=120, trust_env=False)


def test_a_running_gateway_is_alive_and_ready(school: GatewayProcess) -> None:
    assert get(school, "/healthz").json() == {"alive": True}
    ready = get(school, "/readyz")
    assert ready.status_code == 200
    assert ready.json()["ready"] is True
    assert ready.json()["parts"]["store"] == {"ready": True, "reason": None}


async def readiness(reasons: dict[str, str | None]) -> httpx.Response:
    """What /readyz answers when the parts say this."""
    health = FastAPI()
    health.include_router(router)
    parts: dict[str, Any] = dict.fromkeys(field.name for field in fields(Parts))
    health.state.parts = Parts(**parts | {"health": SimpleNamespace(readiness=lambda: reasons)})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(health), base_url="http://school") as client:
        return await client.get("/readyz")


async def test_a_bridge_that_is_not_ready_says_why_and_holds_nothing_up() -> None:
    answer = await readiness({"store": None, "bridge": "connecting"})
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "parts": {"store": {"ready": True, "reason": None}, "bridge": {"ready": False, "reason": "connecting"}},
    }


async def test_without_the_store_nothing_is_ready() -> None:
    answer = await readiness({"store": "database or disk is full", "clock": None})
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert answer.json()["parts"]["store"] == {"ready": False, "reason": "database or disk is full"}


def test_metrics_are_prometheus_text(school: GatewayProcess) -> None:
    answer = get(school, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert "schoolgate_frames" in families
    routes = {sample.labels["route"] for sample in families["schoolgate_http_requests"].samples}
    assert "/healthz" in routes


def test_status_tells_the_program_apart_from_others(school: GatewayProcess) -> None:
    with school.api() as api:
        status = api.get("status").json()
    assert status["node"] == "schoolgate"
    assert status["clock_right"] is True
    assert status["bridge"]["state"] == "off"


def test_the_openapi_document_is_there_without_a_key_and_bounds_everything_that_comes_in(
    school: GatewayProcess,
) -> None:
    document = get(school, "/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert len(json.dumps(document)) > 10_000
    unbounded = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", []):
                kinds = parameter["schema"].get("anyOf", [parameter["schema"]])
                for kind in kinds:
                    if kind.get("type") == "string" and not {"pattern", "maxLength", "enum"} & kind.keys():
                        unbounded.append((method, path, parameter["name"]))
                    if kind.get("type") == "integer" and "maximum" not in kind:
                        unbounded.append((method, path, parameter["name"]))
    assert unbounded == []


def test_every_call_but_those_of_watchers_needs_a_key_by_the_document(school: GatewayProcess) -> None:
    document = get(school, "/api/v1/openapi.json").json()
    without = {
        path for path, operations in document["paths"].items() for one in operations.values() if not one.get("security")
    }
    assert without == {"/healthz", "/readyz", "/metrics"}

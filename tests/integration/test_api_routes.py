"""Which calls need a key: every one that is not on the list."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIWebSocketRoute
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute

from api import app
from api.auth import GuardedRoute, PublicRoute
from api.parts import Parts
from api.sockets import is_guarded
from tests.gateway_process import GatewayProcess


@pytest.fixture
def application(tmp_path: Path) -> FastAPI:
    """The application as it is, over parts that nobody calls."""
    parts: dict[str, Any] = dict.fromkeys(field.name for field in fields(Parts))
    (tmp_path / "index.html").write_text("<!doctype html>")
    health = SimpleNamespace(metrics=CollectorRegistry(), version="0")
    return app.build(Parts(**parts | {"health": health, "dist": tmp_path}))


def is_let_in(route: BaseRoute) -> bool:
    """True if something decides who may use this route."""
    if isinstance(route, APIWebSocketRoute):
        return is_guarded(route)
    return isinstance(route, GuardedRoute | PublicRoute)


def test_every_route_is_guarded_or_listed_as_public(application: FastAPI) -> None:
    public = {route.path for route in application.routes if isinstance(route, PublicRoute)}
    others = [route for route in application.routes if not is_let_in(route)]
    assert public == app.PUBLIC
    assert {getattr(route, "path", "") for route in others} == {
        "/api/v1/openapi.json",
        "/",
        "/index.html",
        "/assets/{name:path}",
    }


def test_the_document_says_which_calls_need_no_key(application: FastAPI) -> None:
    operations = [
        (path, operation) for path, methods in application.openapi()["paths"].items() for operation in methods.values()
    ]
    assert {path for path, operation in operations if operation["security"] == []} == app.PUBLIC
    assert all(operation["security"] == [{"Key": []}] for path, operation in operations if path not in app.PUBLIC)


@pytest.mark.parametrize("path", sorted(app.PUBLIC))
def test_what_is_public_is_answered_without_a_key(school: GatewayProcess, path: str) -> None:
    assert httpx.get(f"{school.http_url}{path}", timeout=30, trust_env=False).status_code == 200

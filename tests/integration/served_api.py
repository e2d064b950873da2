"""The real application on its real server and store, in this process, with routes that a test adds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry

from api import server
from api.app import build
from api.parts import Parts
from gateway.access import keys
from gateway.access.audit import AuditEntry
from gateway.access.keys import Role
from gateway.store.store import Store
from gateway.supervision import Supervisor
from tests.gateway_process import free_ports
from tests.integration.test_api_refusals import entries_of, opened_store
from tests.school_database import START_US


@dataclass(frozen=True, slots=True)
class ServedApi:
    """`key`: an admin's; `stop()` stops the server and returns when it has stopped."""

    app: FastAPI
    port: int
    key: str
    store: Store
    metrics: CollectorRegistry
    stop: Callable[[], Awaitable[None]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def client(self, *, has_key: bool = True) -> httpx.AsyncClient:
        """Returns a client that holds the key; close it, or use it in a `with`."""
        headers = self.bearer if has_key else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def figure(self, name: str, **labels: str) -> float:
        """Returns a figure of the metrics, 0 if there is none."""
        return self.metrics.get_sample_value(name, labels) or 0.0

    async def until(self, name: str, value: float, **labels: str) -> None:
        """Waits for a figure; a call is counted when all of its answer is sent."""
        async with asyncio.timeout(30):
            while self.figure(name, **labels) != value:
                await asyncio.sleep(0.01)

    async def refusals(self, count: int) -> list[AuditEntry]:
        """Returns the audit log when it accounts for this many entries."""
        return await entries_of(self.store, count)


@asynccontextmanager
async def served_api(directory: Path, *routers: APIRouter, **server_options: Any) -> AsyncIterator[ServedApi]:
    """Serves the API with these routers' routes beside its own."""
    async with opened_store(directory) as store:
        _, key = await store.write(lambda connection: keys.create(connection, Role.ADMIN, START_US, name="test"))
        metrics = CollectorRegistry()
        parts: dict[str, Any] = dict.fromkeys(field.name for field in fields(Parts))
        health = SimpleNamespace(metrics=metrics, version="0")
        given = {"store": store, "health": health, "now_us": lambda: START_US, "dist": directory}
        app = build(Parts(**parts | given))
        app.router.routes[:0] = [route for router in routers for route in router.routes]
        [port] = free_ports(1)
        http = server.HttpServer(app, "127.0.0.1", port, **server_options)
        http.listen()
        serving = Supervisor().running(http.name, http.run, http.close)
        await serving.__aenter__()
        is_stopped = False

        async def stop() -> None:
            nonlocal is_stopped
            if not is_stopped:
                is_stopped = True
                await serving.__aexit__(None, None, None)

        try:
            yield ServedApi(app, port, key, store, metrics, stop)
        finally:
            await stop()

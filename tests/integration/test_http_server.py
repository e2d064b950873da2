"""The HTTP door by itself: what uvicorn does not bound, and what must not be bounded with it."""

import asyncio
import socket

import httpx
import pytest
from fastapi import FastAPI

from api import server
from gateway.supervision import Supervisor
from tests.eventually import eventually
from tests.gateway_process import free_ports

WITHIN_S = 0.2


async def test_an_empty_line_after_a_request_does_not_end_the_wait_for_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 9112 §2.2 asks servers to ignore it."""
    monkeypatch.setattr(server, "PIECE_WITHIN_S", WITHIN_S)
    app = FastAPI()

    @app.get("/slow")
    async def answer() -> str:
        await asyncio.sleep(4 * WITHIN_S)
        return "at last"

    [port] = free_ports(1)
    http = server.HttpServer(app, "127.0.0.1", port)
    http.listen()
    async with Supervisor().running("http", http.run, http.close):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: school\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(WITHIN_S / 4)
        writer.write(b"\r\n")
        async with asyncio.timeout(120):
            assert b"at last" in await reader.read()
        writer.close()
        await writer.wait_closed()


async def test_a_server_that_fails_serves_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()

    @app.get("/")
    async def answer() -> str:
        return "here"

    tick = server._Server.on_tick

    async def break_down(broken: server._Server, _counter: int) -> bool:
        monkeypatch.setattr(server._Server, "on_tick", tick)
        raise RuntimeError("broken")

    [port] = free_ports(1)
    http = server.HttpServer(app, "127.0.0.1", port)
    http.listen()
    supervisor = Supervisor(draw=lambda: 0.0)
    async with supervisor.running(http.name, http.run, http.close), httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{port}/"
        assert (await client.get(url)).json() == "here"
        monkeypatch.setattr(server._Server, "on_tick", break_down)
        await eventually(lambda: supervisor.totals()["task_failures"][1] == 1)

        async def is_served() -> bool:
            try:
                return (await client.get(url)).json() == "here"
            except httpx.TransportError:
                return False

        async with asyncio.timeout(60):
            while not await is_served():
                await asyncio.sleep(0.01)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)

"""The HTTP door by itself: what uvicorn does not bound, and what must not be bounded with it."""

import asyncio

import pytest
from fastapi import FastAPI

from api import server
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
    async with server.serve_http(app, "127.0.0.1", port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: school\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(WITHIN_S / 4)
        writer.write(b"\r\n")
        async with asyncio.timeout(120):
            assert b"at last" in await reader.read()
        writer.close()
        await writer.wait_closed()

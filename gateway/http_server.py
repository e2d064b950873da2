"""The HTTP doors: uvicorn in the gateway's own event loop, with and without TLS, serving one application."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
from fastapi import FastAPI

log = structlog.get_logger("http")

STOP_WITHIN_S = 5
BACKLOG = 512


class _Server(uvicorn.Server):
    """Leaves signals to the gateway."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Captures nothing: the composition root owns signals."""
        yield


@asynccontextmanager
async def serve_http(app: FastAPI, host: str, port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    """Serves the application until left. Raises OSError if the address is taken or not allowed."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=64 << 10,
        limit_concurrency=2_000,
    )
    config.load()
    if context is not None:
        config.ssl = context
    listener = _listener(host, port)
    server = _Server(config)
    task = asyncio.create_task(server.serve([listener]), name=f"http:{port}")
    log.info("http_listening", host=host, port=port, tls=context is not None)
    try:
        yield
    finally:
        server.should_exit = True
        await task
        listener.close()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen for HTTP on {host}:{port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener

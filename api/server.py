"""The HTTP doors: uvicorn in the gateway's own event loop, with and without TLS, serving one application."""

import asyncio
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.websocket_protocol import MESSAGE_BYTES, PING_EVERY_S, PONG_WITHIN_S, WebSocketProtocol

log = structlog.get_logger("http")

STOP_WITHIN_S = 5
BACKLOG = 512
MAX_CONNECTIONS = 2_000
PIECE_WITHIN_S = 10.0
PIECE_BYTES = 64 << 10
"""The head of a request, and each piece of its body, has to come within that time."""

MAX_FRAMING_BYTES = 64 << 10
"""What of a request is not body; one may be larger by what a socket gives at once."""

TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Protocol(HttpToolsProtocol):
    """Bounds what httptools does not: the time a request takes to come, and what is not its body. A header or trailer
    is collected for as long as it comes, and all of it copied with each of its pieces."""

    _deadline: asyncio.TimerHandle | None = None
    """Until the first request, and while one is coming: what ends the connection."""

    _piece_bytes = 0
    _framing_bytes = 0
    _may_upgrade = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._expect_piece()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_piece()  # not while an answer is under way: an empty line may follow a request
        self._framing_bytes += len(data)
        super().data_received(data)
        if self._framing_bytes > MAX_FRAMING_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        is_idle = self.cycle is None or self.cycle.response_complete  # else an answer would lose its caller
        self._may_upgrade = is_idle and len(self.connections) < MAX_CONNECTIONS
        if self._deadline is None:
            self._expect_piece()

    def on_headers_complete(self) -> None:
        self._expect_piece()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._framing_bytes -= len(body)
        self._piece_bytes += len(body)
        if self._piece_bytes >= PIECE_BYTES and self.cycle is not None and not self.cycle.response_complete:
            self._expect_piece()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._expect_nothing()
        self._framing_bytes = 0
        super().on_message_complete()

    def _should_upgrade(self) -> bool:
        """As uvicorn's, but not over an answer that is under way, and not beyond the number of connections."""
        return self._may_upgrade and super()._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        """Hands the connection on; from here it has other deadlines."""
        self._expect_nothing()
        super().handle_websocket_upgrade()

    def _expect_piece(self) -> None:
        self._expect_nothing()
        self._piece_bytes = 0
        self._deadline = self.loop.call_later(PIECE_WITHIN_S, self._give_up)

    def _give_up(self) -> None:
        """Ends the connection, unless it is we who do not read: a handler may take its time with a long body."""
        self._deadline = None
        if self.flow.read_paused and not self.transport.is_closing():
            self._expect_piece()
        else:
            self.transport.abort()

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self) -> None:
        """Says why if no answer is on its way. The deadline ends a connection that cannot be closed in good order."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(TOO_LARGE)
            self.transport.close()
        else:
            self.transport.abort()


class _Server(uvicorn.Server):
    """Leaves signals to the gateway."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Captures nothing: the composition root owns signals."""
        yield


class HttpServer:
    """One address that the application is served at, with `context` over TLS."""

    def __init__(self, app: FastAPI, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._context = context
        self._listener: socket.socket | None = None
        self._server: _Server | None = None

    @property
    def name(self) -> str:
        return f"http:{self._port}"

    def listen(self) -> None:
        """Opens the listening socket; harmless again. Raises OSError if the address is taken or not allowed."""
        if self._listener is None:
            self._listener = _listener(self._host, self._port)
            log.info("http_listening", host=self._host, port=self._port, tls=self._context is not None)

    async def run(self) -> None:
        """Serves until `close`. Raises OSError, and RuntimeError if the server ended by itself; after that it may be
        called again."""
        self.listen()
        listener, self._listener = self._listener, None
        assert listener is not None  # noqa: S101 `listen` has just opened it
        server = self._server = _Server(self._config())
        try:
            await server.serve([listener])
        finally:
            for served in getattr(server, "servers", ()):  # still open if it failed
                served.close()
            listener.close()
        if not server.should_exit:
            raise RuntimeError("the HTTP server ended by itself")

    def close(self) -> None:
        """Has `run` answer what was asked, and end."""
        if self._server is not None:
            self._server.should_exit = True
        if self._listener is not None:
            self._listener.close()

    def _config(self) -> uvicorn.Config:
        config = uvicorn.Config(
            self._app,
            http=_Protocol,
            ws=WebSocketProtocol,
            ws_max_size=MESSAGE_BYTES,
            ws_ping_interval=PING_EVERY_S,
            ws_ping_timeout=PONG_WITHIN_S,
            ws_per_message_deflate=False,  # a window for each of them, and what is sent often is small
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_WITHIN_S,
            timeout_keep_alive=30,
            limit_concurrency=MAX_CONNECTIONS,
        )
        config.load()
        if self._context is not None:
            config.ssl = self._context
        return config


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

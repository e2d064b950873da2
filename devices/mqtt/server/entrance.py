"""The way in through TLS. A handshake that fails is counted and logged.

The servers of asyncio and uvloop tell nobody of it, so connections are accepted here and handed to the loop one by one.

socket ──▶ handshake ──▶ the protocol, as if it had been on a plain socket
               └───────▶ counted, closed

A refused peer sees its connection close: the loops drop the alert that says why.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from typing import cast

import structlog

log = structlog.get_logger("mqtt")

BACKLOG = 1024
ACCEPT_AGAIN_S = 1.0
LOG_EVERY_S = 60.0
MAX_LOGGED_ADDRESSES = 16
"""Of LOG_EVERY_S. A device that tries again every second must not fill the log, nor a thousand that do."""


class FailedHandshakes:
    """Counts all, and logs the first of each address in every minute."""

    def __init__(self) -> None:
        self.total = 0
        self._logged: set[str] = set()
        self._logged_since_s = -LOG_EVERY_S

    def add(self, address: str, error: OSError, now_s: float) -> None:
        """`now_s`: of a steady clock."""
        self.total += 1
        if now_s - self._logged_since_s >= LOG_EVERY_S:
            self._logged.clear()
            self._logged_since_s = now_s
        if address not in self._logged and len(self._logged) < MAX_LOGGED_ADDRESSES:
            self._logged.add(address)
            log.warning("tls_handshake_failed", address=address, reason=reason_of(error), failures_total=self.total)


def reason_of(error: OSError) -> str:
    """Returns why a handshake failed, for the log."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"client certificate: {error.verify_message}"
        case ssl.SSLError():
            return error.reason
        case ConnectionResetError():
            return "the peer closed the connection"
        case ConnectionAbortedError():
            return "it took too long"
        case _:
            return error.strerror or type(error).__name__


class TlsEntrance:
    """A listening socket with TLS. `make` makes the protocol that is behind the handshake; it has `within_s`."""

    def __init__(
        self, context: ssl.SSLContext, within_s: float, make: Callable[[], asyncio.Protocol], failed: FailedHandshakes
    ) -> None:
        self._context = context
        self._within_s = within_s
        self._make = make
        self._failed = failed
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> None:
        """Opens a socket for each address of `host`. Raises OSError if one is taken or not allowed."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in sorted({(family, address[:2]) for family, _, _, _, address in found}):
            listening = socket.create_server(cast(tuple[str, int], address), family=family, backlog=BACKLOG)
            self._sockets.append(listening)
            listening.setblocking(False)
        for listening in self._sockets:
            self._start(self._accept(listening))

    async def close(self) -> None:
        """Listens no more, and ends the handshakes that are not done."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listening in self._sockets:
            listening.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except ConnectionError:
                continue  # it went before it was taken
            except OSError as error:  # no more file descriptors, for example: as the loops' own servers do
                log.warning("accept_failed", reason=error.strerror)
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            self._start(self._shake_hands(accepted, str(address[0])))
            await asyncio.sleep(0)  # a queue of newcomers does not hold up the others

    async def _shake_hands(self, accepted: socket.socket, address: str) -> None:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make, accepted, ssl=self._context, ssl_handshake_timeout=self._within_s
            )
        except OSError as error:  # ssl.SSLError is one, and so is the time-out
            self._failed.add(address, error, time.monotonic())

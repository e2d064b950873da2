"""Connections below paho: opens many sockets to a broker and signs them in. Linux (epoll)."""

import contextlib
import resource
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware_sim import packets
from firmware_sim.errors import SignInRefused, SimError, Unreachable

_OPEN_AT_ONCE = 64
_SPARE_FILES = 64


@dataclass(frozen=True, slots=True)
class Credential:
    """A device's id, which is its user name and client id too, and its secret. None: signs in anonymously."""

    device_id: str
    secret: str | None = None


def raise_file_limit(connections: int) -> None:
    """Lifts this process's limit of open files as far as it may, or says that the limit is too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise SimError(f"{connections} connections need {needed} open files, ulimit -n allows {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def sign_in_all(
    host: str,
    port: int,
    credentials: Sequence[Credential],
    version: int,
    *,
    keep_alive_s: int = 0,
    timeout_s: float = 10.0,
    on_progress: Callable[[int], None] = lambda count: None,
) -> list[tuple[socket.socket, packets.ConnAck]]:
    """Connects and signs in, a few dozen at a time, in order. All sockets are open, or none is.

    Raises Unreachable and SignInRefused.
    """
    opened: list[tuple[socket.socket, packets.ConnAck]] = []
    with contextlib.ExitStack() as stack:
        for start in range(0, len(credentials), _OPEN_AT_ONCE):
            group = credentials[start : start + _OPEN_AT_ONCE]
            sockets = [stack.enter_context(_opened(host, port, timeout_s)) for _ in group]
            for sock, credential in zip(sockets, group, strict=True):
                sock.sendall(
                    packets.connect(version, credential.device_id, credential.secret, keep_alive_s=keep_alive_s)
                )
            for sock, credential in zip(sockets, group, strict=True):
                opened.append((sock, _welcome(sock, credential, version, f"{host}:{port}")))
                sock.setblocking(False)
            on_progress(len(opened))
        stack.pop_all()
    return opened


def _opened(host: str, port: int, timeout_s: float) -> socket.socket:
    try:
        sock = socket.create_connection((host, port), timeout=timeout_s)
    except OSError as error:
        raise Unreachable(f"{host}:{port}", error.strerror or str(error)) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _welcome(sock: socket.socket, credential: Credential, version: int, address: str) -> packets.ConnAck:
    data = b""
    while True:
        try:
            piece = sock.recv(1024)
        except OSError as error:
            raise Unreachable(address, f"no CONNACK for {credential.device_id}: {error}") from error
        if not piece:
            raise Unreachable(address, f"closed the connection of {credential.device_id} before CONNACK")
        data += piece
        welcome = packets.read_connack(data, version)
        if welcome is not None:
            if welcome.reason_code:
                raise SignInRefused(credential.device_id, welcome.reason_code)
            return welcome


def hurry_acknowledgements(sock: socket.socket) -> None:
    """Lets TCP acknowledge what was received at once, until data is sent again (tcp(7), TCP_QUICKACK).

    A broker with Nagle's algorithm on holds its second small packet back until then, up to 40 ms.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class ReadyFiles:
    """epoll with a time-out finer than its own millisecond: select waits on the epoll file itself.

    select knows only the first 1,024 files of a process: make one before opening many sockets.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def __enter__(self) -> "ReadyFiles":
        return self

    def __exit__(self, *exc: object) -> None:
        self._epoll.close()

    def add(self, fileno: int) -> None:
        self._epoll.register(fileno, select.EPOLLIN)

    def watch_writes(self, fileno: int, *, wanted: bool) -> None:
        self._epoll.modify(fileno, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def remove(self, fileno: int) -> None:
        self._epoll.unregister(fileno)

    def wait(self, timeout_s: float) -> list[tuple[int, int]]:
        """The files that are ready, within a millisecond's accuracy: for the fastest loop."""
        return self._epoll.poll(max(0.0, timeout_s))

    def wait_until(self, deadline: float) -> list[tuple[int, int]]:
        """The same, but `deadline` (time.monotonic) is kept within some ten microseconds."""
        select.select([self._epoll.fileno()], [], [], max(0.0, deadline - time.monotonic()))
        return self._epoll.poll(0)

"""The ways to look in: the API and the pages, with and without TLS."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from api.parts import DIST
from api.server import HttpServer
from foundation.findings import Finding, bad, good
from foundation.room import Room
from gateway.configuration.sections import Http, Https
from gateway.doors.ports import check_port
from gateway.supervision import Supervisor
from gateway.tls.certificates import Certificates
from gateway.tls.examination import check_certificate


def http_room(http: Http, https: Https) -> Room:
    return Room(name="http", checks=partial(_check, http, https))


def _check(http: Http, https: Https) -> Iterator[Finding]:
    if http.enabled:
        yield check_port("http", http.host, http.port)
    if https.enabled:
        yield check_port("https", https.host, https.port)
        yield from check_certificate("https", https.certificate, https.key)
    yield check_pages(DIST / "index.html")


def check_pages(index: Path) -> Finding:
    """The pages were built, `index` being the first of them."""
    if index.is_file():
        return good("web pages", "built")
    return bad("web pages", f"{index} is not there", "build them with: make setup")


@asynccontextmanager
async def open_http(
    http: Http,
    https: Https,
    app: FastAPI,
    certificates: Certificates,
    supervisor: Supervisor,
    before_close: Callable[[], None],
) -> AsyncIterator[None]:
    """Serves `app` until left; `before_close` ends answers that would never end by themselves. Raises OSError if an
    address is taken or not allowed."""
    servers: list[HttpServer] = []
    if http.enabled:
        servers.append(HttpServer(app, http.host, http.port))
    if https.enabled and (context := certificates.context(https.certificate, https.key)) is not None:
        servers.append(HttpServer(app, https.host, https.port, context))
    async with AsyncExitStack() as stack:
        for server in servers:
            server.listen()
            await stack.enter_async_context(supervisor.running(server.name, server.run, server.close))
        try:
            yield
        finally:
            before_close()

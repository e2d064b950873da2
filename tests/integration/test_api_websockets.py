"""WebSockets on the real server: who is let in, what is bounded, and how they end."""

import asyncio
import ipaddress
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pytest
import uvloop
import websockets
from fastapi import APIRouter, Depends, Query
from sqlalchemy import Connection
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from api import server, websocket_protocol
from api.auth import Holder
from api.sockets import ByKey, ByTicket, Refused, Socket, is_guarded
from api.websocket_protocol import MAX_FRAGMENTS, MAX_QUEUED, MESSAGE_BYTES
from gateway.access import keys
from gateway.access.keys import Permission, Role
from gateway.tls.addresses import Names
from gateway.tls.files import provide, ssl_context
from tests.integration.served_api import ServedApi, served_api
from tests.school_database import START_US

PROTOCOL = "schoolgate.test.1"
OPEN = "schoolgate_websockets_open"
ASKED = "schoolgate_websockets_total"

router = APIRouter(prefix="/test")
seen: dict[str, Any] = {}


async def seat_of(_websocket: WebSocket, ticket: str) -> int:
    if ticket == "late":
        raise Refused(4410, "the room is closed")
    if ticket == "slow":
        await seen["go_on"].wait()
    if not ticket.isdigit():
        raise Refused(4401, "this ticket is nobody's")
    return int(ticket)


@router.websocket("/echo")
async def echo(socket: Annotated[Socket[Holder], Depends(ByKey(PROTOCOL, (Permission.STATUS_READ,)))]) -> None:
    await answer_all(socket)


@router.websocket("/room")
async def room(
    socket: Annotated[Socket[int], Depends(ByTicket(PROTOCOL, seat_of))], number: Annotated[int, Query()] = 0
) -> None:
    await socket.send(f"seat {socket.who}, number {number}")
    await answer_all(socket)


async def answer_all(socket: Socket[Any]) -> None:
    """Says back what comes; a few words have it do something else."""
    try:
        while True:
            message = await socket.receive()
            match message:
                case "fail":
                    raise RuntimeError("a mistake of the gateway")
                case "wait":
                    await seen["go_on"].wait()
                case "pour":
                    while True:
                        await socket.send(bytes(1 << 16))
                case "close":
                    await socket.close(4000, "as asked")
                case _:
                    await socket.send(message)
    except WebSocketDisconnect as end:
        seen["ended"].append(end.code)
        raise


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[ServedApi]:
    seen.clear()
    seen.update(go_on=asyncio.Event(), ended=[])
    async with served_api(directory, router) as api:
        yield api
        seen["go_on"].set()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ServedApi]:
    async with served(tmp_path) as api:
        yield api


@asynccontextmanager
async def opened(
    api: ServedApi, path: str = "/test/echo", *, key: str | None = None, subprotocol: str = PROTOCOL, **options: Any
) -> AsyncIterator[ClientConnection]:
    headers = {"Authorization": f"Bearer {key or api.key}"} if key != "" else {}
    url = f"ws://127.0.0.1:{api.port}{path}"
    protocols = [websockets.Subprotocol(subprotocol)]
    given = {"additional_headers": headers, "subprotocols": protocols, "proxy": None, "compression": None} | options
    async with connect(url, **given) as line:
        yield line


async def refusal(api: ServedApi, path: str = "/test/echo", **options: Any) -> tuple[int, str, str]:
    """Returns status, media type and body of the answer to a WebSocket that is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with opened(api, path, **options):
            pass
    response = refused.value.response
    assert response.headers["x-content-type-options"] == "nosniff"
    return response.status_code, response.headers["content-type"], bytes(response.body or b"").decode()


async def end_of(line: ClientConnection) -> tuple[int, str]:
    """Waits for the end; returns its code and reason."""
    async with asyncio.timeout(30):
        with pytest.raises(ConnectionClosed):
            while True:
                await line.recv()
    return line.close_code or 0, line.close_reason or ""


async def new_key(api: ServedApi, role: Role, *scopes: str) -> tuple[str, str]:
    key, text = await api.store.write(lambda c: keys.create(c, role, START_US, name="other", scopes=scopes))
    return key.id, text


async def test_messages_go_both_ways_and_are_counted_by_route(api: ServedApi) -> None:
    async with opened(api) as line:
        assert line.subprotocol == PROTOCOL
        for message in ("Grüezi", b"\x00\xff", "", b"x" * MESSAGE_BYTES):
            await line.send(message)
            assert await line.recv() == message
        assert api.figure(OPEN, route="/test/echo") == 1
        assert api.figure(ASKED, route="/test/echo", status="101") == 1
    await api.until(OPEN, 0, route="/test/echo")
    assert seen["ended"] == [1000]


async def test_a_handler_closes_with_its_code_and_hears_no_more(api: ServedApi) -> None:
    async with opened(api) as line:
        await line.send("close")
        assert await end_of(line) == (4000, "as asked")
    await api.until(OPEN, 0, route="/test/echo")
    assert seen["ended"] == [4000]


async def test_who_has_no_key_or_too_small_a_one_is_refused_as_everywhere(api: ServedApi) -> None:
    _, too_small = await new_key(api, Role.SERVICE, "readings:read")
    status, media_type, body = await refusal(api, key="")
    assert (status, media_type) == (401, "application/problem+json")
    assert "this needs a key" in body
    assert (await refusal(api, key="sg_000000000000_" + "A" * 43))[0] == 401
    status, _, body = await refusal(api, key=too_small)
    assert (status, "lacks the permission status:read" in body) == (403, True)
    details = {entry.detail for entry in await api.refusals(3)}
    assert {
        "no key: WebSocket /test/echo",
        "a key that opens nothing: WebSocket /test/echo",
        "WebSocket /test/echo needs status:read",
    } <= details
    assert api.figure(ASKED, route="/test/echo", status="401") == 2
    assert api.figure("schoolgate_http_refused_total", action="sign_in_failed") == 2
    assert api.figure(OPEN, route="/test/echo") == 0


async def test_a_connection_ends_with_its_key(api: ServedApi) -> None:
    key_id, text = await new_key(api, Role.VIEWER)
    async with opened(api, key=text) as line:

        def revoke(connection: Connection) -> None:
            keys.revoke(connection, key_id, START_US)

        await api.store.write(revoke)
        assert await end_of(line) == (1008, "the key ended")


async def test_a_ticket_lets_in_and_what_is_none_is_told_by_the_closing_code(api: ServedApi) -> None:
    async with opened(api, "/test/room?ticket=7&number=3", key="") as line:
        assert await line.recv() == "seat 7, number 3"
    for ticket, code in (("", 4401), ("x", 4401), ("9" * 201, 4401), ("late", 4410)):
        async with opened(api, f"/test/room?ticket={ticket}", key="") as line:
            assert (await end_of(line))[0] == code
    details = {entry.detail for entry in await api.refusals(4)}
    assert {"this ticket is nobody's: WebSocket /test/room", "the room is closed: WebSocket /test/room"} <= details
    await api.until(OPEN, 0, route="/test/room")


async def test_a_query_that_is_not_as_described_closes_the_connection(api: ServedApi) -> None:
    async with opened(api, "/test/room?ticket=7&number=x") as line:
        assert (await end_of(line))[0] == 1008
    await api.until(OPEN, 0, route="/test/room")


async def test_the_subprotocol_has_to_be_named(api: ServedApi) -> None:
    assert (await refusal(api, subprotocol="something.else"))[0] == 400


@pytest.mark.parametrize(
    ("origin", "is_own"),
    [
        ("http://127.0.0.1:{port}", True),
        ("https://127.0.0.1:{port}", True),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:1", False),
        ("https://evil.example", False),
        ("http://127.0.0.1:{port}.evil.example", False),
        ("null", False),
        ("", False),
    ],
)
async def test_only_the_gateways_own_pages_open_one(api: ServedApi, origin: str, *, is_own: bool) -> None:
    given = websockets.Origin(origin.format(port=api.port))
    if is_own:
        async with opened(api, origin=given) as line:
            await line.send("here")
            assert await line.recv() == "here"
    else:
        status, media_type, _ = await refusal(api, origin=given)
        assert (status, media_type) == (403, "application/problem+json")
        (entry,) = [entry for entry in await api.refusals(1) if "another origin" in entry.detail]
        assert entry.action == "call_refused"


async def test_a_page_at_the_usual_port_is_its_own_with_and_without_the_port_named(api: ServedApi) -> None:
    for origin, host in (("https://school.example", "school.example:443"), ("http://school.example", "school.example")):
        answer = await handshake(api, f"Host: {host}", f"Origin: {origin}")
        assert answer.startswith(b"HTTP/1.1 101")


async def handshake(api: ServedApi, *headers: str, path: str = "/test/echo") -> bytes:
    """Sends a handshake with these headers; returns what is answered until it says so much, or the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    lines = [
        f"GET {path} HTTP/1.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Sec-WebSocket-Protocol: {PROTOCOL}",
        f"Authorization: Bearer {api.key}",
        *headers,
    ]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
    async with asyncio.timeout(30):
        answer = await reader.read(4096)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("header", ["Content-Length: 5\r\n\r\nhello", "X: " + "x" * 9000, "\r\n".join(["X: y"] * 300)])
async def test_a_handshake_that_cannot_be_read_is_refused_at_once(api: ServedApi, header: str) -> None:
    answer = await handshake(api, "Host: school", header)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))


async def test_a_long_handshake_is_read(api: ServedApi) -> None:
    assert (await handshake(api, "Host: school", *["X: " + "x" * 6000] * 3)).startswith(b"HTTP/1.1 101")


async def test_who_speaks_nonsense_before_being_let_in_is_cut_off(
    api: ServedApi, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        b"GET /test/room?ticket=slow HTTP/1.1\r\nHost: school\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with asyncio.timeout(30):
        while not writer.is_closing():
            writer.write(b"\xff" * 10)
            await asyncio.sleep(0.01)
            if reader.at_eof() or reader.exception() is not None:
                break
    writer.transport.abort()
    assert not [record for record in caplog.records if record.name == "asyncio"]
    async with opened(api) as line:
        await line.send("still here")
        assert await line.recv() == "still here"


async def test_an_address_without_a_websocket_is_a_404(api: ServedApi) -> None:
    status, media_type, _ = await refusal(api, "/api/v1/nothing")
    assert (status, media_type) == (404, "application/problem+json")
    assert api.figure(ASKED, route="none", status="404") == 1
    async with api.client() as client:
        assert (await client.get("/test/echo")).status_code == 404


async def test_a_mistake_of_the_gateway_closes_that_one_connection(api: ServedApi) -> None:
    async with opened(api) as line, opened(api) as other:
        await line.send("fail")
        assert (await end_of(line))[0] == 1011
        await other.send("still here")
        assert await other.recv() == "still here"


async def test_a_message_that_is_too_long_ends_the_connection(api: ServedApi) -> None:
    async with opened(api) as line:
        await line.send("x" * (MESSAGE_BYTES + 1))
        assert (await end_of(line))[0] == 1009
    async with opened(api) as line:
        await line.send([b"x" * 1024] * (MESSAGE_BYTES // 1024 + 1))
        assert (await end_of(line))[0] == 1009
    await api.until(OPEN, 0, route="/test/echo")


async def test_what_comes_faster_than_it_is_taken_waits_on_the_line(api: ServedApi) -> None:
    async with opened(api) as line:
        await line.send("wait")
        sending = asyncio.create_task(flood(line))
        async with asyncio.timeout(60):
            while line.transport.get_write_buffer_size() == 0:
                await asyncio.sleep(0.01)
        assert not sending.done()
        seen["go_on"].set()
        async with asyncio.timeout(60):
            await line.recv()
        sending.cancel()
        await asyncio.wait([sending])
        line.transport.abort()


async def flood(line: ClientConnection) -> None:
    for _ in range(2000):
        await line.send(os.urandom(32 << 10))


async def test_a_swarm_of_empty_messages_or_fragments_ends_the_connection(api: ServedApi) -> None:
    masked = bytes(4)
    messages = (b"\x81\x80" + masked) * 8 * MAX_QUEUED
    fragments = b"\x01\x80" + masked + (b"\x00\x80" + masked) * 2 * MAX_FRAGMENTS
    for swarm in (messages, fragments):
        async with opened(api) as line:
            await line.send("wait")
            line.transport.write(swarm)
            assert (await end_of(line))[0] == 1008
            seen["go_on"].set()
    await api.until(OPEN, 0, route="/test/echo")


async def test_a_reader_that_takes_nothing_is_cut_off(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "TAKE_WITHIN_S", 0.2)
    async with opened(api) as line:
        await line.send("pour")
        line.transport.pause_reading()
        await api.until(OPEN, 1, route="/test/echo")
        await api.until(OPEN, 0, route="/test/echo")
        line.transport.abort()


async def test_who_answers_no_ping_is_given_up(api: ServedApi) -> None:
    async with opened(api) as line:
        await api.until(OPEN, 1, route="/test/echo")
        line.transport.pause_reading()
        await api.until(OPEN, 0, route="/test/echo")
        line.transport.abort()


async def test_the_deadline_of_a_request_ends_with_the_handshake(
    api: ServedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PIECE_WITHIN_S", 0.2)
    async with opened(api) as line:
        await asyncio.sleep(0.6)
        await line.send("still here")
        assert await line.recv() == "still here"


async def test_it_goes_over_tls_too(tmp_path: Path) -> None:
    names = Names(("localhost",), (ipaddress.ip_address("127.0.0.1"),))
    provided = provide(tmp_path / "tls", "schoolgate", names, datetime.now(UTC))
    context = ssl_context(provided.certificate, provided.key)
    async with served_api(tmp_path, router, context=context) as api:
        trusting = ssl.create_default_context(cafile=provided.authority)
        url = f"wss://127.0.0.1:{api.port}/test/echo"
        protocols = [websockets.Subprotocol(PROTOCOL)]
        async with connect(
            url,
            ssl=trusting,
            additional_headers=api.bearer,
            subprotocols=protocols,
            origin=websockets.Origin(f"https://127.0.0.1:{api.port}"),
            proxy=None,
        ) as line:
            await line.send("here")
            assert await line.recv() == "here"


async def test_connections_are_closed_as_going_away_when_the_gateway_stops(api: ServedApi) -> None:
    async with opened(api) as line, opened(api, "/test/room?ticket=1", key="") as other:
        assert await other.recv() == "seat 1, number 0"
        stopping = asyncio.create_task(api.stop())
        assert (await end_of(line))[0] == 1001
        assert (await end_of(other))[0] == 1001
        async with asyncio.timeout(30):
            await stopping
    assert seen["ended"] == [1001, 1001]


async def test_no_upgrade_takes_the_line_from_an_answer_that_is_under_way(api: ServedApi) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    first = f"GET /api/v1/keys HTTP/1.1\r\nHost: school\r\nAuthorization: Bearer {api.key}\r\n\r\n"
    upgrade = "GET /test/echo HTTP/1.1\r\nHost: school\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    writer.write((first + upgrade).encode())
    answers = b""
    async with asyncio.timeout(30):
        while answers.count(b"HTTP/1.1 ") < 2:
            answers += await reader.read(4096)
    assert answers.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 404" in answers
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "scenario",
    [
        test_messages_go_both_ways_and_are_counted_by_route,
        test_who_has_no_key_or_too_small_a_one_is_refused_as_everywhere,
        test_a_message_that_is_too_long_ends_the_connection,
        test_a_swarm_of_empty_messages_or_fragments_ends_the_connection,
        test_who_answers_no_ping_is_given_up,
        test_connections_are_closed_as_going_away_when_the_gateway_stops,
    ],
)
def test_the_loop_of_the_gateway_does_the_same(
    scenario: Callable[[ServedApi], Awaitable[None]], tmp_path: Path
) -> None:
    """Transports of loops differ in what they do at an upgrade and at the end."""

    async def run() -> None:
        async with served(tmp_path) as api:
            await scenario(api)

    uvloop.run(run())


def test_a_route_is_guarded_by_what_lets_in() -> None:
    bare = APIRouter()

    @bare.websocket("/bare")
    async def serve(websocket: WebSocket) -> None:
        await websocket.accept()

    assert [is_guarded(route) for route in (*router.routes, *bare.routes)] == [True, True, False]  # type: ignore[arg-type]

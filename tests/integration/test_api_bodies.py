"""How much of what a request may bring, and when it is read: by route, on the real server."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends
from pydantic import BaseModel
from sqlalchemy import Connection
from starlette.responses import Response

from api import server
from api.auth import Caller, GuardedRoute, PublicRoute, requires
from api.bodies import MAX_BODY, MaxBody, Streamed, Upload, size
from api.fields import IdempotencyKey
from api.idempotency import once
from api.problems import documented
from tests.integration.served_api import ServedApi, served_api

KIB, MIB = 1 << 10, 1 << 20
UPLOAD_BYTES = 64 * MIB

guarded = APIRouter(prefix="/test", route_class=GuardedRoute)
public = APIRouter(prefix="/test/public", route_class=PublicRoute)

AnyCaller = Annotated[Caller, Depends(requires())]
Model = Annotated[Upload, Depends(Streamed(UPLOAD_BYTES, ("model/gltf-binary", "image/*")))]

seen: dict[str, Any] = {}


class Note(BaseModel):
    text: str


class Kept(BaseModel):
    bytes: int


@guarded.post("/ordinary", responses=documented(413, 415))
async def take_ordinary(caller: AnyCaller, note: Note) -> Kept:
    return Kept(bytes=len(note.text))


@guarded.post("/large", dependencies=[Depends(MaxBody(4 * MIB))], responses=documented(413, 415))
async def take_large(caller: AnyCaller, note: Note) -> Kept:
    return Kept(bytes=len(note.text))


@guarded.post("/small", dependencies=[Depends(MaxBody(KIB))], responses=documented(413))
async def take_small(caller: AnyCaller, note: Note) -> Kept:
    return Kept(bytes=len(note.text))


@guarded.delete("/nothing", status_code=204)
async def take_nothing(caller: AnyCaller) -> Response:
    seen["deleted"] = True
    return Response(status_code=204)


@guarded.post("/models", status_code=201, responses=documented(400, 413, 415))
async def take_model(
    caller: AnyCaller, model: Model, at_most: int = UPLOAD_BYTES, idempotency_key: IdempotencyKey = None
) -> Response:
    seen["began"].set()
    model.limit(at_most)
    largest = total = 0
    async for piece in model:
        largest, total = max(largest, len(piece)), total + len(piece)
        seen["read"] = total
        if seen["slow_s"]:
            await asyncio.sleep(seen["slow_s"])
    seen["largest"] = largest

    def create(_connection: Connection) -> dict[str, object]:
        seen["created"] += 1
        return {"bytes": total, "media_type": model.media_type}

    return await once(caller, idempotency_key, create, body=model)


@public.post("/notes", responses=documented(413, 415))
async def take_public(note: Note) -> Kept:
    return Kept(bytes=len(note.text))


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ServedApi]:
    seen.clear()
    seen.update(began=asyncio.Event(), created=0, slow_s=0.0)
    async with served_api(tmp_path, guarded, public) as served:
        yield served


async def pieces(count: int, each: int = 64 * KIB, begin: bytes = b"") -> AsyncIterator[bytes]:
    yield begin
    for _ in range(count):
        yield b"x" * each


def is_problem(answer: httpx.Response, status: int) -> bool:
    return answer.status_code == status and answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "limit"), [("ordinary", MAX_BODY), ("large", 4 * MIB), ("small", KIB), ("public/notes", MAX_BODY)]
)
async def test_each_route_has_its_own_limit_whether_it_is_announced_or_not(
    api: ServedApi, path: str, limit: int
) -> None:
    async with api.client() as client:
        head, tail = b'{"text":"', b'"}'
        fits = head + b"x" * (limit - len(head) - len(tail)) + tail
        json = {"Content-Type": "application/json"}
        assert (await client.post(f"/test/{path}", content=fits, headers=json)).status_code == 200
        announced = await client.post(f"/test/{path}", content=fits + b" ", headers=json)
        counted = await client.post(f"/test/{path}", content=pieces(limit // KIB + 1, KIB, head), headers=json)
    for answer in (announced, counted):
        assert is_problem(answer, 413)
        assert answer.json()["detail"] == f"the body is longer than {limit} bytes"


async def raw(api: ServedApi, head: str, *, has_key: bool = True, body: bytes = b"") -> bytes:
    """Sends a head, and a body that may be shorter than it says; returns the answer's beginning."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    key = f"Authorization: Bearer {api.key}\r\n" if has_key else ""
    writer.write(f"{head}\r\nHost: school\r\n{key}\r\n".encode() + body)
    async with asyncio.timeout(30):
        answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return answer


async def test_what_is_announced_too_long_is_refused_before_a_byte_is_read(api: ServedApi) -> None:
    for path, length in (("ordinary", MAX_BODY + 1), ("models", UPLOAD_BYTES + 1)):
        head = f"POST /test/{path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {length}"
        assert (await raw(api, head)).startswith(b"HTTP/1.1 413")
    assert (await raw(api, f"DELETE /test/nothing HTTP/1.1\r\nContent-Length: {MAX_BODY + 1}")).startswith(
        b"HTTP/1.1 413"
    )
    assert "deleted" not in seen


async def test_an_upload_without_a_key_is_refused_before_a_byte_is_read(api: ServedApi) -> None:
    head = f"POST /test/models HTTP/1.1\r\nContent-Type: model/gltf-binary\r\nContent-Length: {UPLOAD_BYTES}"
    assert (await raw(api, head, has_key=False)).startswith(b"HTTP/1.1 401")
    assert not seen["began"].is_set()


async def test_an_upload_is_read_in_pieces_as_it_comes(api: ServedApi) -> None:
    began_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with api.client() as client:
        answer = await client.post(
            "/test/models", content=pieces(1000), headers={"Content-Type": "model/gltf-binary; version=2"}
        )
    assert answer.status_code == 201
    assert answer.json() == {"bytes": 1000 * 64 * KIB, "media_type": "model/gltf-binary; version=2"}
    assert seen["largest"] <= MIB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began_kib < 32 * KIB


async def test_an_upload_beyond_the_routes_limit_or_the_handlers_own_is_cut_off(api: ServedApi) -> None:
    kind = {"Content-Type": "image/png"}
    async with api.client() as client:
        for limit in (UPLOAD_BYTES, 2 * MIB):
            body = pieces(limit // (64 * KIB) + 8)
            answer = await client.post("/test/models", params={"at_most": limit}, content=body, headers=kind)
            assert is_problem(answer, 413)
            assert answer.json()["detail"] == f"the body is longer than {limit} bytes"
            assert seen["read"] <= limit
        announced = await client.post("/test/models?at_most=10", content=b"x" * 11, headers=kind)
        assert is_problem(announced, 413)
    assert seen["created"] == 0


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "image", "imagery/png", ""])
async def test_an_upload_of_another_type_is_a_415_that_says_which_are_taken(api: ServedApi, media_type: str) -> None:
    async with api.client() as client:
        answer = await client.post("/test/models", content=b"glTF", headers={"Content-Type": media_type})
        nothing = await client.post("/test/models", headers={"Content-Type": "image/png"})
    assert is_problem(answer, 415)
    assert answer.headers["accept"] == "model/gltf-binary, image/*"
    assert is_problem(nothing, 400)
    assert not seen["began"].is_set()


async def test_an_upload_with_the_same_word_is_kept_once(api: ServedApi) -> None:
    headers = {"Content-Type": "image/png", "Idempotency-Key": "one"}
    async with api.client() as client:
        first = await client.post("/test/models", content=b"a" * MIB, headers=headers)
        again = await client.post("/test/models", content=pieces(16, begin=b""), headers=headers | {"X": "y"})
        same = await client.post("/test/models", content=b"a" * MIB, headers=headers)
    assert (first.status_code, same.status_code) == (201, 201)
    assert first.json() == same.json()
    assert is_problem(again, 422)
    assert seen["created"] == 1


async def test_a_handler_that_takes_its_time_with_an_upload_loses_no_caller(
    api: ServedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the server does not read, the caller cannot be late."""
    monkeypatch.setattr(server, "PIECE_WITHIN_S", 0.2)
    seen["slow_s"] = 0.5
    async with api.client() as client:
        answer = await client.post("/test/models", content=b"x" * MIB, headers={"Content-Type": "image/png"})
    assert (answer.status_code, answer.json()["bytes"]) == (201, MIB)


async def test_an_upload_that_breaks_off_keeps_nothing_and_is_no_failure_of_the_gateway(api: ServedApi) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    head = f"POST /test/models HTTP/1.1\r\nHost: school\r\nAuthorization: Bearer {api.key}\r\n"
    writer.write(f"{head}Content-Type: image/png\r\nContent-Length: {MIB}\r\n\r\n".encode() + os.urandom(1000))
    async with asyncio.timeout(30):
        await seen["began"].wait()
    writer.transport.abort()
    labels = {"method": "POST", "route": "/test/models", "status": "400"}
    await api.until("schoolgate_http_requests_total", 1, **labels)
    assert seen["created"] == 0


async def test_the_document_tells_each_limit_and_type(api: ServedApi) -> None:
    paths = api.app.openapi()["paths"]
    told = {path: paths[f"/test/{path}"]["post"]["responses"]["413"]["description"] for path in ("ordinary", "large")}
    assert told == {"ordinary": "The body is longer than 1 MiB", "large": "The body is longer than 4 MiB"}
    upload = paths["/test/models"]["post"]
    assert list(upload["requestBody"]["content"]) == ["model/gltf-binary", "image/*"]
    assert upload["responses"]["413"]["description"] == "The body is longer than 64 MiB"
    assert upload["responses"]["415"]["description"] == "The body is not model/gltf-binary or image/*"
    assert upload["security"] == [{"Key": []}]
    assert paths["/test/public/notes"]["post"]["security"] == []


def test_sizes_are_told_in_the_largest_unit_that_fits() -> None:
    assert [size(count) for count in (1500, 2 * KIB, MIB, 3 << 30)] == ["1500 bytes", "2 KiB", "1 MiB", "3 GiB"]

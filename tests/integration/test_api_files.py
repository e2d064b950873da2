"""Files as answers of the real server: whole, in ranges, and under conditions (RFC 9110 §13, §14)."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter
from starlette.responses import Response

from api import files
from api.auth import PublicRoute
from api.files import MAX_RANGES, file_answer, spans
from tests.integration.served_api import ServedApi, served_api

CONTENT = os.urandom(1 << 20)
ETAG = '"00ff"'
CACHE = {"Cache-Control": "public, max-age=31536000, immutable", "Cross-Origin-Resource-Policy": "cross-origin"}

router = APIRouter(route_class=PublicRoute)


class Kept:
    """Where the files of a test are."""

    directory: Path


@router.get("/file/{name}")
@router.head("/file/{name}", include_in_schema=False)
async def get_file(name: str) -> Response:
    return await file_answer(Kept.directory / name, "model/gltf-binary", etag=ETAG, headers=CACHE)


@router.get("/plain/{name}")
async def get_plain(name: str) -> Response:
    return await file_answer(Kept.directory / name, "text/plain; charset=utf-8")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ServedApi]:
    Kept.directory = tmp_path / "files"
    Kept.directory.mkdir()
    (Kept.directory / "model.glb").write_bytes(CONTENT)
    (Kept.directory / "empty.glb").touch()
    (Kept.directory / "sub").mkdir()
    async with served_api(tmp_path, router) as served:
        yield served


async def get(api: ServedApi, path: str = "/file/model.glb", method: str = "GET", **headers: str) -> httpx.Response:
    async with api.client(has_key=False) as client:
        return await client.request(
            method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


async def test_a_file_is_sent_whole_with_the_headers_of_the_route_and_the_edge(api: ServedApi) -> None:
    answer = await get(api)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["etag"] == ETAG
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "model/gltf-binary"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["cache-control"] == CACHE["Cache-Control"]
    assert answer.headers.get_list("cross-origin-resource-policy") == ["cross-origin"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    labels = {"method": "GET", "route": "/file/{name}", "status": "200"}
    await api.until("schoolgate_http_requests_total", 1, **labels)


async def test_head_tells_of_the_whole_file_and_sends_nothing(api: ServedApi) -> None:
    for headers in ({}, {"Range": "bytes=0-9"}, {"Range": "bytes=99999999-"}):
        answer = await get(api, method="HEAD", **headers)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == str(len(CONTENT))


@pytest.mark.parametrize("condition", [ETAG, f"W/{ETAG}", "*", f'"other", {ETAG}'])
async def test_who_has_the_file_is_told_that_it_is_the_same(api: ServedApi, condition: str) -> None:
    for method in ("GET", "HEAD"):
        answer = await get(api, method=method, If_None_Match=condition, Range="bytes=0-9")
        assert (answer.status_code, answer.content) == (304, b"")
        assert (answer.headers["etag"], answer.headers["cache-control"]) == (ETAG, CACHE["Cache-Control"])
        assert "content-type" not in answer.headers
    assert (await get(api, If_None_Match='"other"')).status_code == 200


@pytest.mark.parametrize(
    ("wanted", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000000-", 1_000_000, len(CONTENT)),
        ("bytes=-100", len(CONTENT) - 100, len(CONTENT)),
        ("bytes=-99999999", 0, len(CONTENT)),
        ("bytes=5-99999999", 5, len(CONTENT)),
        ("BYTES = 0-1", 0, 2),
        ("bytes=0-9, 99999999-", 0, 10),
        ("bytes=0-9,5-19", 0, 20),
    ],
)
async def test_one_range_is_a_206(api: ServedApi, wanted: str, first: int, end: int) -> None:
    answer = await get(api, Range=wanted)
    assert (answer.status_code, answer.content) == (206, CONTENT[first:end])
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{len(CONTENT)}"
    assert answer.headers["content-length"] == str(end - first)
    assert answer.headers["etag"] == ETAG


async def test_several_ranges_are_parts_of_one_answer(api: ServedApi) -> None:
    answer = await get(api, Range="bytes=0-9,100-109,-10")
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert (answer.status_code, kind) == (206, "multipart/byteranges")
    assert len(answer.content) == int(answer.headers["content-length"])
    parts = answer.content.split(f"--{boundary}".encode())[1:-1]
    assert [part.split(b"\r\n\r\n", 1)[1][:-2] for part in parts] == [CONTENT[:10], CONTENT[100:110], CONTENT[-10:]]


@pytest.mark.parametrize("wanted", ["lines=0-9", "bytes=", "bytes=a-b", "bytes=9-0", "bytes=-", "0-9", "bytes=--1"])
async def test_a_range_that_is_none_is_ignored(api: ServedApi, wanted: str) -> None:
    assert (await get(api, Range=wanted)).status_code == 200
    assert (await get(api, Range="bytes=" + ",".join(f"{n}-{n}" for n in range(0, 34, 2)))).status_code == 200


@pytest.mark.parametrize("wanted", ["bytes=1048576-", "bytes=99999999-999999999, 2000000-", "bytes=-0"])
async def test_a_range_beyond_the_end_is_a_416_that_tells_the_length(api: ServedApi, wanted: str) -> None:
    answer = await get(api, Range=wanted)
    assert (answer.status_code, answer.headers["content-type"]) == (416, "application/problem+json")
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_range_of_another_version_is_the_whole_file(api: ServedApi) -> None:
    assert (await get(api, Range="bytes=0-9", If_Range=ETAG)).status_code == 206
    for other in ('"other"', f"W/{ETAG}", "Thu, 01 Jan 1970 00:00:00 GMT"):
        assert (await get(api, Range="bytes=99999999-", If_Range=other)).status_code == 200
    modified = (await get(api)).headers["last-modified"]
    assert (await get(api, Range="bytes=0-9", If_Range=modified)).status_code == 206


async def test_an_empty_file_is_sent_and_has_no_ranges(api: ServedApi) -> None:
    assert (await get(api, "/file/empty.glb")).content == b""
    assert (await get(api, "/file/empty.glb", Range="bytes=0-")).status_code == 416


async def test_what_is_no_file_is_a_404(api: ServedApi) -> None:
    for name in ("nothing.glb", "sub", "model.glb%2Fx"):
        answer = await get(api, f"/file/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_a_file_without_a_given_tag_has_one_that_changes_with_it(api: ServedApi) -> None:
    path = Kept.directory / "notes.txt"
    path.write_text("one")
    first = (await get(api, "/plain/notes.txt")).headers["etag"]
    assert (await get(api, "/plain/notes.txt", If_None_Match=first)).status_code == 304
    path.write_text("other")
    assert (await get(api, "/plain/notes.txt", If_None_Match=first)).status_code == 200
    assert (await get(api, "/plain/notes.txt")).headers["cache-control"] == "no-store"


async def test_a_reader_that_takes_nothing_is_cut_off(api: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "STUCK_S", 0.2)
    (Kept.directory / "large.glb").write_bytes(bytes(64 << 20))
    _, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1)
    writer.write(b"GET /file/large.glb HTTP/1.1\r\nHost: school\r\n\r\n")
    labels = {"method": "GET", "route": "/file/{name}", "status": "200"}
    await api.until("schoolgate_http_requests_total", 1, **labels)
    writer.transport.abort()


def test_ranges_are_read_as_the_standard_says() -> None:
    assert spans("bytes=0-4,-2", 10) == [(0, 5), (8, 10)]
    assert spans("bytes=10-", 10) == []
    assert spans("bytes=" + "0-0," * MAX_RANGES + "0-0", 10) is None
    assert spans("bytes=" + "9" * 100 + "-", 10) is None
    assert spans("bytes=٣-٤", 10) is None

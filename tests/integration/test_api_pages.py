"""The console's files as they are served."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Route

from api.edge import Edge
from api.pages import Pages
from tests.gateway_process import GatewayProcess

SCRIPT = b"console.log('school');\n" * 200


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "assets" / "fonts").mkdir(parents=True)
    (tmp_path / "index.html").write_text("<!doctype html><title>Schoolgate</title>")
    (tmp_path / "icon.svg").write_text("<svg/>")
    (tmp_path / "assets" / "main-abc123.js").write_bytes(SCRIPT)
    (tmp_path / "assets" / "inter-def456.woff2").write_bytes(b"wOF2" + bytes(100))
    return tmp_path


def client_of(dist: Path) -> httpx.AsyncClient:
    pages = Pages(dist)
    app = Starlette(routes=[Route(path, pages.serve) for path in pages.paths])
    guarded = Edge(app, CollectorRegistry())
    return httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://school")


async def test_the_page_is_checked_for_a_newer_one_and_guarded(dist: Path) -> None:
    async with client_of(dist) as client:
        answer = await client.get("/")
    assert answer.text == "<!doctype html><title>Schoolgate</title>"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("/assets/main-abc123.js", "text/javascript; charset=utf-8"), ("/assets/inter-def456.woff2", "font/woff2")],
)
async def test_what_has_its_hash_in_its_name_is_kept_for_ever(dist: Path, path: str, media_type: str) -> None:
    async with client_of(dist) as client:
        answer = await client.get(path)
        again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == media_type
    assert (again.status_code, again.content) == (304, b"")


async def test_text_is_packed_for_those_who_can_unpack_it(dist: Path) -> None:
    async with client_of(dist) as client:
        packed = await client.get("/assets/main-abc123.js", headers={"Accept-Encoding": "gzip"})
        plain = await client.get("/assets/main-abc123.js", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(gzip.compress(SCRIPT, mtime=0))
    assert packed.content == plain.content == SCRIPT
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize(
    "path", ["/assets/nothing.js", "/assets/../index.html", "/assets/%2e%2e/index.html", "/nothing"]
)
async def test_what_was_not_built_is_not_there(dist: Path, path: str) -> None:
    async with client_of(dist) as client:
        assert (await client.get(path)).status_code == 404 or path.endswith("/../index.html")


async def test_a_gateway_without_the_console_says_how_to_get_it(tmp_path: Path) -> None:
    async with client_of(tmp_path / "nothing") as client:
        answer = await client.get("/")
    assert answer.status_code == 503
    assert "make setup" in answer.text
    assert "'unsafe" not in answer.headers["content-security-policy"]


@pytest.fixture
def page(school: GatewayProcess) -> Iterator[httpx.Response]:
    yield httpx.get(school.http_url, trust_env=False)


def test_the_running_program_serves_a_page_at_its_root(page: httpx.Response) -> None:
    assert page.status_code in (200, 503)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]

"""The console's files, as the build left them: held in memory, under a strict content security policy."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from api.problems import Problem

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
IMMUTABLE: Final = "public, max-age=31536000, immutable"
"""For what has the hash of its content in its name."""

REVALIDATED: Final = "no-cache"
MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".ico": "image/vnd.microsoft.icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
}
"""By suffix; not the machine's own table, which differs from machine to machine."""

PACKABLE: Final = frozenset({".html", ".js", ".css", ".svg", ".json", ".webmanifest", ".txt", ".wasm"})

_MISSING: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Schoolgate</title>
<h1>The console was not built</h1>
<p>The gateway runs, and its API answers under <code>/api/v1</code>. The console's files are missing:
run <code>make setup</code> and start the gateway again.</p>
</html>
"""


@dataclass(frozen=True, slots=True)
class _File:
    """`packed`: the content in gzip, where that is shorter."""

    content: bytes
    packed: bytes | None
    media_type: str
    etag: str
    cache: str


class Pages:
    """Every file below `dist`, by its path in the address."""

    def __init__(self, dist: Path) -> None:
        self._files = {
            path.relative_to(dist).as_posix(): _load(path, is_immutable=path.parent.name == "assets")
            for path in sorted(dist.rglob("*"))
            if path.is_file()
        }

    @property
    def paths(self) -> list[str]:
        """What routes there are: the page itself, the files beside it, and everything in `assets`."""
        beside = [f"/{name}" for name in self._files if "/" not in name]
        return ["/", *beside, "/assets/{name:path}"]

    async def serve(self, request: Request) -> Response:
        """Returns a file, or why there is none. Raises Problem 404."""
        name = request.url.path.removeprefix("/") or "index.html"
        file = self._files.get(name)
        if file is None:
            if name != "index.html":
                raise Problem(404, "there is no such page")
            return Response(_MISSING, 503, {**HEADERS, "Cache-Control": "no-store"}, "text/html; charset=utf-8")
        headers = {**HEADERS, "ETag": file.etag, "Cache-Control": file.cache, "Vary": "Accept-Encoding"}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = file.content
        if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            content = file.packed
            headers["Content-Encoding"] = "gzip"
        return Response(content, 200, headers, file.media_type)


def _load(path: Path, *, is_immutable: bool) -> _File:
    content = path.read_bytes()
    packed = gzip.compress(content, mtime=0) if path.suffix in PACKABLE else content
    return _File(
        content,
        packed if len(packed) < len(content) else None,
        MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
        f'W/"{hashlib.sha256(content).hexdigest()[:32]}"',  # weak: the same for the packed form
        IMMUTABLE if is_immutable else REVALIDATED,
    )

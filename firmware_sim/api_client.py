"""The gateway's HTTP API with the standard library: kept connections, one for each thread that calls."""

import http.client
import json
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from firmware_sim.errors import Refusal, Unreachable, UsageError

_TIMEOUT_S = 30.0
_PAGE = 1000
_ATTEMPTS = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


class ApiClient:
    """Calls `base` (http:// or https://) with a key. May be used by several threads at once."""

    def __init__(self, base: str, key: str = "", ca_file: str | None = None) -> None:
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{base!r} is not an address like http://127.0.0.1:8080")
        self.address = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.hostname
        self._port = parts.port
        self._context = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._of_thread = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        for connection in self._opened:
            connection.close()

    def __enter__(self) -> "ApiClient":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def get(self, path: str) -> dict[str, object]:
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
        """Creates something. The idempotency key lets a call be repeated whose answer was lost."""
        return self._call("POST", path, body)

    def patch(self, path: str, body: dict[str, object]) -> dict[str, object]:
        return self._call("PATCH", path, body)

    def pages(self, path: str) -> Iterator[dict[str, object]]:
        """Every item of a list, page by page."""
        after: str | None = None
        while True:
            query = {"limit": str(_PAGE)} | ({"after": after} if after else {})
            page = self.get(f"{path}?{urlencode(query)}")
            items = page.get("items")
            if not isinstance(items, list):
                raise Refusal("GET", path, 200, "the answer is no list of items")
            yield from items
            after = str(page["next"]) if page.get("next") else None
            if after is None:
                return

    def is_ready(self) -> tuple[bool, str]:
        """What /readyz says: ready or not, and why not."""
        try:
            self._call("GET", "/readyz", None)
        except Refusal as refusal:
            return False, str(refusal)
        return True, ""

    def wait_until_ready(self, timeout_s: float, on_wait: Callable[[str], None]) -> None:
        """Asks /readyz until it says yes. Raises Unreachable or Refusal when the time is over."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                is_ready, reason = self.is_ready()
            except Unreachable as error:
                if time.monotonic() >= deadline:
                    raise
                is_ready, reason = False, str(error)
            if is_ready:
                return
            if time.monotonic() >= deadline:
                raise Refusal("GET", "/readyz", 503, f"not ready after {timeout_s:g} s: {reason}")
            on_wait(reason)
            time.sleep(0.25)

    def _call(self, method: str, path: str, body: dict[str, object] | None) -> dict[str, object]:
        url = path if path.startswith("/") else f"/api/v1/{path}"
        headers = dict(self._headers)
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        data = None if body is None else json.dumps(body).encode()
        status, answer = self._exchange(method, url, data, headers)
        if status >= 400:
            raise Refusal(method, url, status, _problem(answer))
        if not answer:
            return {}
        try:
            decoded = json.loads(answer)
        except ValueError as error:
            raise Refusal(method, url, status, "the answer is not JSON") from error
        return decoded if isinstance(decoded, dict) else {"value": decoded}

    def _exchange(self, method: str, url: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        """One request and its answer; a kept connection that was closed meanwhile is opened again."""
        for attempt in range(1, _ATTEMPTS + 1):
            connection = self._connection()
            try:
                connection.request(method, url, data, headers)
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if attempt == _ATTEMPTS or isinstance(error, ConnectionRefusedError):
                    raise Unreachable(self.address, _reason(error)) from error
                continue
            if response.status in (429, 503) and attempt < _ATTEMPTS and url.startswith("/api/"):
                time.sleep(min(5.0, _seconds(response.getheader("Retry-After"))))
                continue
            return response.status, answer
        raise Unreachable(self.address, "no answer")

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._of_thread, "connection", None)
        if connection is None:
            if self._context is not None:
                connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=_TIMEOUT_S, context=self._context
                )
            else:
                connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
            self._of_thread.connection = connection
            self._opened.append(connection)
        return connection


def each_in_parallel(
    items: Iterable[Item], call: Callable[[Item], Result], threads: int, on_done: Callable[[int], None]
) -> list[Result]:
    """`call` of every item, a few at a time, in order. The first error ends it."""
    results: list[Result] = []
    with ThreadPoolExecutor(threads, thread_name_prefix="enrol") as pool:
        futures = [pool.submit(call, item) for item in items]
        try:
            for future in futures:
                results.append(future.result())
                on_done(len(results))
        finally:
            for future in futures:
                future.cancel()
    return results


def _problem(answer: bytes) -> str:
    """The words of a problem document (RFC 9457), or the start of whatever else was answered."""
    try:
        problem = json.loads(answer)
    except ValueError:
        return answer[:200].decode(errors="replace")
    if not isinstance(problem, dict):
        return answer[:200].decode(errors="replace")
    words = [str(problem[name]) for name in ("title", "detail") if problem.get(name)]
    if problem.get("errors"):
        words.append(json.dumps(problem["errors"])[:300])
    return ": ".join(words)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _seconds(retry_after: str | None) -> float:
    try:
        return float(retry_after or 0.5)
    except ValueError:
        return 0.5

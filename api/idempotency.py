"""`Idempotency-Key`: a POST that creates is carried out once, however often it is sent.

The answer is stored in the transaction of what it answers, for 24 hours, under the caller's key and the caller's
word for the request. Answers hold secrets that are stored nowhere else (a device's, a key's), so they lie in the
database sealed with the caller's own secret, which is not in it either.
"""

import hashlib
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, insert, select
from starlette.responses import Response

from api.auth import Caller
from api.bodies import Upload
from api.problems import Problem
from gateway.access.tables import idempotency

T = TypeVar("T")

KEPT_US: Final = 24 * 3600 * 1_000_000
NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class _Word:
    """A caller's word for a request, and the digest of the request that it is for."""

    key_id: str
    text: str
    request_digest: bytes

    @property
    def place(self) -> tuple[str, str]:
        return self.key_id, self.text

    @property
    def own_id(self) -> str:
        """An id that this request alone has: 16 hexadecimal digits."""
        digest = hashlib.blake2b("\n".join(self.place).encode() + self.request_digest, digest_size=8)
        return digest.hexdigest()


class Idempotency:
    """Which requests are being carried out just now."""

    def __init__(self) -> None:
        self._running: set[tuple[str, str]] = set()

    @contextmanager
    def running(self, given: _Word | None) -> Iterator[None]:
        """Keeps the same request out while it is carried out. Raises Problem 409."""
        if given is None:
            yield
            return
        if given.place in self._running:
            raise Problem(409, "the request with this Idempotency-Key is still being carried out", {"Retry-After": "1"})
        self._running.add(given.place)
        try:
            yield
        finally:
            self._running.discard(given.place)


async def once(
    caller: Caller,
    word: str | None,
    create: Callable[[Connection], T],
    then: Callable[[T], Awaitable[None]] | None = None,
    body: Upload | None = None,
) -> Response:
    """Returns 201 with what `create` returns, created in one transaction; `then` follows its commit. `body`: the
    request's, if it was streamed; read to its end by now.

    With the word of an earlier request of this caller: the answer that it got, if it was the same request. Raises
    Problem 422 if it was another one, 409 while it is still being carried out, and what `create` raises.
    """
    given = await _word(caller, word, body)
    now_us = caller.parts.now_us()

    def work(connection: Connection) -> tuple[bytes, T | None]:
        stored = _find(connection, caller, given, now_us)
        if stored is not None:
            return stored, None
        made = create(connection)
        answer = msgspec.json.encode(made)
        _store(connection, caller, given, answer, now_us)
        return answer, made

    with _idempotency(caller).running(given):
        answer, made = await caller.parts.store.write(work)
        if made is not None and then is not None:
            await then(made)
    return _created(answer)


async def once_elsewhere(
    caller: Caller, word: str | None, create: Callable[[str], Awaitable[bytes]], body: Upload | None = None
) -> Response:
    """As `once`, for what another part stores in its own transaction: `create` is given an id to store it under,
    the same one for the same request, so that doing it twice is doing it once. It returns the answer's body."""
    given = await _word(caller, word, body)
    now_us, store = caller.parts.now_us(), caller.parts.store
    with _idempotency(caller).running(given):
        answer = await store.read(lambda connection: _find(connection, caller, given, now_us))
        if answer is None:
            answer = made = await create(os.urandom(8).hex() if given is None else given.own_id)
            await store.write(lambda connection: _store(connection, caller, given, made, now_us))
    return _created(answer)


def _idempotency(caller: Caller) -> Idempotency:
    found: Idempotency = caller.request.app.state.idempotency
    return found


def _created(body: bytes) -> Response:
    return Response(body, 201, media_type="application/json")


async def _word(caller: Caller, word: str | None, body: Upload | None) -> _Word | None:
    if word is None:
        return None
    request = caller.request
    what = hashlib.blake2b(f"{request.method} {request.url.path}?{request.url.query}\n".encode(), digest_size=32)
    what.update(await request.body() if body is None else body.digest)
    return _Word(caller.key.id, word, what.digest())


def _find(connection: Connection, caller: Caller, given: _Word | None, now_us: int) -> bytes | None:
    if given is None:
        return None
    query = select(idempotency).where(
        idempotency.c.key_id == given.key_id,
        idempotency.c.idempotency_key == given.text,
        idempotency.c.created_us > now_us - KEPT_US,
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    if row.request_digest != given.request_digest:
        raise Problem(422, "this Idempotency-Key was used for another request: take a new one")
    return _sealing(caller).decrypt(row.body[:NONCE_BYTES], row.body[NONCE_BYTES:], given.request_digest)


def _store(connection: Connection, caller: Caller, given: _Word | None, body: bytes, now_us: int) -> None:
    if given is None:
        return
    nonce = os.urandom(NONCE_BYTES)
    place = (idempotency.c.key_id == given.key_id, idempotency.c.idempotency_key == given.text)
    connection.execute(delete(idempotency).where(*place))  # one that is older than 24 hours
    connection.execute(
        insert(idempotency).values(
            key_id=given.key_id,
            idempotency_key=given.text,
            request_digest=given.request_digest,
            status=201,
            body=nonce + _sealing(caller).encrypt(nonce, body, given.request_digest),
            created_us=now_us,
            is_done=True,
        )
    )


def _sealing(caller: Caller) -> AESGCM:
    return AESGCM(hashlib.blake2b(caller.secret.encode(), digest_size=32, person=b"schoolgate.seal").digest())

"""The message to itself that proves a connection not deaf. Pure; times are seconds of a clock that never jumps.

A TCP connection may look alive while nothing comes through it any more, or while the broker has forgotten the
subscriptions. So a message is published at intervals to a topic of one's own, and has to come back.
"""

import hashlib
import secrets
from urllib.parse import quote

PREFIX = "schoolgate/canary"
MAX_NAME_CHARACTERS = 200
PATIENCE = 12
"""While other messages arrive the canary may only be queued behind them; it is given this many times its wait."""


def topic_of(client_id: str) -> str:
    """Returns the topic that only the client with this id publishes and subscribes."""
    name = quote(client_id, safe="")  # neither wildcards nor levels
    if len(name) > MAX_NAME_CHARACTERS:
        name = hashlib.sha256(client_id.encode(errors="surrogatepass")).hexdigest()
    return f"{PREFIX}/{name}"


class Canary:
    """At most one canary is out at a time: a new one every `every_s`, overdue after `wait_s` of silence."""

    def __init__(self, every_s: float, wait_s: float) -> None:
        self._every_s = every_s
        self._wait_s = wait_s
        self._nonce: bytes | None = None
        self._sent_s = 0.0
        self._heard_s = 0.0
        self._due_s: float | None = None

    def start(self, now_s: float) -> None:
        """A new connection: the first canary is due at once."""
        self._nonce = None
        self._due_s = now_s

    def stop(self) -> None:
        """The broker does not allow it: nothing is due and nothing overdue until the next `start`."""
        self._nonce = self._due_s = None

    @property
    def is_on(self) -> bool:
        return self._due_s is not None

    def is_due(self, now_s: float) -> bool:
        return self._nonce is None and self._due_s is not None and now_s >= self._due_s

    def fly(self, now_s: float) -> bytes:
        """Returns the payload to publish now."""
        self._nonce = secrets.token_hex(8).encode()
        self._sent_s = self._heard_s = now_s
        self._due_s = now_s + self._every_s
        return self._nonce

    def note_heard(self, now_s: float) -> None:
        """Something came in: the line is not deaf, and the canary may be behind it."""
        self._heard_s = now_s

    def note_busy(self, now_s: float) -> None:
        """We ourselves do not take in what is there: the wait begins anew."""
        self._sent_s = self._heard_s = now_s

    def came_back(self, payload: bytes) -> bool:
        """True if this is the one that is out; False for one of an earlier connection."""
        if payload != self._nonce:
            return False
        self._nonce = None
        return True

    def is_overdue(self, now_s: float) -> bool:
        if self._nonce is None:
            return False
        return now_s - self._heard_s > self._wait_s or now_s - self._sent_s > self._wait_s * PATIENCE

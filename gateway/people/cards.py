"""Card numbers as keyed digests: the store never sees a number, and without the key a digest tells none.

Card numbers are few enough to try them all, so a plain hash would hide nothing; the key makes trying useless.
The key lies in a file of its own, beside the database and not in it.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from foundation.durable_file import sync_directory
from gateway.errors import ConfigError

KEY_BYTES: Final = 32
REF_DIGITS: Final = 16


def digest(key: bytes, credential: str) -> bytes:
    """Returns HMAC-SHA256 of a credential as `devices.payloads.credentials` spells it, 32 bytes."""
    return hmac.digest(key, credential.encode(), hashlib.sha256)


def ref(credential_digest: bytes) -> str:
    """Returns the name that a card goes by: the first 16 hexadecimal digits of its digest."""
    return credential_digest.hex()[:REF_DIGITS]


def load_key(path: Path) -> bytes:
    """Returns the school's key from its file, and makes the file, mode 0600, if there is none.

    A new file is safely on the disk before its key is used: a key that a power cut can take away would orphan
    every card. Raises ConfigError if the file holds no key, OSError if it cannot be read or written.
    """
    with contextlib.suppress(FileNotFoundError):
        return _read(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_hex(KEY_BYTES).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    with contextlib.suppress(FileExistsError):  # another process was quicker: its key counts
        os.link(draft, path)
    draft.unlink()
    sync_directory(path.parent)
    return _read(path)


def _read(path: Path) -> bytes:
    text = path.read_bytes().strip()
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            "privacy.card_key_file",
            str(path),
            f"the file must hold {2 * KEY_BYTES} hexadecimal digits; put the right one back, "
            "for with another key no card is known any more",
        )
    return key

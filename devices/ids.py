"""What a device may be called, and what kinds there may be. Pure."""

import re

DEVICE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


KIND = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def check_id(device_id: str) -> None:
    """Raises ValueError, saying what is allowed, unless `device_id` is legal in a topic and in an address."""
    if not DEVICE_ID.fullmatch(device_id):
        raise ValueError(
            "a device id is 1 to 64 letters, digits, '_', '.', ':' or '-', and starts with a letter or digit"
        )


def check_kind(kind: str) -> None:
    """Raises ValueError, saying what is allowed, unless `kind` is a plain word like 'sensor' or 'door-reader'."""
    if not KIND.fullmatch(kind):
        raise ValueError("a kind is 1 to 32 lower-case letters, digits, '_' or '-', and starts with a letter")

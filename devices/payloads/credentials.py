"""Credentials in one spelling, so that a card gives one digest whichever reader read it. Pure."""

import re
from typing import Final

from devices.errors import DecodeError
from devices.payloads.values import CredentialKind

LONGEST: Final = 256
"""Characters of a credential, as it came."""

_SEPARATORS: Final = str.maketrans("", "", ":- ")
_UID: Final = re.compile(r"(?:[0-9A-F]{2}){4,10}")


def normalise_credential(credential: str, kind: CredentialKind) -> str:
    """Returns the spelling under which a credential is digested: by the writer, and where a card is entered.

    A `uid` loses its separators (colon, hyphen, space) and 0x marks and becomes upper case, so that the same
    card read as `04:a1:b2:c3` by one make of reader and as `04A1B2C3` by another is one card. The other kinds
    lose only the white space around them: scanners end a code with a line feed. Raises `DecodeError`, which
    never quotes the credential, unless 1 to 256 characters are left.
    """
    if len(credential) > LONGEST:
        raise DecodeError(f"credential: more than {LONGEST} characters")
    spelling = credential.strip()
    if kind == "uid":
        spelling = _bare(spelling).strip()
    if not spelling:
        raise DecodeError("credential: empty")
    if len(spelling) > LONGEST:  # some letters have no single capital
        raise DecodeError(f"credential: more than {LONGEST} characters")
    return spelling


def kind_of(credential: str) -> CredentialKind:
    """Returns `uid` for what looks like a card's number (4 to 10 bytes in hexadecimal), else `nfc`.

    For formats that do not say what was read (Home Assistant's tag scanners).
    """
    return "uid" if _UID.fullmatch(_bare(credential[: LONGEST + 1].strip())) else "nfc"


def _bare(uid: str) -> str:
    bare = uid.translate(_SEPARATORS).upper()
    while "0X" in bare:
        bare = bare.replace("0X", "")
    return bare

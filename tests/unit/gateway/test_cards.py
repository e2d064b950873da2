"""Card numbers as keyed digests, and the file of the key."""

import hashlib
import hmac
import stat
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.people import cards


def test_a_digest_is_hmac_sha256_with_the_schools_key() -> None:
    key = bytes(range(32))
    assert cards.digest(key, "04A1B2C3") == hmac.new(key, b"04A1B2C3", hashlib.sha256).digest()


def test_two_schools_know_the_same_card_by_different_digests() -> None:
    assert cards.digest(b"a" * 32, "04A1B2C3") != cards.digest(b"b" * 32, "04A1B2C3")


def test_a_ref_is_the_first_sixteen_digits_of_the_digest() -> None:
    assert cards.ref(bytes.fromhex("00112233445566778899")) == "0011223344556677"


def test_the_first_start_makes_a_key_that_only_its_owner_reads_and_later_starts_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "card.key"
    key = cards.load_key(path)
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert cards.load_key(path) == key
    assert [entry.name for entry in path.parent.iterdir()] == ["card.key"]


def test_a_key_that_was_there_first_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "card.key"
    path.write_text("ab" * 32)
    assert cards.load_key(path) == bytes([0xAB] * 32)


@pytest.mark.parametrize("content", ["", "hello", "ab" * 31, "zz" * 32, "ä" * 32])
def test_a_file_that_holds_no_key_stops_the_start_and_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "card.key"
    path.write_text(content)
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        cards.load_key(path)
    assert path.read_text() == content

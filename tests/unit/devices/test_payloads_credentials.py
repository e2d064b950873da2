"""Credentials in one spelling."""

import pytest

from devices.errors import DecodeError
from devices.payloads.credentials import kind_of, normalise_credential


@pytest.mark.parametrize("spelling", ["04:a1:b2:c3", "04-A1-B2-C3", "04 a1 b2 c3", "0x04A1B2C3", "0x04 0xA1 0xB2 0xC3"])
def test_one_card_read_by_readers_of_all_makes_is_one_credential(spelling: str) -> None:
    assert normalise_credential(spelling, "uid") == "04A1B2C3"


def test_codes_keep_what_is_inside_them() -> None:
    assert (
        normalise_credential(" https://school.example/p?id=0xAB-1 \r\n", "qr") == "https://school.example/p?id=0xAB-1"
    )


@pytest.mark.parametrize("credential", ["", "  ", "::", "x" * 257])
def test_an_empty_or_endless_credential_is_refused_without_being_quoted(credential: str) -> None:
    with pytest.raises(DecodeError) as caught:
        normalise_credential(credential, "uid")
    assert caught.value.reason in ("credential: empty", "credential: more than 256 characters")


@pytest.mark.parametrize(
    ("credential", "kind"),
    [
        ("94D8FC5F", "uid"),
        ("04:a1:b2:c3:d4:e5:f6", "uid"),
        ("ABC", "nfc"),
        ("5e3f1a2c-9b1d", "uid"),
        ("0c8f5a7e-51f6-4b6e-9df6-3c5f0d9f2b11", "nfc"),
        ("pupil-17", "nfc"),
    ],
)
def test_a_card_number_is_told_from_other_tags(credential: str, kind: str) -> None:
    assert kind_of(credential) == kind

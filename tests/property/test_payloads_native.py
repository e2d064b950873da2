"""Any bytes give values or `DecodeError`, and what a device encodes is what is decoded."""

import contextlib
import json
import math
import re
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from devices.errors import DecodeError
from devices.payloads.credentials import normalise_credential
from devices.payloads.native import decode_status, decode_tap, decode_telemetry, parse_topic
from devices.payloads.values import CredentialKind, Telemetry

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

words = st.text(max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=12
)
names = st.from_regex(NAME, fullmatch=True)
stamps = (
    st.none()
    | st.integers(min_value=-(10**20), max_value=10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat())
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})?", fullmatch=True)
)
boots = st.none() | st.text(min_size=1, max_size=64) | st.integers()
near_misses = st.fixed_dictionaries(
    {},
    optional={
        "at": stamps | documents,
        "boot": boots | documents,
        "seq": st.integers() | documents,
        "values": st.dictionaries(names | words, scalars | documents, max_size=4) | documents,
        "credential": words | documents,
        "kind": st.sampled_from(["uid", "nfc", "qr", "UID"]) | documents,
        "direction": st.sampled_from(["in", "out", None]) | documents,
        "more": documents,
    },
)
payloads = st.binary(max_size=200) | (near_misses | documents).map(lambda one: json.dumps(one).encode())


@settings(max_examples=250, deadline=None)
@given(payloads)
def test_any_bytes_are_telemetry_or_a_decode_error(payload: bytes) -> None:
    try:
        found = decode_telemetry(payload)
    except DecodeError as error:
        assert error.reason.isascii()
        return
    assert all(NAME.fullmatch(name) for name in found.values)
    assert all(type(value) is float and math.isfinite(value) for value in found.values.values())
    assert found.stamp_us is None or 0 <= found.stamp_us < 253_402_300_800_000_000
    assert (found.boot is None) == (found.seq is None)
    if found.boot is not None and found.seq is not None:
        assert 1 <= len(found.boot) <= 64
        assert 0 <= found.seq < 2**63


@settings(max_examples=250, deadline=None)
@given(payloads)
def test_any_bytes_are_a_tap_or_a_decode_error(payload: bytes) -> None:
    with contextlib.suppress(DecodeError):
        found = decode_tap(payload)
        assert 1 <= len(found.credential) <= 256
        found.credential.encode()


@given(st.binary(max_size=80))
def test_any_bytes_are_a_status_or_a_decode_error(payload: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode_status(payload)


@given(st.text(max_size=60) | st.from_regex(r"sg(/[a-z]{0,3}){0,5}", fullmatch=True))
def test_any_topic_is_native_or_not(topic: str) -> None:
    found = parse_topic(topic)
    assert found is None or topic.startswith(f"sg/{found.device_id}/")


@settings(max_examples=150, deadline=None)
@given(near_misses, st.sampled_from(["credential", "kind", "direction", "at", "boot", "seq", "more", "other"]))
def test_no_reason_quotes_a_card(document: dict[str, object], key: str) -> None:
    card = "04DEADBEEF77"
    for holding in (card, [card], {card: 1}, f"\n{card}"):
        try:
            decode_tap(json.dumps({"credential": "x", "kind": "uid"} | document | {key: holding}).encode())
        except DecodeError as error:
            assert card not in error.reason  # not every document is refused


@settings(max_examples=250, deadline=None)
@given(
    st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=64),
    st.none() | st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)),
    st.integers(min_value=-23 * 60, max_value=23 * 60),
    st.none()
    | st.tuples(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64),
        st.integers(min_value=0, max_value=2**63 - 1),
    ),
)
def test_decoding_gives_back_what_was_encoded(
    values: dict[str, float], moment: datetime | None, offset_min: int, event: tuple[str, int] | None
) -> None:
    document: dict[str, object] = {"values": values}
    stamp_us = None
    if moment is not None:
        stamped = moment.replace(tzinfo=UTC)
        stamp_us = (stamped - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        document["at"] = stamped.astimezone(timezone(timedelta(minutes=offset_min))).isoformat()
    boot, seq = event or (None, None)
    if event is not None:
        document |= {"boot": boot, "seq": seq}
    assert decode_telemetry(json.dumps(document).encode()) == Telemetry(values, stamp_us, boot, seq)


kinds: st.SearchStrategy[CredentialKind] = st.sampled_from(("uid", "nfc", "qr"))


@given(st.text(st.sampled_from("0xX4aF:- \t") | st.characters(exclude_categories=["Cs"]), max_size=20), kinds)
def test_a_credential_in_one_spelling_stays_as_it_is(credential: str, kind: CredentialKind) -> None:
    with contextlib.suppress(DecodeError):
        once = normalise_credential(credential, kind)
        assert normalise_credential(once, kind) == once


@given(st.binary(min_size=4, max_size=10), st.sampled_from(["", ":", "-", " "]), st.booleans())
def test_a_uid_is_one_credential_in_every_spelling(uid: bytes, separator: str, is_upper: bool) -> None:
    spelling = uid.hex(separator) if separator else uid.hex()
    assert normalise_credential(spelling.upper() if is_upper else spelling, "uid") == uid.hex().upper()

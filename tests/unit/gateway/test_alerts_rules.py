"""Rules as values and as JSON."""

import json

import pytest

from foundation.errors import Invalid
from gateway.alerts.rules import Rule, Severity, SilenceRule, ThresholdRule, decode_rule, encode_rule

HOT = {"kind": "threshold", "id": "hot", "name": "Hot", "measurement": "temperature_c", "above": 30, "clear": 28}
QUIET = {"kind": "silence", "id": "quiet", "name": "Quiet", "after_s": 600}


def test_a_threshold_rule_has_sensible_defaults() -> None:
    assert decode_rule(json.dumps(HOT)) == ThresholdRule(
        id="hot",
        name="Hot",
        severity=Severity.WARNING,
        enabled=True,
        device=None,
        device_kind=None,
        measurement="temperature_c",
        above=30.0,
        below=None,
        clear=28.0,
        for_s=0.0,
    )


@pytest.mark.parametrize(
    "rule",
    [
        ThresholdRule(id="cold", name="Kühl", measurement="t", below=5, clear=7, for_s=0.5, device="lab:1"),
        SilenceRule(id="quiet", name="Quiet", after_s=3600, device_kind="reader", severity=Severity.CRITICAL),
        SilenceRule(id="off", name="Off", after_s=60, enabled=False),
    ],
)
def test_a_rule_is_the_same_after_its_json(rule: Rule) -> None:
    assert decode_rule(encode_rule(rule)) == rule


def test_the_json_of_a_rule_is_flat_and_says_its_kind() -> None:
    assert json.loads(encode_rule(decode_rule(json.dumps(QUIET)))) == {
        **QUIET,
        "severity": "warning",
        "enabled": True,
        "device": None,
        "device_kind": None,
    }


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "truncated"),
        (b"\xff", "malformed"),
        (b"[]", "Expected `object`"),
        (b"{}", "kind"),
        ({**HOT, "kind": "magic"}, "$.kind"),
        ({**HOT, "colour": "red"}, "colour"),
        ({**HOT, "above": "30"}, "$.above"),
        ({**HOT, "below": 10}, "either above or below"),
        ({**HOT, "above": None}, "either above or below"),
        ({**HOT, "clear": 31}, "clear is above the limit"),
        ({**HOT, "above": None, "below": 10, "clear": 9}, "clear is below the limit"),
        ({**HOT, "for_s": -1}, "for_s"),
        ({**HOT, "for_s": 1e9}, "for_s"),
        ({**HOT, "severity": "loud"}, "$.severity"),
        ({**HOT, "name": ""}, "$.name"),
        ({**HOT, "id": "x" * 65}, "$.id"),
        ({**HOT, "device": "lab-1", "device_kind": "sensor"}, "not both"),
        ({**QUIET, "after_s": 0}, "after_s"),
        ({**QUIET, "measurement": "t"}, "measurement"),
        ({key: value for key, value in HOT.items() if key != "clear"}, "clear"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_its_reason(body: bytes | dict[str, object], complaint: str) -> None:
    with pytest.raises(Invalid) as refusal:
        decode_rule(body if isinstance(body, bytes) else json.dumps(body))
    assert complaint in refusal.value.reason


def test_a_limit_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        ThresholdRule(id="hot", name="Hot", measurement="t", above=float("inf"), clear=0)
    with pytest.raises(ValueError, match="finite"):
        ThresholdRule(id="hot", name="Hot", measurement="t", above=1, clear=float("nan"))


def test_a_rule_applies_to_one_device_one_kind_or_all() -> None:
    def quiet(device: str | None = None, device_kind: str | None = None) -> SilenceRule:
        return SilenceRule(id="quiet", name="Quiet", after_s=60, device=device, device_kind=device_kind)

    assert quiet().applies_to("lab-1", "sensor")
    assert quiet(device="lab-1").applies_to("lab-1", "sensor")
    assert not quiet(device="lab-1").applies_to("lab-2", "sensor")
    assert quiet(device_kind="sensor").applies_to("lab-2", "sensor")
    assert not quiet(device_kind="sensor").applies_to("door-1", "reader")


@pytest.mark.parametrize(("above", "below"), [(30.0, None), (None, 30.0)])
def test_a_value_at_the_limit_is_not_beyond_it(above: float | None, below: float | None) -> None:
    rule = ThresholdRule(id="hot", name="Hot", measurement="t", clear=30, above=above, below=below)
    assert not rule.is_met(30)
    assert rule.is_cleared(30)

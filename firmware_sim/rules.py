"""Alert rules that a school would make first, as the gateway's API takes them. Pure."""

from dataclasses import dataclass

from firmware_sim.building import Kind


@dataclass(frozen=True, slots=True)
class Threshold:
    """Fires when `measurement` is beyond the limit for `for_s`; ends when it is back beyond `clear`."""

    name: str
    severity: str
    device_kind: Kind
    measurement: str
    above: float
    clear: float
    for_s: float


@dataclass(frozen=True, slots=True)
class Silence:
    """Fires when a device of the kind has said nothing for `after_s`."""

    name: str
    severity: str
    device_kind: Kind
    after_s: float


def for_speed(speed: float) -> list[Threshold | Silence]:
    """The rules, their durations shortened as the simulated day is. The gateway's own time does not run faster."""

    def real_s(simulated_s: float) -> float:
        return max(1.0, round(simulated_s / speed, 1))

    return [
        Threshold("CO2 above 1,000 ppm: open a window", "warning", Kind.AIR, "co2_ppm", 1000, 900, real_s(300)),
        Threshold("Freezer too warm", "critical", Kind.FREEZER, "temperature_c", -15, -16, real_s(240)),
        Threshold("Water where there should be none", "critical", Kind.LEAK, "water_leak", 0.5, 0.5, 0.0),
        Threshold("Room too warm", "info", Kind.CLIMATE, "temperature_c", 28, 27, real_s(900)),
        Silence("A card reader is silent", "critical", Kind.READER, max(5.0, real_s(600))),
        Silence("A freezer's sensor is silent", "warning", Kind.FREEZER, max(10.0, real_s(1800))),
    ]


def as_json(rule: Threshold | Silence) -> dict[str, object]:
    """The body of `POST /api/v1/rules`."""
    body: dict[str, object] = {
        "name": rule.name,
        "enabled": True,
        "severity": rule.severity,
        "device": None,
        "device_kind": rule.device_kind.value,
    }
    if isinstance(rule, Threshold):
        return body | {
            "kind": "threshold",
            "measurement": rule.measurement,
            "above": rule.above,
            "clear": rule.clear,
            "for_s": rule.for_s,
        }
    return body | {"kind": "silence", "after_s": rule.after_s}

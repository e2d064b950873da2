"""A bench for the alert engine: a gateway's clock, devices that send, and a list of what came out."""

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.alerts.engine import Engine, KnownDevice
from gateway.alerts.lifecycle import Alert, Change, State
from gateway.alerts.rules import Rule, SilenceRule, ThresholdRule

SECOND = 1_000_000
MINUTE = 60 * SECOND
YEAR = 365 * 24 * 60 * MINUTE
START = 1_764_000_000 * SECOND
STALE_AFTER = 10 * MINUTE
STEP = 20 * SECOND


def hot(**changes: Any) -> ThresholdRule:
    """Returns a rule: above 30 for five minutes, with what is given changed."""
    settings: dict[str, Any] = {
        "id": "hot",
        "name": "Hot",
        "measurement": "temperature_c",
        "above": 30,
        "clear": 28,
        "for_s": 300,
    }
    return ThresholdRule(**(settings | changes))


HOT = hot()
QUIET = SilenceRule(id="quiet", name="Quiet", after_s=1800)
LAB_1 = (KnownDevice("lab-1", "sensor"),)


class Bench:
    """An engine and the gateway's clock. Devices stamp with that clock minus `lag_us`."""

    def __init__(self, *rules: Rule, devices: Iterable[KnownDevice] = LAB_1, engine: Engine | None = None) -> None:
        self.now_us = START
        self.lag_us = 0
        self.changes: list[Change] = []
        self.rules: Sequence[Rule] = rules
        self.devices = list(devices)
        self.newest_us: dict[tuple[str, str], int] = {}
        self.heard_us: dict[str, int] = {}
        self.engine = engine or Engine(START, STALE_AFTER)
        if engine is None:
            self.engine.restore(rules, self.devices, [], {}, None)

    def note(self, changes: list[Change]) -> list[State]:
        """Keeps the changes and returns the states they led to."""
        self.changes += changes
        return [change.alert.state for change in changes]

    def read(self, value: float, device: str = "lab-1", *, at_us: int | None = None, after_us: int = 0) -> list[State]:
        """Sends a reading, now by the device's clock unless `at_us` says otherwise; returns the new states."""
        self.now_us += after_us
        at_us = self.now_us - self.lag_us if at_us is None else at_us
        key = (device, "temperature_c")
        states = self.note(self.engine.observe(device, "sensor", "temperature_c", at_us, value, self.now_us))
        self.newest_us[key] = max(at_us, self.newest_us.get(key, at_us))
        self.heard_us[device] = self.now_us
        return states + self.note(self.engine.heard_from(device, self.now_us, at_us))

    def wait(self, time_us: int) -> list[State]:
        """Lets time pass in steps that the engine believes; returns the new states."""
        states: list[State] = []
        while time_us > 0:
            self.now_us += min(STEP, time_us)
            time_us -= STEP
            states += self.note(self.engine.tick(self.now_us))
        return states

    def set_clock(self, by_us: int) -> list[State]:
        """Moves the gateway's clock and lets the engine see it; returns the new states."""
        self.now_us += by_us
        return self.note(self.engine.tick(self.now_us))

    def every(self, interval_us: int, times: int, value: float) -> list[State]:
        """Sends the value `times` times, each after `interval_us`; returns the new states."""
        states: list[State] = []
        for _ in range(times):
            states += self.wait(interval_us)
            states += self.read(value)
        return states

    def acknowledge(self, who: str) -> list[State]:
        return self.note(self.engine.acknowledge(self.alert().id, who, self.now_us))

    def alert(self) -> Alert:
        """Returns the one open alert."""
        (alert,) = self.engine.open_alerts()
        return alert

    def restarted(
        self,
        *,
        after_us: int,
        rules: Sequence[Rule] | None = None,
        devices: list[KnownDevice] | None = None,
    ) -> "Bench":
        """Returns the bench with a new engine that knows what was stored, after a downtime."""
        now_us = self.now_us + after_us
        engine = Engine(now_us, STALE_AFTER, self.engine.next_alert_id)
        known = self.devices if devices is None else devices
        bench = Bench(*(self.rules if rules is None else rules), devices=known, engine=engine)
        bench.now_us = now_us
        bench.newest_us, bench.heard_us = self.newest_us, self.heard_us
        heard = [KnownDevice(d.id, d.kind, self.heard_us.get(d.id, START)) for d in known]
        bench.note(engine.restore(bench.rules, heard, self.engine.open_alerts(), self.newest_us, self.now_us))
        return bench

"""The engine agrees with a naive model: one that counts seconds one by one and knows no deadlines."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, func, select

from foundation.errors import Conflict, NotFound
from foundation.stored import Skipped
from gateway.alerts import saved, tables
from gateway.alerts.engine import Engine, KnownDevice
from gateway.alerts.lifecycle import Alert, Change
from gateway.alerts.rules import SilenceRule, ThresholdRule
from gateway.alerts.saved import Progress

SECOND = 1_000_000
STALE_S = 600
GRACE_S = 120
LIVE_S = 120
AFTER_S = 900
START_S = 1_764_000_000
FIRED = select(func.count()).select_from(tables.alert).where(tables.alert.c.has_fired)


@dataclass
class Line:
    """Event time `at` of the newest event, the second of listening that it stands for and that it came in."""

    at: int | None = None
    moment: int = -(10**12)
    arrived: int = -(10**12)

    def take(self, at: int, now: int, listened: int) -> int | None:
        """Returns the gap before the event; None if it is late."""
        if self.at is None:
            age = now - at
            gap = 0
            self.moment = max(self.moment, listened if age <= LIVE_S else listened - age)
        elif at < self.at:
            return None
        else:
            step, pace = at - self.at, listened - self.arrived
            gap = min(step, listened - self.moment)
            self.moment = min(listened, self.moment + step)
            is_live = listened - self.moment <= LIVE_S or now - at <= LIVE_S
            if is_live or (step > 0 and 0.9 * step < pace < 1.1 * step):
                self.moment = listened
        self.at = at
        self.arrived = listened
        return gap


@dataclass
class NaiveThreshold:
    """Above 30 for `for_s`, clear at 28."""

    for_s: int
    state: str = "none"
    has_fired: bool = False
    is_acknowledged: bool = False
    since: int | None = None
    told_since: int | None = None
    line: Line = field(default_factory=Line)
    aged: int = 0
    fired: int = 0

    @property
    def horizon(self) -> int:
        return max(self.for_s, STALE_S)

    def become(self, state: str) -> None:
        self.state = state
        if state in ("none", "resolved"):
            self.state, self.has_fired, self.is_acknowledged, self.told_since = "none", False, False, None
        elif self.since is not None:
            self.told_since = self.since
        if self.state == "firing" and not self.has_fired:
            self.has_fired = True
            self.fired += 1

    def second(self, listened: int) -> None:
        if self.state not in ("pending", "firing", "acknowledged") or self.line.at is None:
            return
        age = listened - self.line.moment
        if self.state == "pending" and self.since is not None:
            missing = self.since + self.for_s - self.line.at
            if age >= missing and missing + self.aged < STALE_S:
                self.become("firing")
        if age >= self.horizon:
            self.become("unknown")

    def read(self, at: int, value: float, now: int, listened: int) -> None:
        gap = self.line.take(at, now, listened)
        if gap is None:
            return
        self.aged = 0
        if value <= 28:
            self.since = None
        elif self.since is None:
            self.since = at if value > 30 else None
        elif gap > self.horizon and not self.has_fired:
            self.since = at
        if listened - self.line.moment >= self.horizon:
            return
        if self.since is None:
            self.become("none")
            return
        if self.state == "none" or (self.state == "unknown" and not self.has_fired):
            self.become("pending")
        elif self.state == "unknown":
            self.become("acknowledged" if self.is_acknowledged else "firing")
        if self.state == "pending" and at - self.since >= self.for_s:
            self.become("firing")
        self.second(listened)

    def acknowledge(self) -> None:
        if self.has_fired and not self.is_acknowledged:
            self.is_acknowledged = True
            if self.state == "firing":
                self.become("acknowledged")

    def restart(self, now: int, listened: int) -> None:
        self.since = self.told_since
        if self.line.at is not None:
            self.line.moment = self.line.arrived = listened
            self.aged = now - self.line.at

    def picture(self) -> tuple[object, ...] | None:
        if self.state == "none":
            return None
        return self.state, self.has_fired, self.is_acknowledged, self.told_since


@dataclass
class NaiveSilence:
    """Nothing for `AFTER_S`."""

    heard: int = START_S
    is_open: bool = False
    is_acknowledged: bool = False
    grace: int = GRACE_S
    fired: int = 0
    line: Line = field(default_factory=lambda: Line(None, 0, 0))

    def second(self, listened: int) -> None:
        if not self.is_open and listened - self.line.moment >= AFTER_S and listened >= self.grace:
            self.is_open, self.is_acknowledged = True, False
            self.fired += 1

    def hear(self, at: int | None, now: int, listened: int) -> None:
        if at is None:
            self.line.moment = self.line.arrived = listened
        elif self.line.take(at, now, listened) is None:
            return
        if listened - self.line.moment < AFTER_S:
            self.is_open = False

    def restart(self, down_at: int, listened: int) -> None:
        silent = AFTER_S if self.is_open else max(0, down_at - self.heard)
        self.line = Line(None, listened - silent, listened - silent)
        self.grace = listened + GRACE_S

    def picture(self) -> tuple[object, ...] | None:
        if not self.is_open:
            return None
        return "acknowledged" if self.is_acknowledged else "firing", True, self.is_acknowledged


class Pair:
    """The engine over real tables, and the model, kept in step.

    A punctual gateway calls `tick` when the engine wants it, any other only every `tick_s` seconds; then the two
    agree whenever something happened.
    """

    def __init__(self, connection: Connection, for_s: int, tick_s: int, is_punctual: bool) -> None:
        self.connection = connection
        self.tick_s = tick_s
        self.is_punctual = is_punctual
        self.rules = (
            ThresholdRule(id="hot", name="Hot", measurement="t", above=30, clear=28, for_s=for_s),
            SilenceRule(id="quiet", name="Quiet", after_s=AFTER_S),
        )
        self.now = START_S
        self.listened = 0
        self.newest: int | None = None
        self.threshold = NaiveThreshold(for_s)
        self.silence = NaiveSilence()
        self.engine = Engine(START_S * SECOND, STALE_S * SECOND)
        self.engine.restore(self.rules, [KnownDevice("d", "k", START_S * SECOND)], [], {}, None)

    def keep(self, changes: list[Change]) -> None:
        if changes:
            self.save(changes)

    def save(self, changes: list[Change]) -> None:
        saved.save(self.connection, changes, Progress(0, self.now * SECOND, self.engine.next_alert_id))

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.listened += 1
            self.threshold.second(self.listened)
            self.silence.second(self.listened)
            is_wanted = self.is_punctual and self.engine.next_deadline_us() <= self.now * SECOND
            if is_wanted or self.listened % self.tick_s == 0:
                self.keep(self.engine.tick(self.now * SECOND))

    def read(self, value: float, lag: int) -> None:
        at = self.now - lag
        self.threshold.read(at, value, self.now, self.listened)
        self.silence.hear(at, self.now, self.listened)
        self.silence.heard = self.now
        now_us, at_us = self.now * SECOND, at * SECOND
        self.newest = at if self.newest is None else max(at, self.newest)
        self.keep(self.engine.observe("d", "k", "t", at_us, value, now_us) + self.engine.heard_from("d", now_us, at_us))

    def connect(self) -> None:
        self.silence.hear(None, self.now, self.listened)
        self.silence.heard = self.now
        self.keep(self.engine.heard_from("d", self.now * SECOND))

    def acknowledge(self) -> None:
        self.keep(self.engine.tick(self.now * SECOND))
        for alert in self.engine.open_alerts():
            try:
                self.keep(self.engine.acknowledge(alert.id, "ada", self.now * SECOND))
            except Conflict:
                assert not alert.has_fired
            except NotFound:
                raise AssertionError("an open alert is not known") from None
        self.threshold.acknowledge()
        self.silence.is_acknowledged = self.silence.is_acknowledged or self.silence.is_open

    def restart(self, down: int) -> None:
        self.save(self.engine.tick(self.now * SECOND))
        down_at = self.now
        self.now += down
        self.threshold.restart(self.now, self.listened)
        self.silence.restart(down_at, self.listened)
        progress = saved.load_progress(self.connection, Skipped())
        assert progress.next_alert_id == self.engine.next_alert_id
        assert progress.listened_us == down_at * SECOND
        self.engine = Engine(self.now * SECOND, STALE_S * SECOND, progress.next_alert_id)
        changes = self.engine.restore(
            self.rules,
            [KnownDevice("d", "k", self.silence.heard * SECOND)],
            saved.load_open_alerts(self.connection, Skipped()),
            {} if self.newest is None else {("d", "t"): self.newest * SECOND},
            progress.listened_us,
        )
        assert changes == []

    def compare(self) -> None:
        stored = saved.load_open_alerts(self.connection, Skipped())
        assert stored == self.engine.open_alerts()
        fired = self.connection.execute(FIRED).scalar()
        assert fired == self.threshold.fired + self.silence.fired
        by_rule = {alert.rule_id: alert for alert in stored}
        assert len(by_rule) == len(stored)
        hot, quiet = by_rule.get("hot"), by_rule.get("quiet")
        seen = None if hot is None else (*picture(hot), hot.condition_since_us // SECOND)
        assert seen == self.threshold.picture()
        assert (None if quiet is None else picture(quiet)) == self.silence.picture()


def picture(alert: Alert) -> tuple[object, ...]:
    return alert.state.value, alert.has_fired, alert.acknowledged_us is not None


@contextmanager
def new_tables() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    tables.metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


seconds = [1, 30, 60, 60, 119, 120, 299, 300, 301, 599, 600, 899, 900]
waits = st.tuples(st.just("wait"), st.sampled_from(seconds))
reads = st.tuples(
    st.just("read"),
    st.sampled_from([20.0, 28.0, 29.0, 30.0, 31.0, 31.0, 31.0]),
    st.sampled_from([0, 0, 0, 0, 0, 0, 0, 1, 60, 119, 121, 300, 599, 601, 900, 3600]),
)
restarts = st.tuples(st.just("restart"), st.sampled_from([0, 1, 60, 599, 601, 3600]))
others = st.sampled_from([("acknowledge",), ("connect",)])
steps = st.lists(st.one_of(waits, waits, reads, reads, reads, restarts, others), min_size=12, max_size=40)


@settings(max_examples=100, deadline=None)
@given(
    for_s=st.sampled_from([0, 1, 60, 300, 600, 900]),
    tick_s=st.sampled_from([1, 7, 30, 60]),
    is_punctual=st.booleans(),
    steps=steps,
)
def test_the_engine_agrees_with_a_naive_model(
    for_s: int, tick_s: int, is_punctual: bool, steps: list[tuple[str, ...] | tuple[str, float, int] | tuple[str, int]]
) -> None:
    with new_tables() as connection:
        pair = Pair(connection, for_s, tick_s, is_punctual)
        for name, *arguments in steps:
            getattr(pair, name)(*arguments)
            if is_punctual or name == "read":
                pair.compare()

"""Tasks that fail are started again, and take nothing else with them."""

import asyncio
from itertools import pairwise

import pytest

from gateway import supervision
from gateway.supervision import Supervisor
from tests.eventually import eventually


async def test_work_that_fails_begins_anew_and_says_so_while_it_waits() -> None:
    begun: list[int] = []
    is_let_wait = [0.0]
    supervisor = Supervisor(draw=lambda: is_let_wait[0])

    async def work() -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            is_let_wait[0] = 0.05 if len(begun) == 1 else 0.0
            raise ValueError("once more")
        await asyncio.Event().wait()

    async with supervisor.running("counter", work):
        await eventually(lambda: supervisor.readiness())
        assert supervisor.readiness() == {"counter": "failed (ValueError), and is tried again"}
        await eventually(lambda: len(begun) == 3)
        assert supervisor.readiness() == {}
        assert supervisor.totals()["task_failures"][1] == 2


async def test_the_pauses_between_failures_grow_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "AGAIN_AFTER_S", 0.001)
    monkeypatch.setattr(supervision, "AGAIN_AT_MOST_AFTER_S", 0.004)
    loop = asyncio.get_running_loop()
    begun_s: list[float] = []

    async def work() -> None:
        begun_s.append(loop.time())
        raise OSError("never")

    async with Supervisor(draw=lambda: 1.0).running("never", work):
        await eventually(lambda: len(begun_s) > 6)
    pauses_s = [after - before for before, after in pairwise(begun_s)]
    assert pauses_s[0] >= 0.001
    assert all(pause_s >= 0.004 for pause_s in pauses_s[2:])


async def test_what_fails_beside_it_leaves_other_work_alone() -> None:
    supervisor = Supervisor(draw=lambda: 1.0)
    ticks: list[int] = []

    async def fail() -> None:
        raise RuntimeError("broken")

    async def tick() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    async with supervisor.running("broken", fail), supervisor.running("ticking", tick):
        await eventually(lambda: "broken" in supervisor.readiness())
        before = len(ticks)
        await eventually(lambda: len(ticks) > before + 10)


async def test_work_that_can_be_closed_is_let_end_by_itself() -> None:
    closing = asyncio.Event()
    ended: list[str] = []

    async def work() -> None:
        await closing.wait()
        ended.append("drained")

    async with Supervisor().running("stage", work, closing.set):
        await asyncio.sleep(0)
    assert ended == ["drained"]


async def test_work_that_waits_to_be_tried_again_is_not_tried_at_the_end() -> None:
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)
        raise RuntimeError("broken")

    supervisor = Supervisor(draw=lambda: 1.0)
    async with supervisor.running("broken", work, lambda: None):
        await eventually(lambda: supervisor.readiness())
    assert begun == [1]
    assert supervisor.readiness() == {}

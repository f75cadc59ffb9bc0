"""A pool's loop: when it wakes, what it believes, what it says is granted, how it ends."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gpupool.model.objects import Key, Timer
from gpupool.model.plan import Plan, RequestStatus, Verdict
from gpupool.model.reasons import Phase, Reason, Stage
from gpupool.runtime import cycle
from gpupool.runtime.context import Context
from gpupool.runtime.cycle import PoolLoop
from gpupool.runtime.proof import RETRY
from gpupool.runtime.publisher import Publisher
from gpupool.runtime.reading import Tracked
from gpupool.runtime.settings import Settings
from support.builders import GPU, HOUR, MINUTE, NOW, a_pool

INTERVAL = 10.0
STATUS = RequestStatus(
    key=Key("vision", "train"),
    generation=1,
    phase=Phase.GRANTED,
    pool="lab",
    resource=GPU,
    verdict=Verdict(Reason.GRANTED, "All 8 GPUs."),
    conditions=(),
    granted=8,
)


class Server:
    """Tells the time; fails to where it is told."""

    def __init__(self) -> None:
        self.now = NOW
        self.broken = False
        self.asked = 0

    def server_time(self) -> datetime:
        self.asked += 1
        if self.broken:
            raise LookupError("no answer yet")
        return self.now


class Rig:
    """A loop whose pool may be missing and whose Prometheus may be absent."""

    def __init__(self, *, window: timedelta = HOUR, reader: Any = None) -> None:
        self.server = Server()
        pool = a_pool(reclaim={"window": window})
        pools = {("", "lab"): Tracked(pool, cast("Any", None))}
        mirror = SimpleNamespace(pools=SimpleNamespace(store=pools), quota=lambda _: None, disturbances=0)
        self.pools = pools
        context = SimpleNamespace(
            settings=Settings(cycle_interval=INTERVAL),
            client=self.server,
            mirror=mirror,
            writer=None,
            usage=reader,
        )
        self.failures = 0
        publisher = SimpleNamespace(failed=self._failed)
        self.loop = PoolLoop("lab", cast("Context", context), cast("Publisher", publisher))

    def _failed(self) -> None:
        self.failures += 1


@pytest.mark.parametrize(
    ("due", "seconds"),
    [
        (None, INTERVAL),
        (NOW + HOUR, INTERVAL),
        (NOW + timedelta(seconds=4), 4.5),
        (NOW, cycle.SOONEST),
        (NOW - HOUR, cycle.SOONEST),
    ],
)
def test_a_loop_wakes_at_the_next_deadline_and_once_an_interval(due: datetime | None, seconds: float) -> None:
    rig = Rig()
    rig.loop._due = due
    assert rig.loop._until_due() == seconds


def test_a_loop_whose_probe_is_open_wakes_soon_to_probe_again() -> None:
    rig = Rig()
    rig.loop._proof.note(("no-selector",))
    assert rig.loop._until_due() == RETRY
    rig.loop._proof.note(())
    assert rig.loop._until_due() == INTERVAL


def test_the_next_deadline_is_the_earliest_that_is_still_to_come() -> None:
    timers = [
        None,
        Timer(Stage.WARNED, NOW - HOUR, deadline=NOW - MINUTE),
        Timer(Stage.RECALLING, NOW, deadline=NOW, forced_at=NOW + 5 * MINUTE),
        Timer(Stage.LENT, NOW, deadline=NOW + HOUR),
    ]
    plan = Plan("lab", requests=tuple(replace(STATUS, timer=timer) for timer in timers))
    assert cycle._next_deadline(plan, NOW) == NOW + 5 * MINUTE
    assert cycle._next_deadline(plan, NOW + HOUR) is None


# ------------------------------------------------------------------ life


async def test_a_pool_that_is_gone_has_no_cycle() -> None:
    rig = Rig()
    rig.pools.clear()
    assert await rig.loop.cycle() is None
    assert not rig.loop.decided.is_set()


async def test_a_loop_that_is_told_to_end_ends_by_itself() -> None:
    rig = Rig()
    rig.pools.clear()
    running = asyncio.create_task(rig.loop.run())
    rig.loop.end()
    async with asyncio.timeout(5):
        await running


async def test_a_failed_cycle_is_counted_and_tried_again_after_a_pause_that_grows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    rig.pools.clear()
    rig.server.broken = True
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        if rig.loop._cycles == 0 and seconds >= cycle.FIRST_PAUSE:
            pauses.append(seconds)
            if len(pauses) == 7:
                rig.loop.end()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    async with asyncio.timeout(5):
        await rig.loop.run()
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert rig.failures == rig.server.asked == 7

"""How often Prometheus is asked, and how long an answer counts."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gpupool.collector.prometheus.usage import UsageReader
from gpupool.model.snapshot import Snapshot
from gpupool.model.usage import Usage
from gpupool.runtime import measuring
from gpupool.runtime.measuring import Measuring
from support.builders import HOUR, MINUTE, NOW, a_pool, a_snapshot

INTERVAL = 15.0


class Rig:
    """A pool that is looked at, and a Prometheus that answers."""

    def __init__(self, reader: Any = None) -> None:
        self.moments: list[datetime] = []
        self.answers = 0
        self.seen: Snapshot | None = a_snapshot(a_pool())
        self.measuring = Measuring(
            "lab",
            cast("UsageReader | None", reader),
            look=lambda: self.seen,
            interval=INTERVAL,
            answered=self._answered,
        )

    def _answered(self) -> None:
        self.answers += 1

    async def read(
        self, _pool: Any, _pods: Any, now: datetime, _nodes: Any, *, promised: Sequence[str]
    ) -> Usage:
        self.promised = promised
        self.moments.append(now)
        return Usage(fresh=True, asked=now)


def a_rig() -> Rig:
    rig = Rig(object())
    rig.measuring._reader = cast("UsageReader", SimpleNamespace(read=rig.read))
    return rig


def test_use_is_unknown_until_prometheus_has_answered() -> None:
    assert Rig().measuring.usage() == Usage()
    asked = Rig(object()).measuring.usage()
    assert (asked.fresh, asked.problem) == (False, "Prometheus has not been asked yet")


def test_an_answer_is_good_for_two_pauses_and_no_longer() -> None:
    found = Rig(object()).measuring
    found._pause, good = INTERVAL, Usage(fresh=True, problem="")
    limit = 2 * INTERVAL + measuring.ANSWERING
    found._said = (time.monotonic() - limit + 5, good)
    assert found.usage() == good
    found._said = (time.monotonic() - limit - 5, good)
    old = found.usage()
    assert not old.fresh
    assert old.reason == "PrometheusSlow"
    assert old.problem == "Prometheus takes too long to answer: what it said last is too old to rest on"
    found._took = 10.0  # a slow one is waited for as long as it took last time
    assert found.usage() == good


@pytest.mark.parametrize(
    ("window", "pause"), [(HOUR, INTERVAL), (timedelta(seconds=50), 5.0), (timedelta(seconds=5), 1.0)]
)
def test_prometheus_is_asked_ten_times_a_window_within_reason(window: timedelta, pause: float) -> None:
    assert measuring.pause(window.total_seconds(), INTERVAL) == pause


async def test_a_pool_that_is_gone_is_not_asked_about() -> None:
    rig = a_rig()
    rig.seen = None
    asking = asyncio.create_task(rig.measuring.run())
    await asyncio.sleep(0.05)
    assert (rig.moments, rig.answers) == ([], 0)
    asking.cancel()


async def test_a_taking_that_falls_due_has_prometheus_asked_at_once() -> None:
    rig = a_rig()
    asking = asyncio.create_task(rig.measuring.run())
    async with asyncio.timeout(INTERVAL / 2):
        while rig.moments != [NOW]:  # noqa: ASYNC110 - the task beside it has no event to wait for
            await asyncio.sleep(0.01)
        rig.seen = a_snapshot(a_pool(), now=NOW + MINUTE)
        rig.measuring.hurry()
        while rig.moments != [NOW, NOW + MINUTE]:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    assert rig.measuring.usage().asked == NOW + MINUTE
    assert rig.answers == 2
    asking.cancel()

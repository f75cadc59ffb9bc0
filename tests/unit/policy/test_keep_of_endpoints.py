"""What is kept for an endpoint under an InferenceSLO: a week's peak, and what it needs to serve again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.objects import Key
from gpupool.model.plan import Plan
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.model.standing import Standing
from gpupool.planner.planner import make_plan
from support.builders import (
    DAY,
    a_pool,
    a_quota,
    a_share,
    a_snapshot,
    a_timer,
    granted,
    nodes,
    pods,
    quotas_of,
    sampled,
    status_of,
)
from support.standings import a_standing, a_workload

KEY = Key("vision", "chat")
ASLEEP = a_standing(ready=0, state="Missing", workload=a_workload(replicas=0, gpus=4))


def scene(*endpoints: Standing, held: int = 0, peak: int = 0, week: int = 0, **more: Any) -> Snapshot:
    """Sixteen GPUs granted ten days ago; `held` run; the lookback is six hours."""
    running = pods(held, "chat")
    usage = replace(sampled(running, peaks={KEY: peak}), week={KEY: week})
    request = more.pop("request", None) or granted("chat", 16)
    quotas = more.pop("quotas", {"vision": a_quota(16, held)})
    pool = more.pop("pool", None) or a_pool(a_share("vision", 16))
    return a_snapshot(
        pool, request, nodes=nodes(4), pods=running, usage=usage, quotas=quotas, endpoints=endpoints, **more
    )


def kept(plan: Plan) -> int:
    """What the notice says will be left."""
    timer = status_of(plan, "chat").timer
    assert timer is not None
    assert timer.stage is Stage.WARNED
    return timer.target or 0


def test_the_peak_of_a_week_is_kept_of_an_endpoint_and_of_nothing_else() -> None:
    assert kept(make_plan(scene(held=2, peak=4, week=9))) == 5
    assert kept(make_plan(scene(a_standing(), held=2, peak=4, week=9))) == 10
    assert kept(make_plan(scene(a_standing(), held=2, peak=4, week=1))) == 5, "the lookback's peak holds too"


@pytest.mark.parametrize(
    ("endpoint", "keeps"),
    [
        (ASLEEP, 4),
        (replace(ASLEEP, low=2), 8),
        (replace(ASLEEP, low=2, needed=3), 12),
        (replace(ASLEEP, low=2, needed=0), 4),
        (replace(ASLEEP, workload=None), 1),
    ],
    ids=["one replica", "at least two", "three are needed", "none is needed", "not known"],
)
def test_an_endpoint_that_sleeps_keeps_what_it_needs_to_wake(endpoint: Standing, keeps: int) -> None:
    named = replace(endpoint, request="chat")
    assert kept(make_plan(scene(named))) == keeps


def test_what_was_lent_before_the_promise_comes_back_as_far_as_it_is_needed_to_wake() -> None:
    timer = a_timer(Stage.LENT, 3 * DAY, target=1, granted=16, asked=16, workload="{'app': 'chat'}")
    request = granted("chat", 16, allowance=1, timer=timer, quiet_since=None)
    quotas = {"vision": a_quota(1, 0, timers={"chat": timer})}
    before = make_plan(scene(request=request, quotas=quotas))
    assert quotas_of(before).get("vision", 1) == 1
    after = make_plan(scene(replace(ASLEEP, request="chat", low=2), request=request, quotas=quotas))
    assert quotas_of(after) == {"vision": 8}
    assert status_of(after, "chat").granted == 16

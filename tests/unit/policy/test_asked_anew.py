"""A higher number while a part is lent out: the claim stays, the lent part comes back first (law 7)."""

from dataclasses import replace

import pytest

from gpupool.model.annotations import read_timers, write_timers
from gpupool.model.objects import Request, Timer
from gpupool.model.plan import Plan
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.model.usage import Peak
from gpupool.planner.planner import make_plan
from gpupool.simulator.engine import remember
from support.builders import (
    DAY,
    HOUR,
    NOW,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    a_timer,
    condition_of,
    granted,
    nodes,
    pods,
    sampled,
    status_of,
)

POOL = a_pool(a_share("vision", 16), a_share("nlp"))
LENT = a_timer(Stage.LENT, 7 * DAY, target=2, granted=8, asked=8)
SERVE = granted("serve", 8, allowance=2, timer=LENT)
BORROW = granted("borrow", 6, "nlp", preemptible=True, min_gpus=1)
RUNNING = (*pods(1, "serve"), *pods(6, "borrow", "nlp"))


def lent(serve: Request = SERVE, timer: Timer = LENT, **more: object) -> Snapshot:
    """Eight GPUs, of which six are lent out and run; the owner runs one."""
    quotas = {"vision": a_quota(2, 1, timers={"serve": timer}), "nlp": a_quota(6, 6)}
    shown = {"pods": RUNNING, "quotas": quotas} | more
    return a_snapshot(POOL, serve, BORROW, **shown)


def to(gpus: int, serve: Request = SERVE) -> Request:
    """The request with another number."""
    return replace(serve, gpus=gpus, min_gpus=1)


def recalled(plan: Plan) -> int | None:
    """What a recall leaves to the borrower."""
    timer = status_of(plan, "borrow").timer
    return None if timer is None else timer.target


def test_an_increase_keeps_what_is_lent_and_brings_it_back_from_borrowers() -> None:
    plan = make_plan(lent(to(9)))
    status = status_of(plan, "serve")
    assert (status.granted, status.allowance, status.queued_at, status.asked) == (8, 2, NOW, 9)
    assert status.timer is not None
    assert (status.timer.stage, status.timer.granted) == (Stage.LENT, 8)
    assert recalled(plan) == 0
    assert "6 of them are lent out and asked back by the new number" in status.verdict.message


def test_it_is_asked_back_until_it_is_back() -> None:
    first = status_of(make_plan(lent(to(9))), "serve")
    assert first.timer is not None
    later = replace(to(9), remembered=remember(first))
    assert recalled(make_plan(lent(later, first.timer))) == 0


def test_what_is_free_returns_at_once_and_the_rest_queues_when_all_is_back() -> None:
    status = status_of(make_plan(lent(to(9), nodes=nodes(2))), "serve")
    assert (status.granted, status.allowance, status.timer) == (8, 8, None)
    quotas = {"vision": a_quota(8, 1), "nlp": a_quota(6, 6)}
    whole = replace(to(9), remembered=remember(status))
    assert status_of(make_plan(lent(whole, quotas=quotas, nodes=nodes(2))), "serve").granted == 9


@pytest.mark.parametrize("gpus", [8, 6], ids=["same", "less"])
def test_no_higher_number_is_no_demand(gpus: int) -> None:
    plan = make_plan(lent(to(gpus)))
    assert recalled(plan) is None
    assert status_of(plan, "serve").allowance == 2


def test_a_higher_number_after_a_decrease_is_a_new_ask() -> None:
    less = status_of(make_plan(lent(to(6))), "serve")
    assert less.timer is not None
    assert (less.granted, less.timer.asked) == (6, 6)
    again = to(7, replace(SERVE, remembered=remember(less)))
    assert recalled(make_plan(lent(again, less.timer))) == 2


def test_a_number_taken_back_is_no_demand_any_more() -> None:
    first = status_of(make_plan(lent(to(9))), "serve")
    assert first.timer is not None
    assert recalled(make_plan(lent(replace(SERVE, remembered=remember(first)), first.timer))) is None


@pytest.mark.parametrize(("gpus", "left"), [(8, None), (9, 0)], ids=["as it was", "larger"])
def test_a_recreated_request_asks_back_only_by_a_higher_number(gpus: int, left: int | None) -> None:
    timer = replace(LENT, workload="app=serve")
    plan = make_plan(lent(a_request("serve", gpus, min_gpus=1), timer))
    assert (status_of(plan, "serve").granted, recalled(plan)) == (8, left)


@pytest.mark.parametrize(("gpus", "left"), [(8, None), (9, 0)], ids=["as it was", "higher"])
def test_a_timer_from_before_numbers_were_noted_goes_by_the_last_status(gpus: int, left: int | None) -> None:
    old = replace(LENT, asked=None)
    plan = make_plan(lent(to(gpus, replace(SERVE, remembered=replace(SERVE.remembered, timer=old))), old))
    timer = status_of(plan, "serve").timer
    assert timer is not None
    assert (recalled(plan), timer.asked) == (left, 8)


def test_the_claim_does_not_end_while_a_higher_number_asks_for_it() -> None:
    over = replace(LENT, deadline=NOW - HOUR)
    usage = replace(sampled(RUNNING), peaks={SERVE.key: Peak(1, 30 * 3600.0, 3600.0)})
    ended = status_of(make_plan(lent(to(8), over, usage=usage)), "serve")
    assert (ended.granted, ended.released) == (2, 2)
    plan = make_plan(lent(to(9), over, usage=usage))
    kept = status_of(plan, "serve")
    assert (kept.granted, kept.released) == (8, None)
    told = condition_of(plan, "UnderUsed", "serve")
    assert (told.reason, "spec.gpus asks for 9" in told.message) == ("InDemand", True)


def test_the_number_stands_on_the_quota() -> None:
    assert read_timers(write_timers({"serve": LENT})) == {"serve": LENT}

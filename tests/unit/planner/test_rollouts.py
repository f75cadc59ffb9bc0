"""What is said of a rollout beside its verdict: the condition, and one Event for what has just turned out."""

from dataclasses import replace
from datetime import timedelta

from gpupool.model.rollout import GuardMode, Rollout, Verdict
from gpupool.model.slo import Endpoint, SloSnapshot
from gpupool.planner.endpoints import plan_endpoints
from gpupool.planner.rollouts import TELLING, conditions
from support.builders import NOW
from support.rollouts import BAD, NEW, OLD, a_release, ok
from unit.planner.test_endpoints import a_slo


def a_snapshot(memory: Rollout, *, later: float = 0.0, guard: GuardMode = GuardMode.OBSERVE) -> SloSnapshot:
    found = a_slo(rollout=memory, guard=guard)
    readings = (ok(0, 500), ok(0, 500))
    endpoint = Endpoint((ok(0, 1000),), "vLLM", 3, 3, revisions={OLD: readings, NEW: readings})
    now = NOW + timedelta(seconds=later)
    return SloSnapshot(now, 15.0, (found,), {found.key: endpoint}, releases={found.key: a_release()})


def test_revisions_are_counted_and_judged_with_every_look() -> None:
    (status,) = plan_endpoints(a_snapshot(Rollout())).statuses
    assert status.guarded is not None
    assert status.guarded.memory.verdict is Verdict.PROMOTE
    assert [c.new.total for c in status.guarded.watched.comparisons] == [500, 500]


def test_off_looks_at_nothing() -> None:
    (status,) = plan_endpoints(a_snapshot(BAD, guard=GuardMode.OFF)).statuses
    assert status.guarded is None
    assert list(conditions(None)) == []


def test_what_is_not_seen_now_is_remembered() -> None:
    snapshot = replace(a_snapshot(BAD), releases={})
    (status,) = plan_endpoints(snapshot).statuses
    assert status.guarded is not None
    assert status.guarded.memory == BAD


def test_a_verdict_is_told_once_of_its_moment() -> None:
    plan = plan_endpoints(a_snapshot(Rollout()))
    (notice,) = [n for n in plan.notices if n.reason.startswith("Rollout")]
    assert (notice.reason, notice.warning, notice.since) == ("RolloutPromoted", False, NOW)
    kept = replace(a_snapshot(BAD, later=60), releases={})
    (notice,) = [n for n in plan_endpoints(kept).notices if n.reason.startswith("Rollout")]
    assert (notice.reason, notice.warning, notice.since) == ("RolloutBad", True, NOW)
    late = replace(a_snapshot(BAD, later=TELLING + 1), releases={})
    assert not [n for n in plan_endpoints(late).notices if n.reason.startswith("Rollout")]
    alone = replace(BAD, candidate=None)
    kept = replace(a_snapshot(alone), releases={})
    assert not [n for n in plan_endpoints(kept).notices if n.reason.startswith("Rollout")]

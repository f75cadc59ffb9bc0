"""Which pods of a recalled borrower go: whole units, least harm, nothing needless."""

import pytest

from gpupool.model.objects import ObjectRef, Pod, Timer
from gpupool.model.plan import Evict
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from gpupool.policy.eviction import Unit, fewest
from support.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    a_timer,
    granted,
    pods,
    status_of,
)

JOB = ObjectRef("batch/v1", "Job", "fit")
DUE = a_timer(Stage.RECALLING, -MINUTE, target=4, forced_at=NOW + 9 * MINUTE)


def snapshot(found: tuple[Pod, ...], timer: Timer = DUE, target: int = 4, **wall: int) -> Snapshot:
    used = sum(sum(p.gpus.values()) for p in found)
    hard = wall.pop("hard", target)
    return a_snapshot(
        a_pool(a_share("vision", 8), a_share("nlp")),
        a_request("own", 4),
        granted("borrow", target, "nlp", of=8, preemptible=True, min_gpus=1, timer=timer),
        pods=found,
        quotas={"vision": a_quota(0), "nlp": a_quota(hard, used, timers={"borrow": timer}, **wall)},
    )


def evicted(found: tuple[Pod, ...], timer: Timer = DUE, **wall: int) -> list[str]:
    return [a.pod.name for a in make_plan(snapshot(found, timer, **wall)).actions if isinstance(a, Evict)]


def test_before_the_deadline_no_pod_goes() -> None:
    early = a_timer(Stage.RECALLING, MINUTE, target=4, forced_at=NOW + HOUR)
    assert evicted(pods(8, "borrow", "nlp"), early) == []


@pytest.mark.parametrize(
    ("hard", "status_hard"), [(8, 8), (4, 8), (8, 4)], ids=["not written", "not in force", "raised"]
)
def test_under_an_open_wall_no_pod_goes_only_to_be_made_anew(hard: int, status_hard: int) -> None:
    """The quota write is refused, or the quota controller has not seen it yet."""
    plan = make_plan(snapshot(pods(8, "borrow", "nlp"), hard=hard, status_hard=status_hard))
    assert not [a for a in plan.actions if isinstance(a, Evict)]
    assert status_of(plan, "borrow").timer == DUE, "the recall goes on and no deadline moves"
    assert status_of(plan, "own").verdict.reason == "WaitingForRecall"


def test_a_wall_that_is_lower_than_it_will_be_stands() -> None:
    assert len(evicted(pods(8, "borrow", "nlp"), hard=2, status_hard=2)) == 4


def test_at_the_deadline_just_as_many_go_as_are_missing() -> None:
    assert len(evicted(pods(8, "borrow", "nlp"))) == 4


def test_the_youngest_go_first() -> None:
    old = pods(4, "borrow", "nlp", prefix="old")
    young = pods(4, "borrow", "nlp", prefix="young", created=NOW - HOUR)
    assert {n.partition("-")[0] for n in evicted(old + young)} == {"young"}


def test_what_runs_nothing_goes_before_what_runs() -> None:
    running = pods(4, "borrow", "nlp", prefix="running", created=NOW - HOUR)
    stuck = pods(2, "borrow", "nlp", prefix="stuck", running=False)
    pending = pods(2, "borrow", "nlp", prefix="pending", node=None)
    assert {n.partition("-")[0] for n in evicted(running + stuck + pending)} == {"stuck", "pending"}


def test_pods_on_their_way_out_count_as_taken() -> None:
    leaving = pods(3, "borrow", "nlp", prefix="leaving", terminating=True)
    assert len(evicted(leaving + pods(5, "borrow", "nlp"))) == 1


def test_a_job_goes_as_a_whole() -> None:
    ranks = pods(8, "borrow", "nlp", owner=JOB, direct_owner_kind="Job")
    assert len(evicted(ranks)) == 8


def test_small_units_go_where_they_suffice() -> None:
    ranks = pods(4, "borrow", "nlp", prefix="rank", owner=JOB, direct_owner_kind="Job", created=NOW - HOUR)
    replicas = pods(4, "borrow", "nlp", prefix="replica")
    assert {n.partition("-")[0] for n in evicted(replicas + ranks)} == {"rank"}
    larger = pods(5, "borrow", "nlp", prefix="rank", owner=JOB, direct_owner_kind="Job", created=NOW - HOUR)
    assert {n.partition("-")[0] for n in evicted(replicas[:3] + larger)} == {"rank"}


def test_disruption_budgets_hold_until_the_recall_is_forced() -> None:
    forced = a_timer(Stage.RECALLING, -10 * MINUTE, target=4, forced_at=NOW)
    decided = make_plan(snapshot(pods(8, "borrow", "nlp"), forced))
    assert {a.force for a in decided.actions if isinstance(a, Evict)} == {True}
    assert {n.reason for n in decided.notices if n.once} == {"PDBOverridden"}


def test_each_pod_is_told_of_once() -> None:
    told = [n for n in make_plan(snapshot(pods(8, "borrow", "nlp"))).notices if n.reason == "Recalled"]
    assert len({n.once for n in told}) == len(told) == 4


def test_pods_without_the_resource_are_left_alone() -> None:
    other = pods(2, "borrow", "nlp", prefix="mig", resource="nvidia.com/mig-1g.10gb")
    assert not [n for n in evicted(pods(8, "borrow", "nlp") + other) if n.startswith("mig")]


@pytest.mark.parametrize(
    ("sizes", "surplus", "chosen"),
    [
        ((1, 1, 1), 2, (1, 1)),
        ((8, 1), 1, (1,)),
        ((4, 4, 64), 10, (64,)),
        ((2, 8, 4), 3, (4,)),
        ((4, 2), 0, ()),
        ((1,), 5, (1,)),
        ((), 3, ()),
    ],
)
def test_units_cover_what_is_missing_and_none_of_them_could_stay(
    sizes: tuple[int, ...], surplus: int, chosen: tuple[int, ...]
) -> None:
    one = pods(1, "borrow", "nlp", created=NOW - DAY)
    units = [Unit(f"unit-{i}", one, size) for i, size in enumerate(sizes)]
    assert sorted(u.gpus for u in fewest(units, surplus)) == sorted(chosen)

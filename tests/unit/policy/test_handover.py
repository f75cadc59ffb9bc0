"""Pods that change hands while they are recalled: a label, a new request, a deleted one stop no recall."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gpupool.model.objects import Namespace, Request, Timer
from gpupool.model.plan import Evict, SetQuota
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from gpupool.simulator.engine import remember
from support.builders import (
    GPU,
    MINUTE,
    NOW,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    a_timer,
    granted,
    nodes,
    pods,
    status_of,
)

NOBODYS = f"Namespace/unattributed/{GPU}"
POOL = a_pool(a_share("vision", 8), a_share("nlp"))
OWN = a_request("own", 8)
DUE = a_timer(Stage.RECALLING, -MINUTE, target=0, granted=8, forced_at=NOW + 9 * MINUTE)
X = granted("x", 0, "nlp", of=8, preemptible=True, min_gpus=1, timer=DUE)
Y = a_request("y", 8, "nlp")
TAKEN = {"gpupool.dev/request": "y"}


def snapshot(
    *requests: Request, labels: dict[str, str] | None = None, moved: int = 8, **more: Any
) -> Snapshot:
    """Eight pods of x, which is recalled; `moved` of them carry `labels` instead of its own."""
    running = pods(8 - moved, "x", "nlp", prefix="kept", owner=None) + pods(
        moved, "x", "nlp", labels=TAKEN if labels is None else labels
    )
    more.setdefault("timers", {"x": DUE})
    nlp = a_quota(more.pop("hard", 0), 8, **more)
    return a_snapshot(POOL, OWN, *requests, pods=running, quotas={"vision": a_quota(0), "nlp": nlp})


def after(found: Snapshot) -> Snapshot:
    """The next cycle's snapshot, a second later: quotas and statuses are written, nothing else moved."""
    plan = make_plan(found)
    written = {a.namespace: a for a in plan.actions if isinstance(a, SetQuota)}
    statuses = {s.key: remember(s) for s in plan.requests}
    return replace(
        found,
        now=found.now + timedelta(seconds=1),
        requests=tuple(replace(r, remembered=statuses[r.key]) for r in found.requests),
        namespaces=tuple(_written(n, written.get(n.name)) for n in found.namespaces),
    )


def _written(namespace: Namespace, action: SetQuota | None) -> Namespace:
    if action is None or namespace.quota is None:
        return namespace
    quota = replace(namespace.quota, hard=action.hard, status_hard=action.hard, timers=action.timers)
    return replace(namespace, quota=replace(quota, implicit=action.implicit))


def timers(found: Snapshot) -> dict[str, Timer]:
    """What stands on the borrower's quota once the plan is carried out."""
    quota = next(n.quota for n in after(found).namespaces if n.name == "nlp")
    assert quota is not None
    return dict(quota.timers)


def evicted(found: Snapshot) -> list[str]:
    return sorted(a.request for a in make_plan(found).actions if isinstance(a, Evict))


def test_a_label_of_a_refused_request_stops_no_recall() -> None:
    assert evicted(snapshot(X, Y, moved=0)) == ["x"] * 8
    relabelled = snapshot(X, Y)
    plan = make_plan(relabelled)
    assert status_of(plan, "y").verdict.reason == "AboveGuarantee"
    assert status_of(plan, "own").verdict.reason == "WaitingForRecall"
    assert evicted(relabelled) == [], "under its new name the notice is told before it takes"
    assert evicted(after(relabelled)) == ["y"] * 8


@pytest.mark.parametrize(
    ("requests", "labels"),
    [
        ((X, Y), TAKEN),
        ((Y,), TAKEN),
        ((X, replace(Y, preemptible=True)), TAKEN),
        ((X, Y), {"app": "nobody"}),
        ((), {}),
        ((a_request("x2", 8, "nlp", preemptible=True),), {"app": "x2"}),
    ],
    ids=["relabelled", "deleted", "borrower", "nobody", "alone", "another"],
)
def test_a_notice_that_ran_is_not_given_anew(requests: tuple[Request, ...], labels: dict[str, str]) -> None:
    moved = timers(snapshot(*requests, labels=labels))[NOBODYS]
    assert (moved.deadline, moved.forced_at) == (DUE.deadline, DUE.forced_at)
    assert (moved.target, moved.granted) == (0, 8)
    assert moved.since == NOW
    assert len(evicted(after(snapshot(*requests, labels=labels)))) == 8


def test_a_notice_that_runs_is_not_shortened() -> None:
    early = a_timer(Stage.RECALLING, 3 * MINUTE, target=0, granted=8, forced_at=NOW + 13 * MINUTE)
    found = snapshot(X, Y, timers={"x": early})
    assert timers(found)[NOBODYS].deadline == NOW + 3 * MINUTE
    later = after(found)
    assert evicted(later) == []
    assert len(evicted(replace(later, now=NOW + 3 * MINUTE))) == 8


def test_what_stays_with_the_recalled_request_goes_under_its_own_notice() -> None:
    found = snapshot(X, Y, moved=5)
    assert evicted(found) == ["x"] * 3
    left = timers(found)
    assert (left["x"].granted, left["x"].deadline) == (3, DUE.deadline)
    assert (left[NOBODYS].granted, left[NOBODYS].deadline) == (5, DUE.deadline)
    assert evicted(after(found)) == ["x"] * 3 + ["y"] * 5


def test_pods_that_change_hands_again_find_the_same_notice() -> None:
    first = after(snapshot(X, Y))
    back = replace(first, pods=pods(8, "x", "nlp"))
    assert evicted(back) == ["x"] * 8
    assert timers(back)[NOBODYS].deadline == DUE.deadline


def test_gpus_that_were_not_spoken_of_are_not_taken_with_those_that_were() -> None:
    """Four pods of x were told to go and changed hands; four others stand beside them since just now."""
    told = replace(DUE, granted=4)
    found = snapshot(X, Y, timers={"x": told})
    moved = timers(found)[NOBODYS]
    assert (moved.target, moved.granted) == (4, 8)
    assert len(evicted(after(found))) == 4


def test_where_nobody_was_told_already_all_go_at_the_later_deadline() -> None:
    own = a_timer(Stage.RECALLING, -MINUTE, target=0, granted=2, forced_at=NOW)
    told = a_timer(Stage.RECALLING, 3 * MINUTE, target=0, granted=6, forced_at=NOW + 13 * MINUTE)
    found = snapshot(X, Y, timers={"x": told, NOBODYS: own})
    moved = timers(found)[NOBODYS]
    assert (moved.granted, moved.deadline, moved.forced_at) == (8, told.deadline, told.forced_at)
    assert "x" not in timers(found)


def test_the_latest_of_several_notices_counts() -> None:
    late = a_timer(Stage.RECALLING, 3 * MINUTE, target=0, granted=4, forced_at=NOW + 13 * MINUTE)
    found = snapshot(Y, timers={"x": replace(DUE, granted=4), "w": late})
    moved = timers(found)[NOBODYS]
    assert (moved.granted, moved.deadline) == (8, late.deadline)


def test_a_notice_about_another_resource_is_not_taken_over() -> None:
    other = granted("x", 0, "nlp", of=8, preemptible=True, resource="nvidia.com/mig-1g.10gb")
    assert timers(snapshot(other, Y))[NOBODYS].deadline == NOW + 5 * MINUTE


def test_a_notice_that_nobody_needs_any_more_ends_with_its_request() -> None:
    found = snapshot(X, Y)
    assert timers(replace(found, requests=found.requests[1:])) == {}


# ------------------------------------------------------------------ what an owner's decrease leaves


def lowered(guaranteed: int, *others: Request, allowed: int = 4) -> Snapshot:
    """A firm request that was lowered to 4 and runs 8; `own` of another share waits for 8 of 16."""
    firm = granted("firm", 4, "nlp")
    walls = {"vision": a_quota(0), "nlp": a_quota(allowed, 8), "spare": a_quota(8, 8)}
    pool = a_pool(a_share("vision", 8), a_share("nlp", guaranteed), a_share("spare"))
    running = pods(8, "firm", "nlp") + pods(8, "spare", "spare", node="node-2")
    spare = granted("spare", 8, "spare", preemptible=True, min_gpus=1)
    return a_snapshot(pool, OWN, firm, spare, *others, pods=running, quotas=walls, nodes=nodes(2))


def told(found: Snapshot) -> dict[str, int]:
    """GPUs that each is told to give back, by namespace and name."""
    quotas = {n.name: n.quota for n in after(found).namespaces if n.quota is not None}
    return {
        f"{namespace}/{name.removeprefix('Namespace/')}": (timer.granted or 0) - (timer.target or 0)
        for namespace, quota in quotas.items()
        for name, timer in quota.timers.items()
    }


@pytest.mark.parametrize(
    ("guaranteed", "nobodys"), [(8, 0), (6, 2), (4, 4), (0, 4)], ids=["within", "partly", "beyond", "none"]
)
def test_an_owner_s_decrease_evicts_nothing_within_the_guarantee(guaranteed: int, nobodys: int) -> None:
    found = told(lowered(guaranteed))
    assert found.get(f"nlp/unattributed/{GPU}", 0) == nobodys
    assert found["spare/spare"] == 8 - nobodys


def test_what_the_share_borrows_beside_it_uses_the_guarantee_up() -> None:
    """Or pods that a label moves would be kept on a guarantee that borrowers fill already."""
    sibling = granted("sibling", 4, "nlp", preemptible=True, min_gpus=1)
    found = told(replace(lowered(8, sibling), namespaces=lowered(8, allowed=8).namespaces))
    assert found == {"spare/spare": 8}, "its pods stand on the sibling's unheld allowance"
    beside = lowered(8, sibling, allowed=8)
    running = (*beside.pods, *pods(4, "sibling", "nlp", node="node-3"))
    namespaces = tuple(replace(n, quota=a_quota(8, 12)) if n.name == "nlp" else n for n in beside.namespaces)
    found = told(replace(beside, pods=running, nodes=nodes(3, 7), namespaces=namespaces))
    assert found[f"nlp/unattributed/{GPU}"] == 4


def test_nodes_that_are_lost_make_no_overdrawn_pod_go_that_a_guarantee_covers() -> None:
    waiting = lowered(8)
    own = granted("own", 8)
    running = (*waiting.pods, *pods(8, "own", node=None))
    namespaces = tuple(
        replace(n, quota=a_quota(8, 8)) if n.name == "vision" else n for n in waiting.namespaces
    )
    requests = (own, *waiting.requests[1:])
    found = replace(waiting, pods=running, requests=requests, namespaces=namespaces)
    assert told(found) == {"spare/spare": 8}

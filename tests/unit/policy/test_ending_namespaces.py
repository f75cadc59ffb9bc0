"""Namespaces on their way out: what their quota lets be is committed to the end, nothing is given there."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.marks import NODE_LABEL, POOL_LABEL
from gpupool.model.objects import ForeignQuota, Key
from gpupool.model.plan import DropQuota, LabelNamespace, Plan, SetQuota
from gpupool.model.pool import Mode
from gpupool.model.snapshot import Snapshot
from gpupool.model.world import NamespaceFacts, NodeFacts, World
from gpupool.planner.orphans import plan_orphans
from gpupool.planner.planner import make_plan
from gpupool.planner.sweep import sweep
from gpupool.policy.membership import resolve
from gpupool.policy.view import view
from support.builders import DAY, GPU, NOW, a_pool, a_quota, a_request, a_share, grants, pods, quotas_of

POOL = a_pool(a_share("old", 8), a_share("new", 8))
LABELS = {POOL_LABEL: "lab"}
NODES = tuple(NodeFacts(f"node-{i}", {"group": "lab", NODE_LABEL: "lab"}, {GPU: 8}) for i in (1, 2))


def seen(quota: Any, **more: Any) -> Snapshot:
    """Namespace `old` is being deleted behind this quota; `new` asks for 16 GPUs of 16, as a borrower."""
    world = a_world(quota, **more)
    return view(world, resolve(world), world.pools[0], uninterrupted_since=NOW - DAY)


def a_world(quota: Any, **more: Any) -> World:
    request = a_request("train", 16, "new", min_gpus=1, preemptible=True)
    return World(
        now=NOW,
        nodes=NODES,
        namespaces=(NamespaceFacts("new", LABELS, a_quota(0), ours=True),),
        ending=(NamespaceFacts("old", LABELS, quota, more.pop("foreign", ()), uid="u"),),
        **{"pools": (POOL,), "requests": (request, a_request("gone", 4, "old"))} | more,
    )


def writes_to(plan: Plan, namespace: str) -> list[Any]:
    kinds = SetQuota | DropQuota | LabelNamespace
    return [a for a in plan.actions if isinstance(a, kinds) and a.namespace == namespace]


@pytest.mark.parametrize(
    ("quota", "held", "left"),
    [
        # Eight pods were just bound; the quota counts them, and nobody has told us of a pod yet.
        (a_quota(8, 8), 0, 8),
        (a_quota(8, 8), 8, 8),
        # The quota is late: what is seen counts.
        (a_quota(8, 0), 8, 8),
        # Its lowering is not in force yet.
        (a_quota(3, 3, status_hard=8), 3, 8),
        (a_quota(3, 3), 3, 13),
        (None, 3, 13),
        (a_quota(8, 8, pool="other"), 0, 16),
    ],
)
def test_what_pods_can_still_hold_behind_its_wall_is_given_to_nobody_else(
    quota: Any, held: int, left: int
) -> None:
    found = make_plan(seen(quota, pods=pods(held, "app", "old")))
    assert grants(found) == {"train": left}
    assert quotas_of(found)["new"] == left


def test_the_wall_closes_on_what_pods_use_so_that_one_stuck_pod_does_not_keep_the_whole() -> None:
    stuck = pods(1, "app", "old", terminating=True)
    found = make_plan(seen(a_quota(8, 1, uid="q"), pods=stuck))
    (wall,) = writes_to(found, "old")
    assert isinstance(wall, SetQuota)
    assert (wall.hard[GPU], wall.raises, wall.uid) == (1, False, "q")
    assert grants(found)["train"] == 8, "not before the lower wall is in force"


def test_a_wall_that_fits_stays_to_the_end_and_nothing_else_is_written() -> None:
    for quota in (a_quota(0), a_quota(1, 1)):
        assert writes_to(make_plan(seen(quota)), "old") == []
    assert writes_to(make_plan(seen(None)), "old") == []


def test_pods_that_wait_for_a_node_behind_its_wall_are_used_too() -> None:
    found = seen(a_quota(8, 0), pods=pods(2, "app", "old", node=None))
    assert [p.key for p in found.pods] == [Key("old", "app-0"), Key("old", "app-1")]
    assert quotas_of(make_plan(found))["old"] == 2


def test_back_in_observe_its_wall_goes_as_any_other() -> None:
    pool = replace(POOL, quota_mode=Mode.OBSERVE, isolation_mode=Mode.OBSERVE, mode=Mode.OBSERVE)
    found = make_plan(seen(a_quota(8, 8), pools=(pool,)))
    assert [type(a) for a in writes_to(found, "old")] == [DropQuota]


def test_its_label_is_left_alone_also_by_pools_that_are_gone() -> None:
    world = a_world(None, pools=())
    assert [a.namespace for a in sweep(world, resolve(world)) if isinstance(a, LabelNamespace)] == ["new"]
    assert writes_to(make_plan(seen(a_quota(0))), "old") == []


def test_its_requests_are_told_and_get_nothing() -> None:
    world = a_world(a_quota(8, 8))
    assert "gone" not in grants(make_plan(seen(a_quota(8, 8))))
    (told,) = plan_orphans(world, resolve(world))
    assert (told.key, told.granted) == (Key("old", "gone"), 0)
    assert told.verdict.message == "Namespace old is being deleted: nothing is granted in it."


def test_without_a_wall_of_ours_it_is_a_stranger_while_it_holds_gpus() -> None:
    theirs = (ForeignQuota("theirs", {GPU: 4}),)
    assert [n.name for n in seen(None).namespaces] == ["new"]
    found = seen(None, foreign=theirs, pods=pods(1, "app", "old")).namespaces
    assert [(n.name, n.team, n.quota, n.foreign) for n in found if n.name == "old"] == [
        ("old", None, None, theirs)
    ]


def test_made_again_it_starts_anew() -> None:
    world = replace(a_world(None), ending=(), namespaces=(NamespaceFacts("old", {}, uid="v"),))
    found = make_plan(view(world, resolve(world), POOL, uninterrupted_since=NOW - DAY))
    assert grants(found)["gone"] == 4
    assert [w.uid for w in writes_to(found, "old") if isinstance(w, SetQuota)] == [""]

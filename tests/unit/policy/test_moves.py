"""Namespaces and nodes that two pools want, or that go from one to the other: the holder keeps them."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.marks import NODE_LABEL, POOL_LABEL, TAINT
from gpupool.model.plan import DropQuota, LabelNamespace, MarkNode, Plan, SetQuota
from gpupool.model.pool import Mode, Pool
from gpupool.model.snapshot import Snapshot
from gpupool.model.world import NamespaceFacts, NodeFacts, World
from gpupool.planner.planner import make_plan
from gpupool.policy.membership import resolve
from gpupool.policy.view import view
from support.builders import (
    DAY,
    GPU,
    NOW,
    a_pool,
    a_quota,
    a_request,
    a_share,
    condition_of,
    granted,
    pods,
    status_of,
)

LAB = a_pool(a_share("vision", 8))
OTHER = replace(LAB, name="other", uid="uid-other", node_selector=None, node_names=("n9",))
LABELLED = {POOL_LABEL: "lab"}


def a_world(*pools: Pool, vision: NamespaceFacts, **more: Any) -> World:
    nodes = (NodeFacts("n1", {"group": "lab", NODE_LABEL: "lab"}, {GPU: 8}),)
    return World(now=NOW, pools=pools, namespaces=(vision,), **{"nodes": nodes} | more)


def seen(world: World, pool: Pool) -> Snapshot:
    return view(world, resolve(world), pool, uninterrupted_since=NOW - DAY)


def decided(world: World, pool: Pool) -> Plan:
    return make_plan(seen(world, pool))


QUOTA_ONLY: dict[str, Any] = {"isolation_mode": Mode.OBSERVE}


@pytest.mark.parametrize(
    ("labels", "quota"),
    [({POOL_LABEL: "broken"}, None), ({}, a_quota(8, pool="broken"))],
    ids=["its label", "its quota alone"],
)
def test_a_pool_that_cannot_be_read_keeps_what_carries_its_marks(labels: dict[str, str], quota: Any) -> None:
    """Its walls stand: eight GPUs that nobody holds yet are promised by them on the very node."""
    nodes = (
        NodeFacts(
            "n1", {"group": "lab", NODE_LABEL: "broken"}, {GPU: 8}, taints=(f"{TAINT}=broken:NoSchedule",)
        ),
        NodeFacts("n2", {"group": "lab", NODE_LABEL: "lab"}, {GPU: 8}),
    )
    world = a_world(
        LAB,
        vision=NamespaceFacts("vision", labels, quota=quota),
        nodes=nodes,
        unreadable_pools=frozenset({"broken"}),
    )
    found = seen(world, LAB)
    assert [n.name for n in found.nodes] == ["n2"]
    assert found.namespaces == ()
    plan = make_plan(found)
    assert not [a for a in plan.actions if isinstance(a, SetQuota | DropQuota | LabelNamespace)]
    assert "n1" not in {a.node for a in plan.actions if isinstance(a, MarkNode)}
    told = condition_of(plan, "Conflict")
    assert "vision (pool broken)" in told.message
    assert "n1 (pool broken)" in told.message
    gone = seen(replace(world, unreadable_pools=frozenset()), LAB)
    assert [n.name for n in gone.nodes] == ["n1", "n2"], "what a pool that is gone left behind holds nothing"


@pytest.mark.parametrize(
    ("modes", "labels", "quota"),
    [({}, LABELLED, None), ({}, LABELLED, a_quota(4)), (QUOTA_ONLY, {}, a_quota(4))],
    ids=["its label", "label and quota", "its quota alone"],
)
def test_a_second_pool_that_lists_a_namespace_takes_nothing_away(
    modes: dict[str, Any], labels: dict[str, str], quota: Any
) -> None:
    lab, other = replace(LAB, **modes), replace(OTHER, **modes)
    world = a_world(
        lab, other, vision=NamespaceFacts("vision", labels, quota), requests=(granted("train", 4),)
    )
    assert status_of(decided(world, lab), "train").granted == 4
    assert decided(world, other).requests == ()
    told = condition_of(decided(world, other), "Conflict")
    assert (told.status, told.reason) == ("True", "NamespaceElsewhere")
    assert "vision (pool lab)" in told.message
    assert condition_of(decided(world, lab), "Conflict").status == "False"


@pytest.mark.parametrize("changed", [{"quota_mode": Mode.OBSERVE}, {"name": "gone"}])
def test_the_quota_of_a_pool_that_walls_no_more_holds_nothing(changed: dict[str, Any]) -> None:
    lab = replace(LAB, isolation_mode=Mode.OBSERVE, **changed)
    world = a_world(lab, OTHER, vision=NamespaceFacts("vision", {}, a_quota(4)))
    assert resolve(world).claimed_twice == {"vision"}


def moving(held: int, **modes: Any) -> tuple[Plan, Plan]:
    """What both pools plan when a share was taken from lab and given to other."""
    lab = replace(LAB, shares=(a_share("nlp", 4),), **modes)
    labels = LABELLED if lab.isolates else {}
    world = a_world(
        lab,
        replace(OTHER, **modes),
        vision=NamespaceFacts("vision", labels, a_quota(6, held, uid="u-q"), uid="u-ns"),
        pods=pods(held, "train", node="n1"),
        requests=(granted("train", 6),),
    )
    return decided(world, lab), decided(world, replace(OTHER, **modes))


@pytest.mark.parametrize("modes", [{}, QUOTA_ONLY], ids=["all layers", "quotas alone"])
def test_a_namespace_that_moves_stays_until_it_holds_nothing(modes: dict[str, Any]) -> None:
    old, new = moving(3, **modes)
    closing = next(a for a in old.actions if isinstance(a, SetQuota) and a.namespace == "vision")
    assert (closing.hard, closing.raises) == ({GPU: 3}, False)
    assert not [a for a in old.actions if isinstance(a, LabelNamespace | DropQuota)]
    told = status_of(old, "train")
    assert (told.phase, told.verdict.reason) == ("Pending", "Moving")
    assert f"from pool lab to pool other as soon as it holds nothing in lab; now it holds 3 {GPU}" in (
        told.verdict.message
    )
    assert condition_of(new, "Conflict").reason == "NamespaceElsewhere"
    assert [a for a in new.actions if isinstance(a, SetQuota | DropQuota)] == []


@pytest.mark.parametrize("modes", [{}, QUOTA_ONLY], ids=["all layers", "quotas alone"])
def test_an_empty_namespace_that_moves_is_let_go(modes: dict[str, Any]) -> None:
    old, _ = moving(0, **modes)
    assert DropQuota("vision", "u-q", "7") in old.actions
    assert [a for a in old.actions if isinstance(a, LabelNamespace)] == (
        [] if modes else [LabelNamespace("vision", None, "u-ns", theirs=True)]
    )
    assert "now it holds nothing" in status_of(old, "train").verdict.message


def test_a_namespace_that_leaves_for_nowhere_says_so() -> None:
    lab = replace(LAB, shares=())
    world = a_world(lab, vision=NamespaceFacts("vision", LABELLED), requests=(a_request("train", 4),))
    assert status_of(decided(world, lab), "train").verdict.reason == "NamespaceWithoutPool"


def test_a_pool_that_walls_no_more_lets_a_leaving_namespace_go_at_once() -> None:
    lab = replace(LAB, shares=(), quota_mode=Mode.OBSERVE)
    world = a_world(
        lab, vision=NamespaceFacts("vision", LABELLED, a_quota(6, 3)), pods=pods(3, "train", node="n1")
    )
    assert DropQuota("vision", "", "7") in decided(world, lab).actions


def test_a_quota_that_another_pool_wrote_is_taken_over_whole() -> None:
    world = a_world(
        LAB,
        vision=NamespaceFacts("vision", LABELLED, a_quota(4, pool="old")),
        requests=(granted("train", 4),),
    )
    (write,) = [a for a in decided(world, LAB).actions if isinstance(a, SetQuota)]
    assert (write.hard, write.raises, write.resource_version) == ({GPU: 4}, False, "7")


# ------------------------------------------------------------------ nodes


def test_a_node_that_another_pool_has_is_named() -> None:
    other = replace(OTHER, node_selector=LAB.node_selector, node_names=(), shares=())
    world = a_world(LAB, other, vision=NamespaceFacts("vision", {}))
    told = condition_of(decided(world, other), "Conflict")
    assert (told.reason, told.status) == ("NodeElsewhere", "True")
    assert "n1 (pool lab)" in told.message
    assert seen(world, other).nodes == ()


def test_a_node_on_its_way_out_gives_nothing_more() -> None:
    lab = replace(LAB, node_selector=None, node_names=("n2",))
    nodes = tuple(NodeFacts(n, {NODE_LABEL: "lab"}, {GPU: 8}) for n in ("n1", "n2"))
    world = a_world(lab, vision=NamespaceFacts("vision", {}), nodes=nodes, pods=pods(3, "train", node="n1"))
    found = decided(world, lab)
    assert found.status is not None
    assert (found.status.total, found.status.usable) == ({GPU: 16}, {GPU: 11})
    assert "mark node n1" not in str(found)

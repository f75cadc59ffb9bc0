"""Marks, labels and policies: the order forward, the order back, nothing left behind."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.enforcement import Enforcement
from gpupool.model.objects import Namespace
from gpupool.model.plan import DropQuota, LabelNamespace, MarkNode, SetPolicies, SetQuota
from gpupool.model.pool import Mode
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from support.builders import GPU, a_pool, a_quota, a_share, a_snapshot, condition_of, nodes, pods

POOL = a_pool(a_share("vision", 8), a_share("nlp"))
PROVED = Enforcement(policies_current=True, probe=())
BARE = nodes(1, pool_label=None, taints=())
LABELLED = nodes(1, taints=())


def written(snapshot: Snapshot) -> list[str]:
    return [str(a) for a in make_plan(snapshot).actions if not isinstance(a, SetQuota | DropQuota)]


def fresh(**more: Any) -> Snapshot:
    return a_snapshot(more.pop("pool", POOL), **{"nodes": BARE, "enforcement": PROVED} | more)


WALLS = {"vision": a_quota(0), "nlp": a_quota(0)}
POLICIES = "policies: enforce=True recommend=0 mutate=False"


def test_a_new_node_gets_its_label_first_and_nobody_is_judged_before() -> None:
    assert written(fresh()) == ["mark node node-1: label lab, taint off", POLICIES]


def test_the_taint_follows_the_label_of_nodes_and_namespaces() -> None:
    assert written(fresh(nodes=LABELLED))[0] == POLICIES
    judged = {"vision": "lab", "nlp": "lab"}
    assert written(fresh(nodes=LABELLED, labels=judged))[0] == "mark node node-1: label lab, taint on"


def test_a_node_without_gpus_yet_is_not_tainted() -> None:
    assert written(fresh(nodes=nodes(1, 0, taints=())))[0] == POLICIES


@pytest.mark.parametrize(
    "more",
    [{"pool": replace(POOL, taint=False)}, {"intolerant_daemonsets": ("gpu/driver",)}],
    ids=["switched off", "a DaemonSet would not come back"],
)
def test_there_is_no_taint_where_it_is_not_wanted_or_would_hurt(more: dict[str, Any]) -> None:
    judged = {"vision": "lab", "nlp": "lab"}
    assert "taint on" not in " ".join(written(fresh(nodes=LABELLED, labels=judged, **more)))


def test_a_label_that_was_removed_by_hand_does_not_open_the_node_while_it_is_set_back() -> None:
    marked = nodes(1, pool_label=None, taints=("gpupool.dev/pool=lab:NoSchedule",))
    assert written(fresh(nodes=marked))[0] == "mark node node-1: label lab, taint on"


def test_a_taint_that_stands_is_taken_off_for_the_system_alone() -> None:
    tenants = fresh(nodes=nodes(), intolerant_daemonsets=("vision/own",))
    assert written(tenants)[0] == POLICIES, "whoever may make a DaemonSet would open the pool"
    told = condition_of(make_plan(tenants), "DaemonSetsTolerate")
    assert told.message.startswith("The taint was there before these DaemonSets, ")
    of_system = ("gpu-operator/driver",)
    systems = fresh(nodes=nodes(), intolerant_daemonsets=of_system, intolerant_system=of_system)
    assert written(systems)[0] == "mark node node-1: label lab, taint off"


def test_a_taint_that_was_changed_by_hand_is_put_right() -> None:
    odd = nodes(1, taints=("gpupool.dev/pool=other:NoSchedule",))
    assert written(fresh(nodes=odd))[0] == "mark node node-1: label lab, taint on"


def test_namespaces_are_labelled_once_nodes_and_policies_are_proved() -> None:
    assert written(fresh(nodes=nodes())) == [
        POLICIES,
        "label namespace vision: lab",
        "label namespace nlp: lab",
    ]


@pytest.mark.parametrize("enforcement", [Enforcement(), Enforcement(policies_current=True, probe=("a gap",))])
def test_namespaces_wait_while_a_probe_gets_through(enforcement: Enforcement) -> None:
    assert written(fresh(nodes=nodes(), enforcement=enforcement)) == [POLICIES]


def test_a_namespace_with_another_pools_label_is_left_alone() -> None:
    found = written(fresh(nodes=nodes(), labels={"vision": "other", "nlp": "lab"}))
    assert found == [POLICIES]


def test_a_node_that_leaves_is_freed_when_it_holds_nothing() -> None:
    leaving = nodes(1, selected=False)
    assert written(fresh(nodes=leaving, pods=pods(1)))[0] == POLICIES
    assert written(fresh(nodes=leaving))[0] == "mark node node-1: label none, taint off"


# ------------------------------------------------------------------ back


def observed(**more: Any) -> Snapshot:
    pool = replace(POOL, mode=Mode.OBSERVE, quota_mode=Mode.OBSERVE, isolation_mode=Mode.OBSERVE)
    return a_snapshot(pool, **more)


def test_back_in_observe_namespaces_are_freed_before_nodes_and_nothing_is_left() -> None:
    quotas = {"vision": a_quota(8), "nlp": a_quota(0)}
    found = [str(a) for a in make_plan(observed(quotas=quotas)).actions]
    assert found == [
        "drop quota vision",
        "drop quota nlp",
        "label namespace vision: none",
        "label namespace nlp: none",
        "policies: enforce=False recommend=0 mutate=False",
        "mark node node-1: label none, taint off",
    ]


def test_observe_on_a_clean_cluster_writes_nothing() -> None:
    found = make_plan(observed(nodes=BARE)).actions
    assert found == (SetPolicies(enforce=False, recommend=(), nodes_labelled=False, mutate=False),)


def test_what_an_admin_or_a_template_marked_before_stands_in_a_pool_that_never_enforced() -> None:
    space = Namespace("gone", None, pool_label="lab")
    theirs = observed(nodes=nodes(ours=False), stray_nodes=nodes(prefix="old", ours=False))
    spaces = tuple(replace(n, pool_label="lab", ours=False) for n in theirs.namespaces)
    found = make_plan(replace(theirs, namespaces=spaces, stray_namespaces=(space,))).actions
    assert [type(a) for a in found] == [SetPolicies]


@pytest.mark.parametrize(
    "more",
    [{"taints": ()}, {"pool_label": None}, {"pool_label": "other"}],
    ids=["only the label", "only the taint", "the taint beside another's label"],
)
def test_back_in_observe_any_mark_that_we_wrote_goes(more: dict[str, Any]) -> None:
    assert written(observed(nodes=nodes(**more)))[-1] == "mark node node-1: label none, taint off"
    assert len(written(observed(nodes=nodes(**more, ours=False)))) == 1


def test_a_node_that_a_template_marked_is_a_node_of_an_enforced_pool_as_it_is() -> None:
    judged = {"vision": "lab", "nlp": "lab"}
    assert written(fresh(nodes=nodes(ours=False), labels=judged)) == [POLICIES]


def test_a_label_that_somebody_else_put_on_a_namespace_goes_while_a_pool_enforces() -> None:
    pool = replace(POOL, shares=(POOL.shares[0], replace(POOL.shares[1], mode=Mode.OBSERVE)))
    snapshot = fresh(pool=pool, nodes=nodes(), labels={"vision": "lab", "nlp": "lab"})
    theirs = replace(snapshot, namespaces=tuple(replace(n, ours=False) for n in snapshot.namespaces))
    assert LabelNamespace("nlp", None, theirs=True) in make_plan(theirs).actions


def test_recommend_names_the_namespaces_that_are_warned() -> None:
    pool = replace(POOL, isolation_mode=Mode.RECOMMEND)
    policies = next(a for a in make_plan(fresh(pool=pool)).actions if isinstance(a, SetPolicies))
    assert (policies.enforce, policies.recommend) == (False, ("nlp", "vision"))


def test_a_share_in_observe_is_not_judged() -> None:
    pool = replace(POOL, shares=(POOL.shares[0], replace(POOL.shares[1], mode=Mode.OBSERVE)))
    found = written(fresh(pool=pool, nodes=nodes(), labels={"nlp": "lab"}))
    assert found == [POLICIES, "label namespace vision: lab", "label namespace nlp: none"]


def test_strays_are_freed_whatever_the_mode() -> None:
    stray = Namespace("gone", None, pool_label="lab", quota=a_quota(3), ours=True)
    elsewhere = Namespace("moved", None, pool_label="other", quota=a_quota(3))
    found = make_plan(
        fresh(stray_nodes=nodes(1, prefix="old"), stray_namespaces=(stray, elsewhere), nodes=nodes())
    ).actions
    assert DropQuota("gone", resource_version="7") in found
    assert DropQuota("moved", resource_version="7") in found
    assert MarkNode("old-1", None, taint=False) in found
    assert [a for a in found if isinstance(a, LabelNamespace) and a.pool is None] == [
        LabelNamespace("gone", None)
    ]


# ------------------------------------------------------------------ a namespace that leaves


def leaving(held: int) -> Snapshot:
    gone = Namespace("gone", None, pool_label="lab", quota=a_quota(6, held))
    return fresh(nodes=nodes(), pods=pods(held, namespace="gone"), strangers=(gone,))


def test_a_namespace_that_no_share_lists_keeps_a_closing_wall_until_it_is_empty() -> None:
    actions = make_plan(leaving(2)).actions
    quota = next(a for a in actions if isinstance(a, SetQuota) and a.namespace == "gone")
    assert (quota.hard, quota.raises) == ({GPU: 2}, False)
    assert not [a for a in actions if isinstance(a, LabelNamespace) and a.namespace == "gone"]


def test_an_empty_namespace_that_no_share_lists_is_let_go() -> None:
    actions = make_plan(leaving(0)).actions
    assert DropQuota("gone", resource_version="7") in actions
    assert LabelNamespace("gone", None, theirs=True) in actions


# ------------------------------------------------------------------ conditions


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        (fresh(nodes=BARE), "QuotaNotInForce"),
        (
            fresh(nodes=nodes(), quotas=WALLS | {"nlp": a_quota(0, status_hard=4)}),
            "QuotaNotInForce",
        ),
        (fresh(nodes=BARE, quotas=WALLS), "BeingWritten"),
        (
            fresh(
                nodes=nodes(),
                quotas=WALLS,
                enforcement=Enforcement(policies_current=True),
            ),
            "NotProbed",
        ),
        (
            fresh(
                nodes=nodes(),
                quotas=WALLS,
                enforcement=Enforcement(policies_current=True, probe=("a pod without a selector",)),
            ),
            "Open",
        ),
        (
            fresh(
                nodes=nodes(),
                quotas=WALLS,
                labels={"vision": "lab", "nlp": None},
            ),
            "BeingWritten",
        ),
        (fresh(nodes=nodes(), quotas=WALLS), "Enforced"),
        (observed(), "Observe"),
    ],
)
def test_enforced_is_said_only_of_what_was_read_back(snapshot: Snapshot, reason: str) -> None:
    assert condition_of(make_plan(snapshot), "Enforced").reason == reason


def test_walls_alone_are_enforced_without_any_policy() -> None:
    pool = replace(POOL, isolation_mode=Mode.OBSERVE)
    snapshot = fresh(pool=pool, quotas=WALLS)
    assert condition_of(make_plan(snapshot), "Enforced").reason == "Enforced"


def test_what_somebody_rewrites_again_and_again_is_named_as_a_conflict() -> None:
    contested = replace(PROVED, contested=("label of node node-1",))
    told = condition_of(make_plan(fresh(enforcement=contested)), "Conflict")
    assert (told.status, told.reason) == ("True", "Rewritten")
    assert "label of node node-1" in told.message

"""Requests that no pool answers for, and marks of pools that are gone."""

import pytest

from gpupool.model.marks import NODE_LABEL, POOL_LABEL, TAINT
from gpupool.model.objects import Namespace, Request
from gpupool.model.plan import LabelNamespace, MarkNode
from gpupool.model.pool import Mode
from gpupool.model.world import NamespaceFacts, NodeFacts, World
from gpupool.planner.orphans import plan_orphans
from gpupool.planner.planner import make_plan
from gpupool.planner.sweep import sweep
from gpupool.policy.membership import resolve
from support.builders import NOW, a_pool, a_quota, a_request, a_share, a_snapshot, condition_of, status_of

OTHER_POOL = (
    "spec.pool prod is not the pool of namespace vision, which is lab:"
    " delete this request and make one without spec.pool, or in a namespace of prod."
)
LAB = a_pool(a_share("vision", 8), a_share("shared"), mode=Mode.OBSERVE)
PROD = a_pool(a_share("serving"), a_share("shared"), name="prod", mode=Mode.OBSERVE)


def world(*requests: Request) -> World:
    namespaces = tuple(NamespaceFacts(n, {}) for n in ("vision", "serving", "shared", "lonely"))
    return World(now=NOW, pools=(LAB, PROD), namespaces=namespaces, requests=requests)


@pytest.mark.parametrize(
    ("request_", "phase", "reason", "said"),
    [
        (
            a_request("train", 1, pool="nope"),
            "Pending",
            "UnknownPool",
            "spec.pool nope does not exist; there are: lab, prod. It is granted once the pool exists.",
        ),
        (
            a_request("train", 1, "lonely"),
            "Pending",
            "NamespaceWithoutPool",
            "No share of a GpuPool lists namespace lonely: ask the pool's owner to add it to spec.shares.",
        ),
        (
            a_request("train", 1, "shared"),
            "Pending",
            "NamespaceClaimedTwice",
            "Shares of two pools list namespace shared, so it belongs to none: remove it from one of them.",
        ),
        (
            a_request("train", 1, pool="prod"),
            "Refused",
            "OtherPool",
            OTHER_POOL,
        ),
    ],
)
def test_an_orphan_is_told_field_value_and_fix(request_: Request, phase: str, reason: str, said: str) -> None:
    found = world(request_)
    (status,) = plan_orphans(found, resolve(found))
    assert (status.phase, status.verdict.reason, status.verdict.message) == (phase, reason, said)
    assert [(c.type, c.status, c.reason) for c in status.conditions] == [("Granted", "False", reason)]


def test_a_request_that_a_pool_answers_is_no_orphan() -> None:
    found = world(a_request("train", 1), a_request("named", 1, pool="lab"))
    assert plan_orphans(found, resolve(found)) == ()


def test_without_any_pool_an_unknown_one_is_told_so() -> None:
    found = World(now=NOW, requests=(a_request("train", 1, pool="lab"),))
    assert "there are: none" in plan_orphans(found, resolve(found))[0].verdict.message


def test_a_namespace_that_lost_its_share_is_told_so() -> None:
    gone = Namespace("gone", None, pool_label="lab", quota=a_quota(1))
    found = make_plan(a_snapshot(a_pool(a_share("vision")), a_request("train", 1, "gone"), strangers=(gone,)))
    status = status_of(found, "train")
    assert (status.phase, status.verdict.reason) == ("Pending", "NamespaceWithoutPool")
    assert "namespace gone" in condition_of(found, "Granted", "train").message


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.OBSERVE])
def test_a_label_of_no_pool_keeps_nobody_from_being_judged_where_a_pool_enforces(mode: Mode) -> None:
    pool = a_pool(a_share("vision"), mode=mode)
    mistaken = NamespaceFacts("vision", {POOL_LABEL: "somebody-elses"})
    found = World(now=NOW, pools=(pool,), namespaces=(mistaken,))
    expected = (LabelNamespace("vision", None, theirs=True),) if mode is Mode.ENFORCE else ()
    assert sweep(found, resolve(found)) == expected


def test_marks_of_pools_that_are_gone_are_taken_back_and_others_stay() -> None:
    taint = f"{TAINT}=gone:NoSchedule"
    found = World(
        now=NOW,
        pools=(LAB,),
        namespaces=(
            NamespaceFacts("a", {POOL_LABEL: "gone"}, ours=True),
            NamespaceFacts("b", {POOL_LABEL: "lab"}),
            NamespaceFacts("c", {}),
            NamespaceFacts("an admin's", {POOL_LABEL: "gone"}),
        ),
        nodes=(
            NodeFacts("labelled", {NODE_LABEL: "gone"}, {}, ours=True),
            NodeFacts("tainted", {}, {}, taints=(taint,), ours=True),
            NodeFacts("ours", {NODE_LABEL: "lab"}, {}, taints=("other=x:NoSchedule",), ours=True),
            NodeFacts("a template's", {NODE_LABEL: "to-come"}, {}, taints=(f"{TAINT}=to-come:NoSchedule",)),
        ),
    )
    assert sweep(found, resolve(found)) == (
        LabelNamespace("a", None),
        MarkNode("labelled", None, taint=False),
        MarkNode("tainted", None, taint=False),
    )

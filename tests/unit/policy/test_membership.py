"""Which node and which namespace belong to which pool, and what one pool may see."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gpupool.model.marks import NODE_LABEL, POOL_LABEL, TAINT
from gpupool.model.objects import Demand, ForeignQuota, Key, ObjectRef
from gpupool.model.pool import Mode, Pool
from gpupool.model.selector import Selector
from gpupool.model.snapshot import Snapshot
from gpupool.model.world import DaemonSetFacts, NamespaceFacts, NodeFacts, Toleration, World
from gpupool.policy.membership import resolve
from gpupool.policy.view import view
from support.builders import GPU, NOW, a_pool, a_quota, a_request, a_share, pods

LAB = a_pool(a_share("vision", 8), mode=Mode.OBSERVE)
OTHER = replace(LAB, name="other")


def a_node(name: str, **labels: str) -> NodeFacts:
    return NodeFacts(name, labels, {GPU: 8, "other.com/fpga": 2})


def a_world(*pools: Pool, **more: Any) -> World:
    return World(now=NOW, pools=pools, **more)


def seen(world: World, pool: Pool) -> Snapshot:
    return view(world, resolve(world), pool, uninterrupted_since=NOW - timedelta(days=1))


def test_a_node_belongs_to_the_pool_that_selects_it() -> None:
    named = replace(LAB, name="named", node_selector=None, node_names=("n2",))
    found = resolve(a_world(LAB, named, nodes=(a_node("n1", group="lab"), a_node("n2"), a_node("n3"))))
    assert [n.name for n in found.members["lab"].nodes] == ["n1"]
    assert [n.name for n in found.members["named"].nodes] == ["n2"]


def test_a_node_that_two_pools_select_belongs_to_none() -> None:
    found = resolve(a_world(LAB, OTHER, nodes=(a_node("n1", group="lab"),)))
    assert found.members["lab"].nodes == ()
    assert found.members["lab"].nodes_claimed_twice == ("n1",)
    assert found.members["other"].nodes_claimed_twice == ("n1",)


@pytest.mark.parametrize(("mode", "home"), [(Mode.ENFORCE, "other"), (Mode.OBSERVE, "lab")])
def test_the_label_decides_only_where_isolation_is_enforced(mode: Mode, home: str) -> None:
    other = replace(OTHER, isolation_mode=mode, node_selector=None)
    node = NodeFacts("n1", {"group": "lab", NODE_LABEL: "other"}, {GPU: 8})
    found = resolve(a_world(LAB, other, nodes=(node,)))
    assert [n.name for n in found.members[home].nodes] == ["n1"]


def test_a_namespace_that_two_pools_list_belongs_to_none() -> None:
    found = resolve(a_world(LAB, OTHER, namespaces=(NamespaceFacts("vision", {}),)))
    assert found.claimed_twice == {"vision"}
    assert found.members["lab"].namespaces_claimed_twice == ("vision",)
    assert found.pool_of_namespace == {}


def test_a_namespace_may_be_listed_by_its_labels() -> None:
    share = replace(a_share("nlp"), namespaces=(), selector=Selector((("team", "nlp"),)))
    pool = replace(LAB, shares=(share,))
    world = a_world(pool, namespaces=(NamespaceFacts("nlp-1", {"team": "nlp"}), NamespaceFacts("x", {})))
    assert [(n.name, n.team) for n in seen(world, pool).namespaces] == [("nlp-1", "nlp")]


def test_the_first_share_that_lists_a_namespace_has_it() -> None:
    selecting = replace(a_share("nlp"), namespaces=(), selector=Selector((("team", "nlp"),)))
    again = replace(a_share("again"), namespaces=("vision",))
    pool = replace(LAB, shares=(selecting, LAB.shares[0], again))
    world = a_world(pool, namespaces=(NamespaceFacts("vision", {"team": "nlp"}),))
    assert [n.team for n in seen(world, pool).namespaces] == ["nlp"]
    unlabelled = a_world(pool, namespaces=(NamespaceFacts("vision", {}),))
    assert [n.team for n in seen(unlabelled, pool).namespaces] == ["vision"]


def test_a_leaving_namespace_stays_a_member_while_it_carries_the_label() -> None:
    pool = replace(LAB, isolation_mode=Mode.ENFORCE)
    world = a_world(pool, namespaces=(NamespaceFacts("gone", {POOL_LABEL: "lab"}),))
    assert [(n.name, n.team) for n in seen(world, pool).namespaces] == [("gone", None)]


def test_a_stranger_that_holds_gpus_is_seen_with_its_quotas() -> None:
    facts = NamespaceFacts("stranger", {}, foreign=(ForeignQuota("theirs", {GPU: 4}),))
    world = a_world(
        LAB,
        nodes=(a_node("n1", group="lab"),),
        namespaces=(facts,),
        pods=(*pods(1, namespace="stranger", node="n1"), *pods(1, namespace="unknown", node="n1")),
    )
    found = {n.name: n for n in seen(world, LAB).namespaces}
    assert found["stranger"].foreign == facts.foreign
    assert found["unknown"].team is None


def test_exempt_namespaces_are_the_system() -> None:
    world = a_world(
        LAB,
        nodes=(a_node("n1", group="lab"),),
        pods=pods(1, namespace="kube-system", node="n1"),
        exempt_namespaces=frozenset({"kube-system"}),
    )
    assert [n.system for n in seen(world, LAB).namespaces] == [True]


def test_a_view_holds_what_concerns_the_pool_and_nothing_else() -> None:
    owner = ObjectRef("batch/v1", "Job", "fit")
    world = a_world(
        LAB,
        nodes=(a_node("n1", group="lab"), a_node("n2")),
        namespaces=(NamespaceFacts("vision", {}, quota=a_quota(3)), NamespaceFacts("x", {})),
        pods=(
            *pods(1, "a", node="n2"),
            *pods(1, "b", "x", node="n2"),
            *pods(1, "c", node="n1", resource="other.com/fpga"),
        ),
        requests=(
            a_request("mine", 1, resource=""),
            a_request("named", 1, pool="lab"),
            a_request("elsewhere", 1, pool="other"),
            a_request("theirs", 1, "x"),
        ),
        demands=(
            Demand("vision", owner, {}, GPU, 1, 1),
            Demand("x", owner, {}, GPU, 1, 1),
            Demand("vision", owner, {}, "other.com/fpga", 1, 1),
        ),
    )
    found = seen(world, LAB)
    assert [(n.name, n.gpus) for n in found.nodes] == [("n1", {GPU: 8})]
    assert [p.key for p in found.pods] == [Key("vision", "a-0")]
    assert [(r.key.name, r.resource) for r in found.requests] == [("mine", GPU), ("named", GPU)]
    assert len(found.demands) == 1
    assert found.namespaces[0].quota == a_quota(3)


def test_what_carries_our_marks_and_is_no_member_is_a_stray() -> None:
    quota = replace(a_quota(1), pool="lab")
    world = a_world(
        LAB,
        nodes=(NodeFacts("old", {NODE_LABEL: "lab"}, {}),),
        namespaces=(
            NamespaceFacts("labelled", {POOL_LABEL: "lab"}),
            NamespaceFacts("walled", {}, quota=quota),
            NamespaceFacts("theirs", {}, quota=a_quota(1, pool="other")),
        ),
    )
    found = seen(world, LAB)
    assert [n.name for n in found.stray_nodes] == ["old"]
    assert [n.name for n in found.stray_namespaces] == ["labelled", "walled"]


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        (Toleration(), False),
        (Toleration(operator="Exists"), True),
        (Toleration(key=TAINT, operator="Exists"), True),
        (Toleration(key=TAINT, operator="Exists", effect="NoExecute"), False),
        (Toleration(key=TAINT, value="lab", effect="NoSchedule"), True),
        (Toleration(key=TAINT, value="other"), False),
        (Toleration(key="gpu", operator="Exists"), False),
    ],
)
def test_a_daemonset_that_would_not_come_back_is_named(toleration: Toleration, *, tolerated: bool) -> None:
    daemonset = DaemonSetFacts("gpu", "driver", None, (toleration,))
    world = a_world(LAB, nodes=(a_node("n1", group="lab"),), daemonsets=(daemonset,))
    assert seen(world, LAB).intolerant_daemonsets == (() if tolerated else ("gpu/driver",))


def test_daemonsets_of_exempt_namespaces_are_told_apart() -> None:
    daemonsets = (DaemonSetFacts("gpu-operator", "driver", None), DaemonSetFacts("vision", "own", None))
    world = a_world(LAB, nodes=(a_node("n1", group="lab"),), daemonsets=daemonsets)
    found = seen(replace(world, exempt_namespaces=frozenset({"gpu-operator"})), LAB)
    assert found.intolerant_daemonsets == ("gpu-operator/driver", "vision/own")
    assert found.intolerant_system == ("gpu-operator/driver",)


def test_a_daemonset_that_runs_elsewhere_does_not_matter() -> None:
    daemonset = DaemonSetFacts("gpu", "driver", Selector((("group", "x"),)))
    world = a_world(LAB, nodes=(a_node("n1", group="lab"),), daemonsets=(daemonset,))
    assert seen(world, LAB).intolerant_daemonsets == ()

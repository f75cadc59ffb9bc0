"""Declared capacity: grants and quotas come before the nodes, so that an autoscaler has pods to act on."""

from dataclasses import replace

from gpupool.model.enforcement import Enforcement
from gpupool.model.objects import Node, Pod
from gpupool.model.plan import Plan, SetPolicies
from gpupool.planner.planner import make_plan
from support.builders import (
    GPU,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    condition_of,
    granted,
    grants,
    nodes,
    pods,
    quotas_of,
    status_of,
)

POOL = replace(a_pool(a_share("vision", 64), a_share("nlp")), declared={GPU: 64})
PROVED = Enforcement(policies_current=True, probe=())


def running(left: tuple[Node, ...], *found: Pod, gpus: int = 16) -> Plan:
    quotas = {"vision": a_quota(gpus), "nlp": a_quota(0)}
    return make_plan(a_snapshot(POOL, granted("train", gpus), nodes=left, pods=found, quotas=quotas))


def test_a_pool_without_a_node_grants_up_to_what_is_declared() -> None:
    asks = a_request("train", 48), a_request("spare", 24, "nlp", min_gpus=1, preemptible=True)
    walls = {"vision": a_quota(0), "nlp": a_quota(0)}
    found = make_plan(a_snapshot(POOL, *asks, nodes=(), quotas=walls))
    assert grants(found) == {"train": 48, "spare": 16}
    assert quotas_of(found) == {"vision": 48, "nlp": 16}
    told = condition_of(found, "Provisioning", "train")
    assert (told.status, told.reason) == ("True", "NodesToCome")
    assert f"48 of them are on no node yet: pool lab has 0 of the 64 declared {GPU}" in told.message
    status = status_of(found, "train")
    assert (status.phase, status.verdict.reason) == ("Granted", "Provisioning")
    assert status_of(found, "spare").verdict.reason == "GrantedInPart"
    assert found.status is not None
    assert (found.status.observed, found.status.provisioning) == ({GPU: 0}, {GPU: 64})


def test_what_was_declared_is_the_limit() -> None:
    found = make_plan(a_snapshot(POOL, a_request("train", 65, min_gpus=65, preemptible=True), nodes=()))
    assert status_of(found, "train").verdict.reason == "AboveCapacity"


def test_free_gpus_count_for_those_served_first_and_held_ones_for_their_holder() -> None:
    found = running(nodes(2), *pods(4, "train"))
    assert found.status is not None
    assert (found.status.observed, found.status.provisioning) == ({GPU: 16}, {GPU: 0})
    assert status_of(found, "train").verdict.reason == "Granted"
    short = running(nodes(1), *pods(4, "train"), *pods(2, "train", node=None, prefix="pending"))
    assert "8 of them are on no node yet" in status_of(short, "train").verdict.message


def test_nodes_that_cannot_be_used_bring_nothing() -> None:
    cordoned = replace(nodes(1, prefix="c")[0], schedulable=False)
    assert "8 of them" in status_of(running((*nodes(1), cordoned)), "train").verdict.message


def test_an_observed_pool_says_nothing_of_nodes_to_come() -> None:
    pool = replace(POOL, declared={})
    found = make_plan(a_snapshot(pool, granted("train", 16), nodes=nodes(2), quotas={"vision": a_quota(16)}))
    assert found.status is not None
    assert (found.status.observed, found.status.provisioning) == ({}, {})
    assert status_of(found, "train").verdict.reason == "Granted"


def test_a_pool_without_a_node_yet_is_enforced_and_its_namespaces_are_judged() -> None:
    found = make_plan(a_snapshot(POOL, nodes=(), enforcement=PROVED, labels={"nlp": "lab"}))
    assert "label namespace vision: lab" in [str(a) for a in found.actions]
    policies = next(a for a in found.actions if isinstance(a, SetPolicies))
    assert policies.nodes_labelled
    quotas = {"vision": a_quota(0), "nlp": a_quota(0)}
    done = make_plan(a_snapshot(POOL, nodes=(), enforcement=PROVED, quotas=quotas))
    assert condition_of(done, "Enforced").status == "True"
    assert condition_of(done, "Ready").status == "True"


def test_a_node_that_arrives_with_our_label_and_taint_keeps_both_before_it_has_gpus() -> None:
    arriving = replace(nodes(1)[0], gpus={})
    found = make_plan(a_snapshot(POOL, nodes=(arriving,), enforcement=PROVED))
    assert not [a for a in found.actions if "mark node" in str(a)]

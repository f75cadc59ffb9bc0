"""A quota keeps nobody out until it was counted once: first walls cover what runs, and rise together."""

from dataclasses import replace

import pytest

from gpupool.model.objects import ForeignQuota, Quota
from gpupool.model.plan import Plan, SetQuota
from gpupool.planner.planner import make_plan
from gpupool.policy.ledger import build
from gpupool.policy.territory import territory_of
from support.builders import (
    GPU,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    granted,
    grants,
    nodes,
    pods,
    quotas_of,
)

POOL = a_pool(a_share("vision", 8), a_share("nlp", 8))
TWO = nodes(2)


def uncounted(hard: int, *, opening: bool = False) -> Quota:
    """A quota of ours that the quota controller has not looked at yet."""
    return replace(a_quota(hard, opening=opening), status_hard={}, used={})


def opening(plan: Plan) -> dict[str, bool]:
    return {a.namespace: a.opening for a in plan.actions if isinstance(a, SetQuota)}


def test_first_walls_cover_what_runs_and_rise_once_all_are_in_force() -> None:
    asks = granted("train", 8), granted("chat", 8, "nlp")
    running = pods(3, "train")
    first = make_plan(a_snapshot(POOL, *asks, pods=running, nodes=TWO))
    assert (quotas_of(first), opening(first)) == ({"vision": 3, "nlp": 0}, {"vision": True, "nlp": True})
    assert grants(first) == {"train": 8, "chat": 8}, "nobody is told that he lost what he has"

    halfway = {"vision": a_quota(3, 3, opening=True), "nlp": uncounted(0, opening=True)}
    then = make_plan(a_snapshot(POOL, *asks, pods=running, nodes=TWO, quotas=halfway))
    assert quotas_of(then) == {"nlp": 8}, "beside nlp, which still lets in whatever it wants, nothing rises"
    assert grants(then) == {"train": 8, "chat": 8}

    counted = {"vision": a_quota(3, 3, opening=True), "nlp": a_quota(0, opening=True)}
    last = make_plan(a_snapshot(POOL, *asks, pods=running, nodes=TWO, quotas=counted))
    assert (quotas_of(last), opening(last)) == ({"vision": 8, "nlp": 8}, {"vision": False, "nlp": False})


def test_what_was_taken_before_the_walls_were_in_force_is_not_promised_to_others() -> None:
    asks = a_request("train", 8, preemptible=True), granted("chat", 8, "nlp")
    running = (*pods(8), *pods(8, node="node-2", prefix="more"))
    counted = {"vision": a_quota(16, 16, implicit=16), "nlp": a_quota(0, opening=True)}
    found = make_plan(a_snapshot(POOL, *asks, pods=running, nodes=TWO, quotas=counted))
    assert grants(found)["chat"] == 0
    assert quotas_of(found)["nlp"] == 0


def test_what_was_promised_without_walls_is_given_as_far_as_there_are_gpus_left() -> None:
    asks = granted("train", 8), granted("chat", 8, "nlp")
    counted = {"vision": a_quota(0, opening=True), "nlp": a_quota(0, opening=True)}
    found = make_plan(a_snapshot(POOL, *asks, nodes=nodes(1), quotas=counted))
    assert sum(quotas_of(found).values()) == 8
    assert sorted(grants(found).values()) == [0, 8]


def test_the_only_wall_that_is_missing_is_built_whole() -> None:
    found = make_plan(a_snapshot(POOL, granted("train", 8), nodes=TWO, quotas={"nlp": a_quota(0)}))
    assert (quotas_of(found), opening(found)) == ({"vision": 8}, {"vision": False})


def test_the_only_wall_that_is_missing_covers_what_runs_where_others_have_the_rest() -> None:
    loud = a_request("loud", 16, "nlp", preemptible=True)
    wall = {"nlp": a_quota(16, 16)}
    running = (*pods(8, "loud", "nlp"), *pods(8, "loud", "nlp", node="node-2", prefix="more"))
    given = replace(loud, remembered=granted("loud", 16, "nlp").remembered)
    found = make_plan(a_snapshot(POOL, granted("train", 8), given, pods=running, nodes=TWO, quotas=wall))
    assert quotas_of(found)["vision"] == 0


@pytest.mark.parametrize("hard", [0, 4])
def test_nothing_rises_beside_a_wall_that_is_not_in_force(hard: int) -> None:
    asks = granted("train", 4), a_request("more", 2), a_request("chat", 4, "nlp")
    walls = {"vision": a_quota(4, 0), "nlp": uncounted(hard)}
    found = make_plan(a_snapshot(POOL, *asks, nodes=TWO, quotas=walls))
    raised = {a.namespace for a in found.actions if isinstance(a, SetQuota) and a.raises}
    assert raised <= {"nlp"}, "only what keeps nobody out anyway"


def test_a_resource_that_the_quota_does_not_count_yet_is_not_walled() -> None:
    mig = "nvidia.com/mig-1g.5gb"
    pool = replace(POOL, resources=(GPU, mig))
    found = a_snapshot(pool, quotas={"vision": a_quota(4), "nlp": a_quota(4)})
    counts = {r: build(found, territory_of(found), r).unwalled for r in pool.resources}
    assert counts == {GPU: frozenset(), mig: {"vision", "nlp"}}


def test_where_no_wall_can_stand_nobody_waits_for_one() -> None:
    found = a_snapshot(POOL, a_request("train", 4), nodes=TWO, quotas={"vision": a_quota(0)})
    theirs = (ForeignQuota("gpupool", {GPU: 4}),)
    spaces = tuple(replace(n, foreign=theirs) if n.name == "nlp" else n for n in found.namespaces)
    assert quotas_of(make_plan(replace(found, namespaces=spaces)))["vision"] == 4

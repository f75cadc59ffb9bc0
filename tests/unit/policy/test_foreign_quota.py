"""A quota of somebody else in the namespace: what it forbids to request is not blamed on the owner."""

from dataclasses import replace

import pytest

from gpupool.model.objects import ForeignQuota, Key
from gpupool.model.plan import Plan, Status
from gpupool.model.snapshot import Snapshot
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
    nodes,
    pods,
    sampled,
    status_of,
)

RUNNING = pods(4, "train")


def under_used(*foreign: ForeignQuota) -> Plan:
    """Sixteen granted, four held and busy, with these quotas of others in the namespace."""
    found: Snapshot = a_snapshot(
        a_pool(a_share("vision", 16)),
        granted("train", 16),
        nodes=nodes(4),
        pods=RUNNING,
        usage=sampled(RUNNING, peaks={Key("vision", "train"): 4}),
        quotas={"vision": a_quota(16, 4)},
    )
    places = tuple(replace(n, foreign=foreign) if n.name == "vision" else n for n in found.namespaces)
    return make_plan(replace(found, namespaces=places))


def test_a_smaller_foreign_quota_takes_the_blame() -> None:
    condition = condition_of(under_used(ForeignQuota("platform", {GPU: 4})), "UnderUsed", "train")
    assert (condition.status, condition.reason) == (Status.FALSE, "AllHeld")


def test_a_foreign_quota_blames_only_for_what_it_allows() -> None:
    larger, smaller = ForeignQuota("loose", {GPU: 12}), ForeignQuota("tight", {GPU: 8})
    condition = condition_of(under_used(larger, smaller), "UnderUsed", "train")
    assert condition.status is Status.TRUE
    assert "3 unheld GPUs" in condition.message


def test_a_quota_that_counts_something_else_changes_nothing() -> None:
    condition = condition_of(under_used(ForeignQuota("other", {"amd.com/gpu": 1})), "UnderUsed", "train")
    assert "11 unheld GPUs" in condition.message


# ------------------------------------------------------------------ and is named


def test_a_smaller_foreign_quota_is_named_to_who_was_granted_more() -> None:
    told = status_of(under_used(ForeignQuota("platform", {GPU: 12})), "train").verdict
    assert told.reason == "Granted"
    assert (
        f"ResourceQuota platform of the namespace allows 12 {GPU} in all and is not ours: of 16 granted or"
        " asked there no more can be used."
    ) in told.message


def test_a_foreign_quota_that_allows_as_much_is_not_told_to_the_request_but_to_the_pool() -> None:
    found = under_used(ForeignQuota("platform", {GPU: 16, "cpu": 3}), ForeignQuota("other", {"x.com/y": 1}))
    assert "platform" not in status_of(found, "train").verdict.message
    assert found.status is not None
    assert [(r.kind, r.namespace, r.name, r.hard) for r in found.status.foreign] == [
        ("ResourceQuota", "vision", "platform", {GPU: 16})
    ]


def test_a_foreign_quota_for_some_pods_only_limits_nobody_for_sure() -> None:
    found = under_used(ForeignQuota("batch", {GPU: 2}, scoped=True))
    assert "batch" not in status_of(found, "train").verdict.message
    assert "11 unheld GPUs" in condition_of(found, "UnderUsed", "train").message


@pytest.mark.parametrize(("allows", "now"), [(3, 3), (8, 4), (0, 0)])
def test_what_a_smaller_ask_would_get_is_no_more_than_can_be_used(allows: int, now: int) -> None:
    found = a_snapshot(
        a_pool(a_share("vision", 8), a_share("nlp", 4)),
        a_request("train", 8),
        granted("serve", 4, "nlp"),
        quotas={"vision": a_quota(0), "nlp": a_quota(4)},
    )
    foreign = (ForeignQuota("platform", {GPU: allows}),)
    places = tuple(replace(n, foreign=foreign) if n.name == "vision" else n for n in found.namespaces)
    verdict = status_of(make_plan(replace(found, namespaces=places)), "train").verdict
    assert verdict.grantable_now == now
    assert ("platform" in verdict.message) is (allows < 8)

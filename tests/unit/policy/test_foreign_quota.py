"""A quota of somebody else in the namespace: what it forbids to request is not blamed on the owner."""

from dataclasses import replace

from gpupool.model.plan import Plan, Status
from gpupool.model.snapshot import ForeignQuota, Key, Snapshot
from gpupool.planner.planner import plan
from support.builders import (
    GPU,
    a_pool,
    a_quota,
    a_share,
    a_snapshot,
    condition_of,
    granted,
    nodes,
    pods,
    sampled,
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
    return plan(replace(found, namespaces=places))


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

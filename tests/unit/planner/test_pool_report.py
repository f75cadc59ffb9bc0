"""The table of a pool, its queue and its conditions."""

from dataclasses import replace

import pytest

from gpupool.model.objects import Namespace
from gpupool.model.plan import PoolStatus
from gpupool.model.pool import Mode
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from support.builders import (
    GPU,
    HOUR,
    NOW,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    a_timer,
    condition_of,
    granted,
    nodes,
    pods,
    sampled,
)


def status(snapshot: Snapshot) -> PoolStatus:
    found = make_plan(snapshot).status
    assert found is not None
    return found


def test_six_lines_of_a_pool_show_who_holds_what() -> None:
    pool = a_pool(mode=Mode.OBSERVE)
    busy, idle = pods(3, namespace="team-a"), pods(2, namespace="team-b")
    usage = replace(sampled(busy), pods=sampled(busy).pods + sampled(idle, busy=0.0).pods)
    found = status(a_snapshot(pool, pods=busy + idle, usage=usage))
    assert [(r.team, r.declared, r.held[GPU], r.busy[GPU]) for r in found.shares] == [
        ("team-a", False, 3, 3),
        ("team-b", False, 2, 0),
    ]
    assert (found.held, found.unattributed) == ({GPU: 5}, {GPU: 5})


def test_a_pool_that_nobody_uses_is_known_to_be_idle() -> None:
    assert status(a_snapshot(a_pool())).busy == {GPU: 0}


def test_where_use_is_unknown_busy_is_absent_and_not_zero() -> None:
    found = status(a_snapshot(a_pool(), pods=pods(3, namespace="team-a"), usage=sampled(())))
    assert found.shares[0].busy == {}


def test_a_share_shows_promise_grant_loan_and_use() -> None:
    timer = a_timer(Stage.LENT, 9 * HOUR, target=2, granted=6)
    running = pods(2, "train")
    snapshot = a_snapshot(
        a_pool(a_share("vision", 6, limit=7)),
        granted("train", 6, allowance=2, timer=timer),
        pods=running,
        quotas={"vision": a_quota(2, 1, timers={"train": timer})},
        usage=sampled(running[:1]),
    )
    (row,) = status(snapshot).shares
    assert (row.guaranteed, row.limit) == ({GPU: 6}, {GPU: 7})
    assert (row.granted, row.held, row.busy) == ({GPU: 6}, {GPU: 2}, {GPU: 1})
    assert row.lent == {GPU: 2}


def test_the_system_has_no_row_and_is_nobodys() -> None:
    system = (Namespace("kube-system", None, system=True),)
    running = pods(2, namespace="kube-system")
    found = status(a_snapshot(a_pool(), pods=running, strangers=system))
    assert (found.shares, found.unattributed, found.usable) == ((), {GPU: 0}, {GPU: 6})


def test_the_queue_is_in_order_and_bounded() -> None:
    asks = [a_request(f"ask-{i:02}", 8, created=NOW - i * HOUR) for i in range(25)]
    found = status(a_snapshot(a_pool(a_share("vision", 8)), *asks, pods=pods(1, namespace="stranger")))
    assert len(found.queue) == 20
    assert [q.key.name for q in found.queue[:2]] == ["ask-24", "ask-23"]
    assert (found.queue[0].position, found.queue[0].gpus, found.queue[0].team) == (1, 8, "vision")
    assert found.counts["queued"] == 25


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        (a_snapshot(a_pool(), nodes=()), "NoNodes"),
        (a_snapshot(a_pool(declared={GPU: 8}), nodes=()), "Ready"),
        (a_snapshot(a_pool(), nodes=(), nodes_claimed_twice=("n1",)), "NodeClaimedTwice"),
        (a_snapshot(a_pool(), namespaces_claimed_twice=("vision",)), "NamespaceClaimedTwice"),
        (a_snapshot(a_pool(a_share("vision", 8), reserve=1)), "GuaranteesExceedCapacity"),
        (a_snapshot(a_pool(a_share("vision", 8))), "Ready"),
    ],
)
def test_ready_names_what_is_wrong_with_the_pool(snapshot: Snapshot, reason: str) -> None:
    assert condition_of(make_plan(snapshot), "Ready").reason == reason


def test_long_lists_are_cut_and_say_so() -> None:
    found = make_plan(a_snapshot(a_pool(), nodes_claimed_twice=tuple(f"n{i}" for i in range(8))))
    assert condition_of(found, "Ready").message.endswith("n0, n1, n2, n3, n4 and 3 more.")


def test_overcommitment_is_said_with_its_number() -> None:
    found = make_plan(
        a_snapshot(a_pool(a_share("vision", 8)), granted("train", 16), quotas={"vision": a_quota(16)})
    )
    assert condition_of(found, "Overcommitted").message == (
        "Committed beyond capacity: 8 nvidia.com/gpu. Nothing is raised until this is gone."
    )


def test_silent_telemetry_is_said() -> None:
    found = make_plan(a_snapshot(a_pool(), usage=sampled((), fresh=False, problem="No answer")))
    assert condition_of(found, "TelemetryHealthy").message == (
        "No answer. Nothing is taken for under-use meanwhile."
    )


def test_a_daemonset_without_toleration_is_named_with_the_fix() -> None:
    found = make_plan(a_snapshot(a_pool(), intolerant_daemonsets=("gpu/driver",)))
    assert "gpu/driver. Add a toleration for key gpupool.dev/pool." in (
        condition_of(found, "DaemonSetsTolerate").message
    )


def test_two_resources_have_a_ledger_each() -> None:
    mig = "nvidia.com/mig-1g.10gb"
    members = tuple(n.__class__(n.name, {GPU: 8, mig: 7}, pool_label="lab") for n in nodes())
    pool = a_pool(a_share("vision", 8), resources=(GPU, mig))
    found = status(a_snapshot(pool, a_request("whole", 8), nodes=members, pods=pods(2, resource=mig)))
    assert (found.total, found.granted, found.held) == (
        {GPU: 8, mig: 7},
        {GPU: 8, mig: 0},
        {GPU: 0, mig: 2},
    )


def test_a_plan_reads_as_text() -> None:
    text = str(make_plan(a_snapshot(a_pool(a_share("vision", 8)), a_request("train", 4))))
    assert text.splitlines()[:2] == ["pool lab: 2 actions", "  raise quota vision: nvidia.com/gpu=4"]
    assert "vision/train: Granted 4 (Granted)" in text

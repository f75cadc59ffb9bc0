"""Bringing borrowed GPUs back: notice, quota, and only what is needed and helps."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.objects import Node, Pod, Priority, Quota, Request, Timer
from gpupool.model.plan import Evict, SetQuota
from gpupool.model.pool import Mode
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from support.builders import (
    HOUR,
    MINUTE,
    NOW,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    a_timer,
    condition_of,
    granted,
    grants,
    nodes,
    pods,
    quotas_of,
    status_of,
)

POOL = a_pool(a_share("vision", 8), a_share("nlp"), a_share("guests"))
OWN = a_request("own", 4)


def borrower(name: str, gpus: int, team: str = "nlp", **more: Any) -> Request:
    return granted(name, gpus, team, preemptible=True, min_gpus=1, **more)


def stage(
    *requests: Request,
    quotas: dict[str, Quota],
    found: tuple[Pod, ...] = (),
    members: tuple[Node, ...] = nodes(),
) -> Snapshot:
    quotas = {"vision": a_quota(0), "guests": a_quota(0)} | quotas
    return a_snapshot(POOL, OWN, *requests, pods=found, quotas=quotas, nodes=members)


def targets(snapshot: Snapshot) -> dict[str, int | None]:
    return {
        s.key.name: s.timer.target
        for s in make_plan(snapshot).requests
        if s.timer is not None and s.timer.stage is Stage.RECALLING
    }


def test_a_notice_comes_first_and_takes_nothing() -> None:
    found = make_plan(stage(borrower("borrow", 8), quotas={"nlp": a_quota(8)}))
    status = status_of(found, "borrow")
    assert (status.granted, status.allowance) == (8, 8)
    assert status.timer is not None
    assert status.timer.deadline == NOW + 5 * MINUTE
    assert status.timer.forced_at == NOW + 15 * MINUTE
    assert quotas_of(found) == {"nlp": 8}
    assert status_of(found, "own").verdict.reason == "WaitingForRecall"


def test_the_notice_tells_how_many_stay_and_until_when() -> None:
    found = make_plan(stage(borrower("borrow", 8), quotas={"nlp": a_quota(8)}))
    told = [n for n in found.notices if n.reason == "Recalling"]
    assert [n.key.name for n in told] == ["borrow"]
    assert "4 stay" in told[0].message
    assert "Deadline 2030-01-07T12:05:00Z." in told[0].message


def test_only_what_is_missing_is_asked_for() -> None:
    assert targets(stage(borrower("borrow", 6), quotas={"nlp": a_quota(6)})) == {"borrow": 4}


def test_the_cycle_that_reads_the_notice_lowers_the_quota() -> None:
    timer = a_timer(Stage.RECALLING, 5 * MINUTE, target=4)
    found = make_plan(
        stage(borrower("borrow", 8, timer=timer), quotas={"nlp": a_quota(8, timers={"borrow": timer})})
    )
    assert quotas_of(found) == {"nlp": 4}
    assert status_of(found, "borrow").granted == 4
    assert status_of(found, "own").granted == 0


def test_what_a_lowered_quota_will_free_is_not_asked_of_another() -> None:
    lowered = borrower("borrow", 4, of=8)
    other = borrower("other", 4, "guests")
    late = {"nlp": a_quota(4, status_hard=8), "guests": a_quota(4)}
    assert targets(stage(lowered, other, quotas=late, members=nodes(1, 12))) == {}


def test_when_the_gpus_are_free_the_owner_gets_them_and_the_recall_ends() -> None:
    timer = a_timer(Stage.RECALLING, 5 * MINUTE, target=4)
    quotas = {"nlp": a_quota(4, timers={"borrow": timer})}
    found = make_plan(stage(borrower("borrow", 4, of=8, timer=timer), quotas=quotas))
    assert grants(found) == {"own": 4, "borrow": 4}
    assert status_of(found, "borrow").timer is None


def test_a_recall_that_nobody_needs_any_more_ends() -> None:
    timer = a_timer(Stage.RECALLING, 5 * MINUTE, target=4)
    found = make_plan(
        a_snapshot(
            POOL, borrower("borrow", 6, timer=timer), quotas={"nlp": a_quota(6, timers={"borrow": timer})}
        )
    )
    assert status_of(found, "borrow").timer is None


def test_while_it_is_recalled_a_borrower_stands_in_no_queue() -> None:
    timer = a_timer(Stage.RECALLING, 5 * MINUTE, target=4)
    quotas = {"nlp": a_quota(8, timers={"borrow": timer})}
    running = pods(8, "borrow", "nlp")
    status = status_of(
        make_plan(stage(borrower("borrow", 8, timer=timer), quotas=quotas, found=running)), "borrow"
    )
    assert (status.position, status.granted) == (0, 4)
    assert "not considered while borrowed GPUs go back" in status.verdict.message


# ------------------------------------------------------------------ whom it meets


def test_unheld_gpus_go_first() -> None:
    busy, idle = borrower("busy", 4), borrower("idle", 4, "guests", created=NOW - 20 * HOUR)
    quotas = {"nlp": a_quota(4, 4), "guests": a_quota(4)}
    assert targets(stage(busy, idle, quotas=quotas, found=pods(4, "busy", "nlp"))) == {"idle": 0}


def test_lower_priority_goes_before_younger() -> None:
    low = borrower("low", 4, priority=Priority.LOW, created=NOW - 90 * HOUR)
    young = borrower("young", 4, "guests", created=NOW - HOUR)
    assert targets(stage(low, young, quotas={"nlp": a_quota(4), "guests": a_quota(4)})) == {"low": 0}


def test_the_younger_goes_first_otherwise() -> None:
    old = borrower("old", 4, created=NOW - 90 * HOUR)
    young = borrower("young", 4, "guests", created=NOW - HOUR)
    assert targets(stage(old, young, quotas={"nlp": a_quota(4), "guests": a_quota(4)})) == {"young": 0}


def test_what_nobody_owns_goes_before_every_request() -> None:
    quotas = {"nlp": a_quota(8, implicit=4)}
    found = make_plan(stage(borrower("borrow", 4), quotas=quotas))
    quota = next(a for a in found.actions if isinstance(a, SetQuota))
    assert [(n, t.target) for n, t in quota.timers.items()] == [("Namespace/unattributed/nvidia.com/gpu", 0)]
    told = next(n for n in found.notices if n.reason == "UnattributedRecalled")
    assert (told.kind, str(told.key)) == ("ResourceQuota", "nlp/gpupool")


NOBODY = "Namespace/unattributed/nvidia.com/gpu"


def nobodys(timer: Timer, own: Request = OWN) -> Timer | None:
    """What nobody's notice comes to: of eight pods on an implicit grant some were told to go."""
    quota = a_quota(8, 8, implicit=8, timers={NOBODY: timer})
    snapshot = a_snapshot(POOL, own, quotas={"vision": a_quota(0), "nlp": quota}, pods=pods(8, "", "nlp"))
    plan = make_plan(snapshot)
    written = (a for a in plan.actions if isinstance(a, SetQuota) and a.namespace == "nlp")
    return next((a.timers.get(NOBODY) for a in written), timer)


TOLD = Timer(
    Stage.RECALLING,
    since=NOW - MINUTE,
    deadline=NOW + 4 * MINUTE,
    target=6,
    forced_at=NOW + 14 * MINUTE,
    workload="Namespace/unattributed",
    granted=8,
)


def test_a_young_notice_to_nobody_grows_with_the_need_and_ends_when_it_was_said() -> None:
    assert nobodys(TOLD) == replace(TOLD, since=NOW, deadline=NOW + 5 * MINUTE, target=4)


@pytest.mark.parametrize(
    "told",
    [
        replace(TOLD, deadline=NOW),
        replace(TOLD, forced_at=NOW + 4.9 * MINUTE),
        replace(TOLD, target=4),
        replace(TOLD, forced_at=None),
    ],
    ids=["due", "it would end before a notice is over", "it covers the need", "without an end"],
)
def test_a_notice_to_nobody_stays_as_it_is_where(told: Timer) -> None:
    found = nobodys(told)
    assert found is not None
    assert (found.since, found.deadline, found.target) == (told.since, told.deadline, told.target)


def test_a_share_keeps_its_own_guarantee() -> None:
    pool = a_pool(a_share("vision", 4), a_share("nlp", 4))
    own_and_more = borrower("mixed", 8)
    found = make_plan(a_snapshot(pool, OWN, own_and_more, quotas={"nlp": a_quota(8), "vision": a_quota(0)}))
    timer = status_of(found, "mixed").timer
    assert timer is not None
    assert timer.target == 4


def test_nothing_is_taken_that_would_not_cover_the_need() -> None:
    strangers = pods(6, namespace="stranger")
    found = make_plan(stage(borrower("borrow", 2), quotas={"nlp": a_quota(2)}, found=strangers))
    assert status_of(found, "borrow").timer is None
    assert status_of(found, "own").verdict.reason == "WaitingForCapacity"


def test_a_need_that_can_be_met_in_part_is_met_in_part() -> None:
    strangers = pods(6, namespace="stranger")
    snapshot = stage(borrower("borrow", 2), quotas={"nlp": a_quota(2)}, found=strangers)
    modest = replace(OWN, min_gpus=2)
    assert targets(replace(snapshot, requests=(modest, *snapshot.requests[1:]))) == {"borrow": 0}


def test_a_need_that_cannot_be_met_does_not_hide_one_that_can() -> None:
    pool = a_pool(a_share("vision", 8), a_share("nlp"), a_share("speech", 2))
    large = a_request("large", 8, created=NOW - 9 * HOUR)
    small = a_request("small", 2, "speech")
    snapshot = a_snapshot(
        pool,
        large,
        small,
        borrower("borrow", 4),
        pods=pods(6, namespace="stranger"),
        quotas={"nlp": a_quota(4), "vision": a_quota(0), "speech": a_quota(0)},
        nodes=nodes(1, 10),
    )
    assert targets(snapshot) == {"borrow": 2}


def test_a_request_that_gave_up_being_preemptible_is_recalled_all_the_same() -> None:
    firm = replace(borrower("borrow", 8), preemptible=False)
    assert targets(stage(firm, quotas={"nlp": a_quota(8)})) == {"borrow": 4}


def test_a_borrower_without_a_wall_is_not_asked_on_behalf_of_one_with_a_wall() -> None:
    pool = a_pool(a_share("vision", 8), replace(a_share("nlp"), mode=Mode.OBSERVE))
    snapshot = a_snapshot(pool, OWN, borrower("borrow", 8), quotas={"vision": a_quota(0)})
    assert targets(snapshot) == {}


def test_in_observe_the_recall_is_told_and_nothing_is_written() -> None:
    pool = a_pool(a_share("vision", 8), a_share("nlp"), mode=Mode.OBSERVE)
    found = make_plan(
        a_snapshot(
            pool,
            OWN,
            borrower("borrow", 8),
            pods=pods(8, "borrow", "nlp"),
            nodes=nodes(pool_label=None, taints=()),
        )
    )
    assert status_of(found, "borrow").timer is not None
    assert [str(a) for a in found.actions] == ["policies: enforce=False recommend=0 mutate=False"]


# ------------------------------------------------------------------ pods beyond their allowance


def overdrawn(*, firm: int = 0, implicit: int = 0, allowance: int = 2) -> Snapshot:
    """A borrower that may use 2 and uses 6, beside a sibling's unheld firm grant."""
    running = pods(6, "borrow", "vision")
    requests: tuple[Request, ...] = (a_request("own", 4, "speech"), borrower("borrow", allowance, "vision"))
    if firm:
        requests += (granted("firm", firm, "vision"),)
    hard = allowance + firm + implicit
    return a_snapshot(
        a_pool(a_share("vision", firm), a_share("speech", 4)),
        *requests,
        pods=running,
        quotas={"vision": a_quota(hard, 6, implicit=implicit), "speech": a_quota(0)},
    )


def unattributed(snapshot: Snapshot) -> int | None:
    for action in make_plan(snapshot).actions:
        if isinstance(action, SetQuota) and action.namespace == "vision":
            timer = action.timers.get("Namespace/unattributed/nvidia.com/gpu")
            return None if timer is None else timer.target
    return None


def test_pods_beyond_an_allowance_are_recalled_as_nobodys() -> None:
    assert unattributed(overdrawn()) == 2


def test_pods_on_an_implicit_grant_are_recalled_with_it() -> None:
    assert unattributed(overdrawn(implicit=4)) == 2


def test_a_recalled_request_that_stands_on_an_implicit_grant_is_not_evicted_only_to_come_back() -> None:
    """Its own quota part is lowered already; the implicit grant would let its pods in again."""
    timer = a_timer(Stage.RECALLING, -MINUTE, target=2, forced_at=NOW)
    snapshot = overdrawn(implicit=4)
    quota = a_quota(6, 6, implicit=4, timers={"borrow": timer})
    namespaces = tuple(replace(n, quota=quota) if n.name == "vision" else n for n in snapshot.namespaces)
    found = replace(snapshot, namespaces=namespaces)
    assert not [a for a in make_plan(found).actions if isinstance(a, Evict)]
    assert unattributed(found) == 2


def test_what_was_only_said_before_there_was_a_wall_is_no_notice() -> None:
    said = a_timer(Stage.RECALLING, -HOUR, target=0, forced_at=NOW - HOUR)
    running = pods(8, "borrow", "nlp")
    snapshot = a_snapshot(POOL, OWN, borrower("borrow", 8, timer=said), pods=running)
    found = make_plan(snapshot)
    assert not [a for a in found.actions if isinstance(a, Evict)]
    timer = status_of(found, "borrow").timer
    assert timer is not None
    assert timer.since == NOW


def test_without_any_time_of_notice_there_is_still_a_cycle_between() -> None:
    pool = replace(POOL, recall=replace(POOL.recall, notice=0 * MINUTE))
    quotas = {"vision": a_quota(0), "nlp": a_quota(4, 8), "guests": a_quota(0)}
    snapshot = a_snapshot(pool, OWN, borrower("borrow", 4), pods=pods(8, "borrow", "nlp"), quotas=quotas)
    assert not [a for a in make_plan(snapshot).actions if isinstance(a, Evict)]


def test_pods_on_a_siblings_unheld_allowance_would_free_nothing() -> None:
    assert unattributed(overdrawn(firm=6)) is None


def test_when_the_notice_has_run_out_the_overdrawn_request_s_pods_go() -> None:
    snapshot = overdrawn()
    timer = a_timer(Stage.RECALLING, -MINUTE, target=2, forced_at=NOW + HOUR)
    quota = a_quota(2, 6, timers={"Namespace/unattributed/nvidia.com/gpu": timer})
    namespaces = tuple(replace(n, quota=quota) if n.name == "vision" else n for n in snapshot.namespaces)
    found = make_plan(replace(snapshot, namespaces=namespaces))
    assert [(a.request, a.force) for a in found.actions if isinstance(a, Evict)] == [("borrow", False)] * 2
    assert "4 run on others' allowance" in condition_of(found, "Overdrawn", "borrow").message

"""Lending out what was never requested: warned, proved again, lent; every objection; release."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from gpupool.model.objects import Demand, Key, ObjectRef, Request, Timer
from gpupool.model.plan import Status
from gpupool.model.pool import Mode, Pool
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.model.usage import Peak
from gpupool.planner.planner import make_plan
from gpupool.policy.reclaim import awaits_proof
from gpupool.simulator.engine import remember
from support.builders import (
    DAY,
    GPU,
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
    nodes,
    pods,
    quotas_of,
    sampled,
    status_of,
)

POOL = a_pool(a_share("vision", 16))
RUNNING = pods(4, "train")
KEY = Key("vision", "train")
DUE = a_timer(Stage.WARNED, timedelta(), target=5)
"""A notice that falls due now and promised to leave five."""


def under_used(timer: Timer | None = None, request: Request | None = None, **more: Any) -> Snapshot:
    """Sixteen granted ten days ago, four held and busy, the peak of the lookback four."""
    asked = request or granted("train", 16, timer=timer)
    more.setdefault("pods", RUNNING)
    more.setdefault("usage", sampled(more["pods"], peaks={KEY: 4}))
    used = sum(p.gpus[GPU] for p in more["pods"])
    more.setdefault("quotas", {"vision": a_quota(16, used, timers={} if timer is None else {"train": timer})})
    pool: Pool = more.pop("pool", POOL)
    return a_snapshot(pool, asked, *more.pop("others", ()), nodes=nodes(4), **more)


# ------------------------------------------------------------------ warned


def test_under_use_is_warned_of_before_anything_else() -> None:
    found = make_plan(under_used())
    status = status_of(found, "train")
    assert status.timer is not None
    assert (status.timer.stage, status.timer.deadline) == (Stage.WARNED, NOW + 2 * HOUR)
    assert (status.granted, status.allowance) == (16, 16)
    assert condition_of(found, "UnderUsed", "train").status is Status.TRUE
    assert "11 unheld GPUs are lent out after notice" in condition_of(found, "UnderUsed", "train").message
    assert [n.reason for n in found.notices] == ["UnderUsed"]


def test_the_notice_stands_on_the_quota() -> None:
    found = make_plan(under_used())
    assert quotas_of(found) == {"vision": 16}


@pytest.mark.parametrize(
    ("peak", "held", "size", "keep"),
    [(4, 4, 1, 5), (0, 0, 1, 1), (12, 4, 1, 14), (4, 8, 4, 12), (15, 4, 1, 16)],
    ids=["one pod", "nothing ever", "headroom of the peak", "large pods", "all"],
)
def test_the_peak_and_headroom_of_at_least_one_pod_are_kept(
    peak: int, held: int, size: int, keep: int
) -> None:
    running = pods(held // size, "train", gpus=size)
    found = make_plan(under_used(pods=running, usage=sampled(running, peaks={KEY: peak})))
    timer = status_of(found, "train").timer
    assert (16 if timer is None else timer.target) == keep


# ------------------------------------------------------------------ every objection


def young() -> Snapshot:
    return under_used(request=granted("train", 16, granted_at=NOW - 30 * MINUTE))


def lately_changed() -> Snapshot:
    return under_used(request=granted("train", 16, quiet_since=NOW - 30 * MINUTE))


def wanted() -> Snapshot:
    owner = ObjectRef("apps/v1", "Deployment", "train")
    return under_used(demands=(Demand("vision", owner, {"app": "train"}, GPU, 2, 1),))


def shared() -> Snapshot:
    stray = pods(1, prefix="stray", labels={"app": "x"})
    other = granted("other", 0, of=1)
    return under_used(pods=RUNNING + stray, others=(other,))


def overdrawn_sibling() -> Snapshot:
    other = granted("other", 1)
    return under_used(pods=RUNNING + pods(3, "other"), others=(other,))


def silent() -> Snapshot:
    return under_used(usage=sampled(RUNNING, fresh=False, problem="no answer", peaks={KEY: 4}))


def spoilt_nearby() -> Snapshot:
    other, more = granted("other", 2), pods(2, "other")
    return under_used(pods=RUNNING + more, usage=sampled(RUNNING, peaks={KEY: 4}), others=(other,))


def stale() -> Snapshot:
    return under_used(usage=sampled(RUNNING, age=60.0, peaks={KEY: 4}))


def unrecorded() -> Snapshot:
    return under_used(usage=sampled(RUNNING))


def short() -> Snapshot:
    return under_used(usage=sampled(RUNNING, peaks={KEY: 4}, history=600.0))


def watched_before_and_not_lately() -> Snapshot:
    return under_used(usage=sampled(RUNNING, peaks={KEY: 4}, recent=0.89 * 3600))


def unseen() -> Snapshot:
    return under_used(quotas={"vision": a_quota(16, 5)})


def no_pods_at_all() -> Snapshot:
    return under_used(pods=(), usage=sampled((), peaks={KEY: 0}), quotas={"vision": a_quota(16, 8)})


def as_promised() -> Snapshot:
    request = replace(granted("train", 16), expected_utilization=25)
    return under_used(request=request)


def all_held() -> Snapshot:
    return under_used(usage=sampled(RUNNING, peaks={KEY: 16}))


def nothing() -> Snapshot:
    return under_used(request=a_request("train", 64), quotas={"vision": a_quota(0)}, pods=())


@pytest.mark.parametrize(
    ("snapshot", "reason", "status"),
    [
        (nothing(), "NothingGranted", "False"),
        (young(), "StartingUp", "False"),
        (lately_changed(), "StartingUp", "False"),
        (wanted(), "InDemand", "False"),
        (shared(), "SharedWithOthers", "False"),
        (overdrawn_sibling(), "SharedWithOthers", "False"),
        (silent(), "NoFreshTelemetry", "Unknown"),
        (stale(), "DataStale", "Unknown"),
        (spoilt_nearby(), "DataPartial", "Unknown"),
        (unrecorded(), "ShortHistory", "Unknown"),
        (short(), "ShortHistory", "Unknown"),
        (watched_before_and_not_lately(), "UseUnrecorded", "Unknown"),
        (unseen(), "UsedUnseen", "Unknown"),
        (no_pods_at_all(), "UsedUnseen", "Unknown"),
        (as_promised(), "UsedAsPromised", "False"),
        (all_held(), "AllHeld", "False"),
    ],
)
def test_whoever_objects_is_heard_and_nothing_is_warned(snapshot: Snapshot, reason: str, status: str) -> None:
    found = make_plan(snapshot)
    condition = condition_of(found, "UnderUsed", "train")
    assert (condition.reason, condition.status) == (reason, status)
    assert status_of(found, "train").timer is None


@pytest.mark.parametrize(
    ("grace", "said"), [(90 * MINUTE, "90m"), (3 * DAY, "3d"), (100 * MINUTE / 60, "100s")]
)
def test_a_young_grant_says_how_long_it_is_left_alone(grace: timedelta, said: str) -> None:
    pool = replace(POOL, reclaim=replace(POOL.reclaim, startup_grace=grace, window=MINUTE))
    young_ = under_used(pool=pool, request=granted("train", 16, granted_at=NOW))
    message = condition_of(make_plan(young_), "UnderUsed", "train").message
    assert message == f"The grant is younger than {said}."


def test_low_use_of_held_gpus_is_never_taken() -> None:
    running = pods(16, "train")
    usage = sampled(running, busy=0.31, peaks={KEY: 16})
    snapshot = under_used(pods=running, usage=usage, quotas={"vision": a_quota(16, 16)})
    assert condition_of(make_plan(snapshot), "UnderUsed", "train").reason == "AllHeld"


def test_pending_pods_are_used_and_never_unheld() -> None:
    pending = pods(12, "train", node=None, prefix="pending")
    snapshot = under_used(pods=RUNNING + pending, quotas={"vision": a_quota(16, 16)})
    assert condition_of(make_plan(snapshot), "UnderUsed", "train").reason == "AllHeld"


# ------------------------------------------------------------------ proved again


def test_before_the_deadline_nothing_is_lent() -> None:
    timer = a_timer(Stage.WARNED, MINUTE, target=5)
    status = status_of(make_plan(under_used(timer)), "train")
    assert (status.allowance, status.timer) == (16, replace(timer, workload=""))


def test_at_the_deadline_what_is_proved_again_is_lent_and_stays_the_owners_claim() -> None:
    found = make_plan(under_used(DUE))
    status = status_of(found, "train")
    assert (status.granted, status.allowance, status.phase) == (16, 5, "Granted")
    assert status.timer is not None
    assert (status.timer.stage, status.timer.deadline) == (Stage.LENT, NOW + 7 * DAY)
    assert (status.timer.target, status.timer.granted) == (5, 16)
    assert quotas_of(found) == {"vision": 5}
    assert (status.proved_at, status.quiet_since) == (NOW, NOW)
    assert "11 of them are lent out" in status.verdict.message


def test_no_more_is_lent_than_was_announced() -> None:
    announced = replace(DUE, target=9)
    assert status_of(make_plan(under_used(announced)), "train").allowance == 9


def test_no_more_is_lent_than_is_proved_now() -> None:
    found = make_plan(under_used(DUE, usage=sampled(RUNNING, peaks={KEY: 8})))
    assert status_of(found, "train").allowance == 9


@pytest.mark.parametrize(
    "usage",
    [
        sampled(RUNNING, fresh=False, peaks={KEY: 4}),
        sampled(RUNNING, age=60.0, peaks={KEY: 4}),
        sampled(RUNNING, seen=0.5, peaks={KEY: 4}),
        sampled(RUNNING, conflicting=True, peaks={KEY: 4}),
        sampled((), peaks={KEY: 4}),
    ],
    ids=["silent", "stale", "partial", "conflicting", "missing"],
)
def test_what_cannot_be_proved_at_the_deadline_waits_and_is_not_taken(usage: Any) -> None:
    status = status_of(make_plan(under_used(DUE, usage=usage)), "train")
    assert status.allowance == 16
    assert status.timer is not None
    assert status.timer.deadline == NOW + HOUR


def test_what_quota_counts_is_not_lent_where_no_pod_is_seen() -> None:
    unseen_ = under_used(
        replace(DUE, target=1),
        pods=(),
        usage=sampled((), peaks={KEY: 0}),
        quotas={"vision": a_quota(16, 8, timers={"train": replace(DUE, target=1)})},
    )
    status = status_of(make_plan(unseen_), "train")
    assert status.allowance == 16
    assert status.timer is not None
    assert status.timer.deadline == NOW + HOUR
    message = condition_of(make_plan(unseen_), "UnderUsed", "train").message
    assert message == "Quota counts 8 GPUs in namespace vision beyond those of the pods that are seen."


def test_what_quota_counts_beyond_the_pods_keeps_a_lent_claim_from_ending() -> None:
    timer = replace(LENT, deadline=NOW)
    status = status_of(
        make_plan(lent(timer, quotas={"vision": a_quota(5, 5, timers={"train": timer})})), "train"
    )
    assert (status.granted, status.released) == (16, None)


@pytest.mark.parametrize("asked", [None, NOW - MINUTE / 60], ids=["never told", "a second before"])
def test_an_answer_from_before_the_deadline_is_no_proof_at_the_moment_of_taking(
    asked: datetime | None,
) -> None:
    usage = sampled(RUNNING, peaks={KEY: 4}, asked=asked)
    status = status_of(make_plan(under_used(DUE, usage=usage)), "train")
    assert status.allowance == 16
    assert status.timer is not None
    assert status.timer.deadline == NOW, "it is due still, and taken with the next answer"
    ending = status_of(make_plan(lent(replace(LENT, deadline=NOW), usage=usage)), "train")
    assert (ending.granted, ending.released) == (16, None)


def test_only_takings_for_under_use_that_are_due_wait_for_an_answer() -> None:
    early = replace(under_used(), usage=sampled(RUNNING, asked=NOW - MINUTE))
    due = [a_timer(stage, timedelta()) for stage in (Stage.WARNED, Stage.LENT, Stage.RECALLING)]
    assert [awaits_proof(early, t) for t in due] == [True, True, False]
    later = [a_timer(Stage.WARNED, MINUTE), Timer(Stage.WARNED, NOW)]
    assert [awaits_proof(early, t) for t in later] == [False, False]
    assert not awaits_proof(under_used(), due[0])


def test_demand_withdraws_the_notice() -> None:
    owner = ObjectRef("apps/v1", "Deployment", "train")
    found = make_plan(under_used(DUE, demands=(Demand("vision", owner, {"app": "train"}, GPU, 2, 1),)))
    assert status_of(found, "train").timer is None
    told = next(n for n in found.notices if n.reason == "Withdrawn")
    assert told.message == "The notice is withdrawn: Its controllers want 2 GPUs more."


@pytest.mark.parametrize(
    ("since", "deadline"),
    [
        (NOW - 5 * MINUTE, NOW + HOUR),
        (NOW, NOW + HOUR),
    ],
)
def test_after_downtime_nothing_is_lent_at_once(since: datetime, deadline: datetime) -> None:
    status = status_of(make_plan(under_used(DUE, uninterrupted_since=since)), "train")
    assert status.allowance == 16
    assert status.timer is not None
    assert status.timer.deadline == deadline


def test_what_ran_while_the_operator_was_away_is_not_taken_for_idle() -> None:
    """Warned at 10:00; away from 10:05 to 12:30, when eight pods ran for two hours; 12:40 is now."""
    gone = sampled((), peaks={KEY: 0}, history=3.4 * 3600, recent=900.0)
    away = under_used(replace(DUE, target=1), pods=(), usage=gone, uninterrupted_since=NOW - 10 * MINUTE)
    found = make_plan(away)
    assert status_of(found, "train").allowance == 16
    told = condition_of(found, "UnderUsed", "train")
    assert (told.reason, told.status) == ("UseUnrecorded", "Unknown")
    assert told.message == "Use is recorded for 25 % of the last 1h, and 90 % are needed."
    watched = replace(away, usage=sampled((), peaks={KEY: 0}, recent=0.9 * 3600))
    assert status_of(make_plan(watched), "train").allowance == 1


def test_a_grant_that_grew_after_the_notice_withdraws_it() -> None:
    request = granted("train", 16, granted_at=NOW - 10 * MINUTE, timer=DUE)
    quotas = {"vision": a_quota(16, 4, timers={"train": DUE})}
    found = make_plan(under_used(request=request, quotas=quotas))
    assert status_of(found, "train").timer is None


def test_recreating_a_request_does_not_reset_its_notice() -> None:
    timer = replace(DUE, workload="app=train")
    again = a_request("train", 16)
    quotas = {"vision": a_quota(16, 4, timers={"train": timer})}
    status = status_of(make_plan(under_used(request=again, quotas=quotas)), "train")
    assert (status.granted, status.allowance) == (16, 5)


# ------------------------------------------------------------------ modes


def softened(mode: Mode) -> Pool:
    return replace(POOL, reclaim=replace(POOL.reclaim, mode=mode))


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.RECOMMEND])
def test_outside_enforce_under_use_is_said_and_no_notice_is_given(mode: Mode) -> None:
    found = make_plan(under_used(pool=softened(mode)))
    assert status_of(found, "train").timer is None
    message = condition_of(found, "UnderUsed", "train").message
    assert message.endswith("11 unheld GPUs would be lent out after notice under Enforce.")


def test_leaving_enforce_withdraws_notices() -> None:
    assert status_of(make_plan(under_used(DUE, pool=softened(Mode.RECOMMEND))), "train").timer is None


LENT = a_timer(Stage.LENT, DAY, target=5, granted=16)


def lent(timer: Timer = LENT, **more: Any) -> Snapshot:
    request = more.pop("request", granted("train", 16, allowance=5, timer=timer))
    more.setdefault("quotas", {"vision": a_quota(5, 4, timers={"train": timer})})
    return under_used(request=request, **more)


def test_leaving_enforce_returns_what_is_free() -> None:
    status = status_of(make_plan(lent(pool=softened(Mode.RECOMMEND))), "train")
    assert (status.allowance, status.timer) == (16, None)


def test_leaving_enforce_takes_nothing_from_running_borrowers() -> None:
    pool = replace(softened(Mode.RECOMMEND), shares=(a_share("vision", 16), a_share("nlp")))
    other = granted("borrow", 26, "nlp", preemptible=True, min_gpus=1)
    quotas = {"vision": a_quota(5, 4, timers={"train": LENT}), "nlp": a_quota(26)}
    found = make_plan(lent(pool=pool, others=(other,), quotas=quotas))
    assert status_of(found, "train").allowance == 6
    assert status_of(found, "borrow").timer is None


# ------------------------------------------------------------------ release


def test_while_it_is_lent_the_claim_stands() -> None:
    status = status_of(make_plan(lent()), "train")
    assert (status.granted, status.allowance) == (16, 5)


def test_after_release_after_the_claim_to_the_lent_part_ends() -> None:
    found = make_plan(lent(replace(LENT, deadline=NOW)))
    status = status_of(found, "train")
    assert (status.granted, status.allowance, status.released, status.timer) == (5, 5, 5, None)
    assert [n.reason for n in found.notices if n.warning] == ["Released"]


def test_the_end_of_a_claim_needs_good_data_too() -> None:
    silent_ = sampled(RUNNING, fresh=False, peaks={KEY: 4})
    status = status_of(make_plan(lent(replace(LENT, deadline=NOW), usage=silent_)), "train")
    assert (status.granted, status.released) == (16, None)
    assert status.timer is not None
    assert status.timer.deadline == NOW + HOUR


def test_what_came_back_in_part_is_claimed_longer() -> None:
    owner = ObjectRef("apps/v1", "Deployment", "train")
    wants = (Demand("vision", owner, {"app": "train"}, GPU, 2, 1),)
    status = status_of(make_plan(lent(demands=wants)), "train")
    assert status.timer is not None
    assert (status.allowance, status.timer.target, status.timer.deadline) == (7, 7, NOW + 7 * DAY)
    assert status.quiet_since == NOW


def test_when_all_is_back_the_taking_is_over() -> None:
    owner = ObjectRef("apps/v1", "Deployment", "train")
    found = make_plan(lent(demands=(Demand("vision", owner, {"app": "train"}, GPU, 20, 1),)))
    assert (status_of(found, "train").allowance, status_of(found, "train").timer) == (16, None)
    assert ("Returned", "What was lent is back: 16 of 16 granted GPUs may be used.") in {
        (n.reason, n.message) for n in found.notices
    }


# ------------------------------------------------------------------ GPUs nobody owns


def unowned(timer: Timer | None, **more: Any) -> Snapshot:
    timers = {} if timer is None else {f"Namespace/unattributed/{GPU}": timer}
    stray = pods(1, prefix="stray", labels={"app": "x"})
    more.setdefault("usage", replace(sampled(stray), peaks={Key("vision", ""): Peak(1, 9e9, 9e9)}))
    return a_snapshot(POOL, pods=stray, quotas={"vision": a_quota(6, 1, implicit=6, timers=timers)}, **more)


def test_unheld_gpus_of_nobody_are_given_notice_on_the_quota() -> None:
    found = make_plan(unowned(None))
    assert [n.reason for n in found.notices] == ["UnattributedUnheld"]
    assert quotas_of(found) == {"vision": 6}


def test_unheld_gpus_of_nobody_end_with_the_notice() -> None:
    assert quotas_of(make_plan(unowned(replace(DUE, target=2)))) == {"vision": 2}


def test_an_implicit_grant_is_not_lowered_below_what_overdrawn_siblings_run_on_it() -> None:
    running = pods(4, "train")
    usage = replace(sampled(running), peaks={Key("vision", ""): Peak(0, 9e9, 9e9)})
    timers = {f"Namespace/unattributed/{GPU}": replace(DUE, target=0)}
    snapshot = a_snapshot(
        POOL,
        granted("train", 1),
        pods=running,
        usage=usage,
        quotas={"vision": a_quota(7, 4, implicit=6, timers=timers)},
    )
    assert quotas_of(make_plan(snapshot)) == {"vision": 5}


# ------------------------------------------------------------------ the first status after a grant


def test_the_first_status_after_a_grant_says_what_the_next_one_says() -> None:
    pool = a_pool(a_share("vision", 16))
    asked = a_request("train", 8)
    first = status_of(
        make_plan(a_snapshot(pool, asked, nodes=nodes(2), quotas={"vision": a_quota(0)})), "train"
    )
    told = {c.type: c.reason for c in first.conditions}
    assert (first.granted, told["UnderUsed"]) == (8, "StartingUp")
    again = a_snapshot(
        pool, replace(asked, remembered=remember(first)), nodes=nodes(2), quotas={"vision": a_quota(8)}
    )
    assert status_of(make_plan(again), "train") == first


@pytest.mark.parametrize(("busy", "blamed"), [(0.7999, False), (0.79, True)])
def test_efficiency_is_rounded_in_the_owners_favour(busy: float, *, blamed: bool) -> None:
    running = pods(8, "train")
    usage = sampled(running, busy=busy, peaks={KEY: 4})
    pool = a_pool(a_share("vision", 8), reclaim={"headroom": 0})
    found = make_plan(
        a_snapshot(pool, granted("train", 8), pods=running, usage=usage, quotas={"vision": a_quota(8, 8)})
    )
    reason = condition_of(found, "UnderUsed", "train").reason
    assert reason == ("AllHeld" if blamed else "UsedAsPromised")

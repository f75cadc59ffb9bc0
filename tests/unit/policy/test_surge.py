"""Surge loans: room for a rollout at full grant, out of what nobody is owed, for as long as it goes on."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gpupool.model.annotations import read_loans, write_loans
from gpupool.model.objects import Key, Loan, Namespace, Quota, Request
from gpupool.model.plan import Plan, SetQuota
from gpupool.model.pool import Mode
from gpupool.model.reasons import Reason, Stage
from gpupool.model.rollout import Rollable
from gpupool.model.senses import PODS, Senses
from gpupool.model.snapshot import Snapshot
from gpupool.model.steering import Target
from gpupool.planner.planner import make_plan
from gpupool.policy.surge import lendable
from support.builders import (
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
    grants,
    nodes,
    pods,
    status_of,
)
from support.standings import a_standing, a_workload, deployment

POOL = a_pool(a_share("vision", 4), a_share("nlp"), reserve=2)
CHAT = granted("chat", 4)
WORKLOAD = f"Deployment/chat/{GPU}"
LENT = a_timer(Stage.LENT, HOUR, target=4, granted=6)


def rolling(**more: Any) -> Target:
    """A rollout that came further a minute ago, and has ten minutes for the next step."""
    more = (
        dict[str, Any]()
        | {"replicas": 4, "old": 4, "unavailable": "0", "stepped": NOW - MINUTE, "rolling": True}
        | more
    )
    return a_workload(**more)


def loan(gpus: int = 1, until: timedelta = 9 * MINUTE, **more: Any) -> Loan:
    return Loan(GPU, gpus, more.pop("since", NOW), NOW + until, **more)


def stage(*others: Request, target: Target | None = None, request: Request = CHAT, **more: Any) -> Snapshot:
    """An endpoint at full grant whose rollout waits for a GPU, on eight of which two are kept back."""
    target = rolling() if target is None else target
    loans = more.pop("loans", {})
    used = more.pop("used", 4)
    quotas = {"vision": a_quota(more.pop("hard", 4), used, loans=loans), "nlp": a_quota(0)}
    quotas |= more.pop("quotas", {})
    more.setdefault("endpoints", (a_standing(workload=target),))
    found = pods(used, "chat") + more.pop("beside", ())
    return a_snapshot(more.pop("pool", POOL), request, *others, quotas=quotas, pods=found, **more)


def wall(plan: Plan, namespace: str = "vision") -> SetQuota | None:
    return next((a for a in plan.actions if isinstance(a, SetQuota) and a.namespace == namespace), None)


def lent(snapshot: Snapshot) -> dict[str, Loan]:
    found = wall(make_plan(snapshot))
    return {} if found is None else dict(found.loans)


def test_a_rollout_at_full_grant_is_lent_its_surge_and_nothing_is_granted() -> None:
    found = make_plan(stage())
    written = wall(found)
    assert written is not None
    assert (written.hard, written.raises) == ({GPU: 5}, True)
    assert written.loans == {WORKLOAD: loan()}
    assert grants(found) == {"chat": 4}
    assert status_of(found, "chat").allowance == 4
    assert found.status is not None
    assert found.status.surge == {GPU: 1}


def test_a_loan_that_stands_is_left_as_it_is_and_its_pod_is_no_overdraft() -> None:
    found = make_plan(stage(hard=5, used=5, loans={WORKLOAD: loan()}))
    assert wall(found) is None
    assert all(c.type != "Overdrawn" for c in status_of(found, "chat").conditions)


def test_its_end_moves_with_each_step_of_the_rollout() -> None:
    snapshot = stage(hard=5, used=5, loans={WORKLOAD: loan(until=2 * MINUTE)})
    assert lent(snapshot) == {WORKLOAD: loan()}


NOT_LENT: dict[str, dict[str, Any]] = {
    "no rollout": {"target": a_workload()},
    "it has failed": {"target": rolling(stepped=NOW - 10 * MINUTE)},
    "an hour without a step": {"target": rolling(stepped=NOW - HOUR, patience=24 * HOUR)},
    "all its pods are new": {"target": rolling(old=0)},
    "no surge": {"target": rolling(surge="0")},
    "all old pods go first": {"target": rolling(recreate=True)},
    "no InferenceSLO": {"endpoints": ()},
    "its workload is gone": {"endpoints": (a_standing(workload=None),)},
    "the grant has room": {"target": rolling(replicas=3), "used": 3},
    "another resource": {"target": rolling(counts={"example.com/gpu": 1})},
    "pods are not heard of": {"senses": Senses(unheard=(PODS,))},
    "more is committed than there is": {"nodes": nodes(gpus=4)},
    "the grant affords no pod": {"request": granted("chat", 1), "target": rolling(gpus=2)},
    "a part is lent out": {
        "request": granted("chat", 6, allowance=4),
        "quotas": {"vision": a_quota(4, 4, timers={"chat": LENT})},
    },
}


@pytest.mark.parametrize("why", NOT_LENT)
def test_nothing_is_lent_where(why: str) -> None:
    assert lent(stage(**NOT_LENT[why])) == {}


def test_nothing_is_lent_where_no_wall_stands() -> None:
    pool = replace(POOL, quota_mode=Mode.RECOMMEND)
    assert wall(make_plan(stage(pool=pool))) is None


@pytest.mark.parametrize(("others", "fits"), [(99, True), (100, False)])
def test_a_hundred_loans_fit_on_one_quota(others: int, *, fits: bool) -> None:
    crowd = {f"Deployment/old-{i}/{GPU}": loan(0, over=1) for i in range(others)}
    quota = a_quota(4, 4, status_hard=5, loans=crowd)
    assert (WORKLOAD in lent(stage(quotas={"vision": quota}))) is fits


@pytest.mark.parametrize(
    ("surge", "reserve", "expected"),
    [("1", 2, 1), ("100%", 2, 2), ("1000000", 0, 2), ("25%", 4, 2), ("10%", 4, 1)],
)
def test_a_quarter_at_once_is_lent_the_reserve_first_then_what_is_free(
    surge: str, reserve: int, expected: int
) -> None:
    assert lent(eight(surge, reserve=reserve)) == {WORKLOAD: loan(expected)}


def eight(surge: str, *, reserve: int = 0, gpus: int = 12, **more: Any) -> Snapshot:
    """An endpoint of eight replicas at full grant."""
    pool = a_pool(a_share("vision", 8), a_share("nlp"), reserve=reserve)
    target = rolling(replicas=8, old=8, surge=surge)
    plain: dict[str, Any] = {"hard": 8, "used": 8}
    return stage(
        request=granted("chat", 8), pool=pool, target=target, nodes=nodes(gpus=gpus), **(plain | more)
    )


def test_whole_pods_are_lent() -> None:
    pool = a_pool(a_share("vision", 16), a_share("nlp"))
    target = rolling(replicas=8, old=8, gpus=2, surge="100%")
    snapshot = stage(
        request=granted("chat", 16),
        pool=pool,
        target=target,
        used=0,
        beside=pods(8, "chat", gpus=2),
        nodes=nodes(gpus=19),
        quotas={"vision": a_quota(16, 16)},
    )
    assert lent(snapshot) == {WORKLOAD: loan(2)}


def test_what_is_not_wished_any_more_is_over() -> None:
    snapshot = eight("1", reserve=4, hard=10, used=10, loans={WORKLOAD: loan(2)})
    assert lent(snapshot) == {WORKLOAD: loan(1, over=1)}


def test_where_new_pods_are_smaller_room_is_what_the_old_ones_leave() -> None:
    big = pods(4, "chat", gpus=2)
    pool = a_pool(a_share("vision", 8), a_share("nlp"), reserve=2)
    snapshot = stage(
        request=granted("chat", 8),
        pool=pool,
        used=0,
        beside=big,
        nodes=nodes(gpus=10),
        quotas={"vision": a_quota(8, 8)},
    )
    assert lent(snapshot) == {WORKLOAD: loan(1)}


def test_more_replicas_than_are_granted_make_no_larger_loan() -> None:
    assert lent(stage(target=rolling(replicas=1000, surge="1000"))) == {WORKLOAD: loan(1)}


def test_what_others_of_its_request_use_is_not_its_own() -> None:
    beside = pods(1, "chat", prefix="other", owner=deployment("batch"))
    snapshot = stage(target=rolling(replicas=3, old=3), used=3, beside=beside)
    assert lent(snapshot) == {WORKLOAD: loan(1)}


def test_whoever_is_owed_a_guarantee_comes_first() -> None:
    pool = a_pool(a_share("vision", 4), a_share("nlp", 4))
    assert lent(stage(a_request("train", 4, "nlp"), pool=pool)) == {}
    assert lent(stage(a_request("train", 3, "nlp"), pool=pool)) == {WORKLOAD: loan(1)}


def test_a_loan_ends_where_a_guarantee_is_owed_what_it_holds() -> None:
    pool = a_pool(a_share("vision", 4), a_share("nlp", 4))
    snapshot = stage(a_request("train", 4, "nlp"), pool=pool, hard=5, used=5, loans={WORKLOAD: loan()})
    found = wall(make_plan(snapshot))
    assert found is not None
    assert (found.hard, found.loans) == ({GPU: 4}, {WORKLOAD: loan(0, over=1)})


def test_what_the_reserve_covers_stays_where_a_guarantee_is_owed() -> None:
    pool = a_pool(a_share("vision", 4), a_share("nlp", 4), reserve=1)
    snapshot = stage(a_request("train", 4, "nlp"), pool=pool, hard=5, used=5, loans={WORKLOAD: loan()})
    assert wall(make_plan(snapshot)) is None


def test_loans_end_first_where_capacity_is_lost() -> None:
    snapshot = stage(hard=5, used=5, loans={WORKLOAD: loan()}, nodes=nodes(gpus=4))
    assert lent(snapshot) == {WORKLOAD: loan(0, over=1)}


def test_only_as_many_end_as_are_needed_the_latest_first() -> None:
    pool = a_pool(a_share("vision", 4), a_share("nlp", 3))
    endpoints = (
        a_standing(workload=rolling(replicas=2, old=2)),
        a_standing("code", workload=rolling(name="code", replicas=2, old=2, stepped=NOW - 2 * MINUTE)),
    )
    snapshot = stage(
        granted("code", 2),
        a_request("train", 3, "nlp"),
        request=granted("chat", 2),
        pool=pool,
        hard=6,
        used=3,
        beside=pods(3, "code"),
        loans={WORKLOAD: loan(), f"Deployment/code/{GPU}": loan(until=8 * MINUTE)},
        endpoints=endpoints,
    )
    assert lent(snapshot) == {WORKLOAD: loan(0, over=1), f"Deployment/code/{GPU}": loan(until=8 * MINUTE)}


def test_what_is_over_is_remembered_until_its_pod_is_gone() -> None:
    done = rolling(old=0)
    ended = lent(stage(target=done, hard=5, used=5, loans={WORKLOAD: loan()}))
    assert ended == {WORKLOAD: loan(0, over=1)}
    waiting = make_plan(stage(target=done, hard=4, used=5, loans=ended))
    assert wall(waiting) is None
    assert waiting.status is not None
    assert waiting.status.surge == {GPU: 1}
    back = wall(make_plan(stage(target=done, hard=4, used=4, loans=ended)))
    assert back is not None
    assert back.loans == {}


def test_what_is_over_is_given_to_nobody_before_it_is_back() -> None:
    """Its pod stands on the reserve: a sibling that took its place would stand there too."""
    pool = a_pool(a_share("vision", 8), reserve=2)
    others = (granted("own", 2), a_request("more", 1, "vision"))
    snapshot = stage(
        *others,
        pool=pool,
        target=rolling(old=0),
        hard=6,
        used=5,
        beside=pods(2, "own"),
        loans={WORKLOAD: loan(0, over=1)},
        quotas={"vision": a_quota(6, 7, loans={WORKLOAD: loan(0, over=1)})},
    )
    found = make_plan(snapshot)
    assert grants(found)["more"] == 0
    assert status_of(found, "more").verdict.reason is not Reason.GRANTED


def test_where_pods_stand_beyond_the_wall_nothing_is_lent_that_they_would_take() -> None:
    over = {WORKLOAD: loan(0, over=1)}
    assert wall(make_plan(stage(hard=4, used=5, loans=over))) is None
    assert lent(stage(hard=4, used=4, loans=over)) == {WORKLOAD: loan()}


def test_a_loan_that_found_too_little_grows() -> None:
    snapshot = eight("2", reserve=2, hard=9, used=9, loans={WORKLOAD: loan(1)})
    assert lent(snapshot) == {WORKLOAD: loan(2)}


TEMPLATE = Rollable(template="abc")


def test_a_template_that_had_its_time_is_not_lent_to_again_and_the_next_one_is() -> None:
    stalled = rolling(stepped=NOW - 10 * MINUTE, rollable=TEMPLATE)
    ended = lent(stage(target=stalled, hard=5, used=5, loans={WORKLOAD: loan(until=timedelta())}))
    spent = loan(0, timedelta(), over=1, spent="abc")
    assert ended == {WORKLOAD: spent}
    flaps = rolling(rollable=TEMPLATE)
    back = {WORKLOAD: replace(spent, over=0)}
    assert wall(make_plan(stage(target=flaps, hard=4, used=4, loans=back))) is None
    mended = rolling(rollable=Rollable(template="def"))
    assert lent(stage(target=mended, hard=4, used=4, loans=back)) == {WORKLOAD: loan(spent="abc")}


def test_a_rollout_whose_controller_gave_up_had_its_time() -> None:
    given_up = rolling(rollable=replace(TEMPLATE, failed=True), rolling=False, stepped=None)
    found = lent(stage(target=given_up, hard=5, used=5, loans={WORKLOAD: loan()}))
    assert found == {WORKLOAD: loan(0, over=1, spent="abc")}
    # Of a template that was written a moment ago the status tells nothing yet.
    unseen = replace(given_up, rolling=True)
    assert wall(make_plan(stage(target=unseen, hard=5, used=5, loans={WORKLOAD: loan()}))) is None


def test_who_is_held_is_lent_nothing() -> None:
    held = rolling(rollable=replace(TEMPLATE, paused=True), stepped=None, rolling=False)
    found = lent(stage(target=held, hard=5, used=5, loans={WORKLOAD: loan()}))
    assert found == {WORKLOAD: loan(0, over=1)}


def test_one_rollout_after_the_other_is_lent_to_for_six_hours() -> None:
    long = {WORKLOAD: loan(since=NOW - 6 * HOUR)}
    found = lent(stage(hard=5, used=5, loans=long))
    assert found[WORKLOAD].gpus == 0
    nearly = {WORKLOAD: loan(since=NOW - 6 * HOUR + MINUTE)}
    assert lent(stage(hard=5, used=5, loans=nearly))[WORKLOAD].until == NOW + MINUTE


# ------------------------------------------------------------------ what is over


HUNG = rolling(rollable=replace(TEMPLATE, failed=True), rolling=False, stepped=None)


def over(gpus: int = 1, until: timedelta = 9 * MINUTE) -> dict[str, Loan]:
    return {WORKLOAD: loan(0, until, over=gpus, spent="abc")}


def asked(plan: Plan) -> dict[str, int]:
    """Who is told to return GPUs, and how many."""
    timers = {
        f"{a.namespace}/{name.split('/')[0]}": t
        for a in plan.actions
        if isinstance(a, SetQuota)
        for name, t in a.timers.items()
    }
    return {
        name: (t.granted or 0) - (t.target or 0) for name, t in timers.items() if t.stage is Stage.RECALLING
    }


def test_what_is_overdue_is_recalled_for_the_reserve() -> None:
    late = over(until=-15 * MINUTE)
    early = over(until=-14 * MINUTE)
    assert asked(make_plan(stage(target=HUNG, used=5, loans=late))) == {"vision/Namespace": 1}
    assert asked(make_plan(stage(target=HUNG, used=5, loans=early))) == {}


def test_guaranteed_pods_that_wait_since_nodes_are_lost_have_back_what_rollouts_hold() -> None:
    pool = a_pool(a_share("vision", 2), a_share("nlp", 2), reserve=4)
    snapshot = stage(
        granted("train", 2, "nlp"),
        request=granted("chat", 2),
        pool=pool,
        target=replace(HUNG, replicas=2, old=2),
        used=4,
        beside=pods(2, "train", "nlp", node=None),
        nodes=nodes(gpus=4),
        quotas={"vision": a_quota(2, 4, loans=over(2)), "nlp": a_quota(2, 2)},
    )
    assert asked(make_plan(snapshot)) == {"vision/Namespace": 2}


def test_beside_one_that_is_over_another_ends_where_both_are_owed() -> None:
    endpoints = (
        a_standing(workload=replace(HUNG, replicas=2, old=2)),
        a_standing("code", workload=rolling(name="code", replicas=2, old=2)),
    )
    snapshot = stage(
        granted("code", 2),
        a_request("train", 4, "nlp"),
        request=granted("chat", 2),
        pool=a_pool(a_share("vision", 4), a_share("nlp", 4)),
        used=3,
        beside=pods(3, "code"),
        endpoints=endpoints,
        quotas={"vision": a_quota(5, 6, loans={**over(), f"Deployment/code/{GPU}": loan()})},
    )
    found = lent(snapshot)
    assert found[f"Deployment/code/{GPU}"].over == 1


def test_an_unused_guarantee_shields_no_pod_that_was_lent_to() -> None:
    pool = a_pool(a_share("vision", 8, namespaces=("vision", "vision-2")), a_share("nlp"))
    snapshot = stage(
        a_request("own", 4, "vision-2"),
        pool=pool,
        target=HUNG,
        used=5,
        loans=over(),
        quotas={"vision": a_quota(4, 5, loans=over()), "vision-2": a_quota(0)},
    )
    assert asked(make_plan(snapshot)) == {"vision/Namespace": 1}


def test_what_only_the_reserve_gains_by_is_not_asked_for_a_guarantee() -> None:
    pool = a_pool(a_share("vision", 4), a_share("nlp", 4), a_share("ml"), reserve=1)
    snapshot = stage(
        a_request("train", 1, "nlp"),
        granted("bulk", 4, "ml", preemptible=True),
        pool=pool,
        target=HUNG,
        used=5,
        beside=pods(4, "bulk", "ml"),
        nodes=nodes(gpus=9),
        quotas={"vision": a_quota(4, 5, loans=over()), "ml": a_quota(4, 4)},
    )
    assert asked(make_plan(snapshot)) == {"ml/bulk": 1}


def test_a_namespace_that_leaves_its_share_carries_its_loan_on() -> None:
    gone = Namespace(
        "vision", None, pool_label="lab", quota=a_quota(5, 5, loans={WORKLOAD: loan()}), ours=True
    )
    snapshot = a_snapshot(
        a_pool(a_share("nlp", 4), reserve=1),
        a_request("train", 3, "nlp"),
        quotas={"nlp": a_quota(0)},
        pods=pods(5, "chat"),
        strangers=(gone,),
    )
    assert lent(snapshot) == {WORKLOAD: loan(0, over=1)}


def test_two_resources_of_one_workload_have_a_loan_each() -> None:
    other = "example.com/gpu"
    pool = a_pool(a_share("vision", 4), a_share("nlp"), reserve=2, resources=(other, GPU))
    stands = {f"Deployment/chat/{other}": Loan(other, 0, NOW, NOW, over=1), WORKLOAD: loan()}
    quota = a_quota(5, 5, loans=stands)
    quota = replace(
        quota,
        hard={**quota.hard, other: 0},
        status_hard={**quota.status_hard, other: 1},
        used={**quota.used, other: 0},
    )
    zero = replace(
        a_quota(0), hard={GPU: 0, other: 0}, status_hard={GPU: 0, other: 0}, used={GPU: 0, other: 0}
    )
    found = make_plan(stage(pool=pool, hard=5, used=5, quotas={"vision": quota, "nlp": zero}))
    assert wall(found) is None, "neither is lost by the other"


def test_beside_a_wall_that_keeps_nobody_out_yet_nothing_is_lent_and_what_is_lent_stays() -> None:
    fresh = Quota(
        hard={GPU: 0}, status_hard={}, used={}, resource_version="1", pool="lab", owners=("uid-lab",)
    )
    assert lent(stage(quotas={"nlp": fresh})) == {}
    standing = stage(hard=5, used=5, loans={WORKLOAD: loan()})
    namespaces = tuple(replace(n, quota=fresh) if n.name == "nlp" else n for n in standing.namespaces)
    assert wall(make_plan(replace(standing, namespaces=namespaces))) is None


def test_no_grant_is_rebuilt_out_of_a_loan() -> None:
    lost = a_request("chat", 8, preemptible=True, min_gpus=1)
    snapshot = stage(request=lost, hard=5, used=5, loans={WORKLOAD: loan()}, nodes=nodes(gpus=6))
    assert grants(make_plan(snapshot)) == {"chat": 4}


def test_what_may_be_lent_is_the_reserve_and_what_is_free() -> None:
    assert lendable(stage()) == {GPU: 4}
    assert lendable(stage(hard=5, used=5, loans={WORKLOAD: loan()})) == {GPU: 3}
    assert lendable(stage(nodes=nodes(gpus=4))) == {GPU: 0}


def test_loans_are_read_as_they_were_written_and_what_is_broken_is_not() -> None:
    loans = {WORKLOAD: loan(2), f"Deployment/code/{GPU}": loan(0, over=1)}
    assert read_loans(write_loans(loans)) == loans
    for raw in ('{"a": 1}', '{"a": {"gpus": 1}}', '{"a": {"resource": "x", "gpus": -1, "until": "2030"}}'):
        assert read_loans(raw) == {}


def test_a_request_of_another_namespace_is_not_lent_to() -> None:
    elsewhere = a_standing(namespace="nlp", workload=rolling(namespace="nlp"))
    assert lent(stage(endpoints=(elsewhere,))) == {}


def test_the_condition_of_the_pool_shows_no_excess() -> None:
    found = make_plan(stage(hard=5, used=5, loans={WORKLOAD: loan()}, nodes=nodes(gpus=6)))
    assert found.status is not None
    assert found.status.overcommitted == {GPU: 0}
    assert condition_of(found, "Overcommitted").status == "False"
    assert Key("vision", "chat") in {r.key for r in found.requests}

"""Who gets free GPUs: guarantees first, then by weight to those that may borrow."""

from dataclasses import replace

import pytest

from gpupool.model.objects import Demand, ObjectRef, Priority
from gpupool.model.plan import SetQuota
from gpupool.model.pool import Mode
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
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
    granted,
    grants,
    nodes,
    pods,
    quotas_of,
    status_of,
)

NLP = "nlp"
TWELVE = nodes(2, 6)
OTHERS = pods(2, namespace="stranger")


def test_inside_a_share_the_higher_priority_goes_first() -> None:
    low = a_request("early", 8, created=NOW - 9 * HOUR, priority=Priority.LOW)
    normal = a_request("late", 8)
    assert grants(make_plan(a_snapshot(a_pool(a_share("vision", 8)), low, normal))) == {"early": 0, "late": 8}


def test_with_the_same_priority_the_earlier_ask_goes_first() -> None:
    late, early = a_request("late", 8), a_request("early", 8, created=NOW - 9 * HOUR)
    assert grants(make_plan(a_snapshot(a_pool(a_share("vision", 8)), late, early))) == {"early": 8, "late": 0}


def test_between_shares_the_earlier_ask_within_a_guarantee_goes_first() -> None:
    pool = a_pool(a_share("vision", 8), a_share(NLP, 8))
    late, early = a_request("late", 8), a_request("early", 8, NLP, created=NOW - 9 * HOUR)
    assert grants(make_plan(a_snapshot(pool, late, early))) == {"early": 8, "late": 0}


@pytest.mark.parametrize(("least", "got"), [(12, 0), (8, 8), (1, 8)])
def test_a_request_gets_all_or_nothing_down_to_its_least(least: int, got: int) -> None:
    asked = a_request("train", 12, min_gpus=least)
    assert grants(make_plan(a_snapshot(a_pool(a_share("vision", 16)), asked))) == {"train": got}


def test_a_partial_grant_is_topped_up_whatever_its_least_was() -> None:
    partial = granted("train", 8, of=12, min_gpus=8)
    found = make_plan(
        a_snapshot(a_pool(a_share("vision", 16)), partial, quotas={"vision": a_quota(8)}, nodes=nodes(1, 10))
    )
    assert grants(found) == {"train": 10}


def test_guarantees_come_before_every_borrower() -> None:
    pool = a_pool(a_share("vision", 8), a_share(NLP))
    borrower = a_request("borrow", 8, NLP, preemptible=True, created=NOW - 9 * HOUR, min_gpus=1)
    assert grants(make_plan(a_snapshot(pool, borrower, a_request("own", 6)))) == {"borrow": 2, "own": 6}


def test_what_is_free_is_lent_by_weight() -> None:
    pool = a_pool(a_share("vision", weight=1), a_share(NLP, weight=3))
    asks = [a_request(n, 16, n, preemptible=True, min_gpus=1) for n in ("vision", NLP)]
    assert grants(make_plan(a_snapshot(pool, *asks))) == {"vision": 2, NLP: 6}


def test_a_share_that_has_all_it_asked_leaves_the_rest_to_the_others() -> None:
    pool = a_pool(a_share("vision", weight=9), a_share(NLP))
    asks = [a_request(n, 2, preemptible=True, min_gpus=1) for n in ("one", "two")]
    other = a_request("other", 16, NLP, preemptible=True, min_gpus=1)
    assert grants(make_plan(a_snapshot(pool, *asks, other))) == {"one": 2, "two": 2, "other": 4}


def test_what_is_lent_counts_from_the_guarantee_on() -> None:
    pool = a_pool(a_share("vision", 4), a_share(NLP))
    asks = [a_request(n, 16, n, preemptible=True, min_gpus=1) for n in ("vision", NLP)]
    assert grants(make_plan(a_snapshot(pool, *asks))) == {"vision": 6, NLP: 2}


def test_a_borrower_gets_no_more_than_its_shares_limit() -> None:
    pool = a_pool(a_share("vision", limit=5), a_share(NLP, limit=1))
    asks = [a_request(n, 16, n, preemptible=True, min_gpus=1) for n in ("vision", NLP)]
    assert grants(make_plan(a_snapshot(pool, *asks))) == {"vision": 5, NLP: 1}


def test_a_large_request_at_the_head_of_its_share_is_not_passed_by_a_small_one() -> None:
    large = a_request("large", 12, preemptible=True, created=NOW - 9 * HOUR)
    small = a_request("small", 1, preemptible=True)
    found = make_plan(
        a_snapshot(a_pool(a_share("vision", limit=16)), large, small, nodes=TWELVE, pods=OTHERS)
    )
    assert grants(found) == {"large": 0, "small": 0}
    assert status_of(found, "small").verdict.reason == "BehindOthers"


def test_a_request_that_may_borrow_does_not_hold_up_one_that_may_not() -> None:
    large = a_request("large", 12, preemptible=True, created=NOW - 9 * HOUR)
    own = a_request("own", 4)
    assert grants(make_plan(a_snapshot(a_pool(a_share("vision", 4)), large, own, nodes=nodes(2, 5)))) == {
        "large": 0,
        "own": 4,
    }


def test_of_two_that_may_borrow_the_second_does_not_take_the_guarantee_the_first_needs() -> None:
    large = a_request("large", 12, preemptible=True, created=NOW - 9 * HOUR)
    small = a_request("small", 4, preemptible=True)
    found = make_plan(a_snapshot(a_pool(a_share("vision", 4)), large, small, nodes=TWELVE, pods=OTHERS))
    assert grants(found) == {"large": 0, "small": 0}


def test_an_impossible_increase_does_not_hold_up_its_share() -> None:
    greedy = replace(granted("greedy", 2, of=2), gpus=64, min_gpus=64)
    modest = a_request("modest", 4)
    quotas = {"vision": a_quota(2)}
    assert grants(make_plan(a_snapshot(a_pool(a_share("vision", 8)), greedy, modest, quotas=quotas))) == {
        "greedy": 2,
        "modest": 4,
    }


def test_room_that_a_guarantee_is_owed_is_kept_from_borrowers() -> None:
    pool = a_pool(a_share("vision", 8), a_share(NLP))
    borrows = granted("borrow", 4, NLP, of=16, preemptible=True, min_gpus=1)
    quotas = {NLP: a_quota(4), "vision": a_quota(0)}
    found = make_plan(a_snapshot(pool, borrows, a_request("own", 8), quotas=quotas))
    assert grants(found) == {"borrow": 4, "own": 0}
    assert status_of(found, "own").verdict.reason == "WaitingForRecall"


def test_nothing_is_raised_where_commitments_exceed_capacity() -> None:
    pool = a_pool(a_share("vision", 8), a_share(NLP, 8))
    holder = granted("holder", 16, NLP, preemptible=True)
    quotas = {NLP: a_quota(16), "vision": a_quota(0)}
    found = make_plan(a_snapshot(pool, holder, a_request("own", 4), quotas=quotas, nodes=nodes(1)))
    assert not [a for a in found.actions if isinstance(a, SetQuota) and a.raises]
    assert found.status is not None
    assert found.status.overcommitted == {GPU: 8}


def test_a_lowering_frees_nothing_before_it_is_in_force() -> None:
    pool = a_pool(a_share("vision", 8), a_share(NLP, 8))
    smaller = granted("smaller", 2, NLP)
    late = {NLP: a_quota(2, status_hard=8), "vision": a_quota(0)}
    settled = {NLP: a_quota(2), "vision": a_quota(0)}
    own = a_request("own", 6)
    assert grants(make_plan(a_snapshot(pool, smaller, own, quotas=late)))["own"] == 0
    assert grants(make_plan(a_snapshot(pool, smaller, own, quotas=settled)))["own"] == 6


def test_a_lowering_frees_nothing_while_pods_still_hold_it() -> None:
    pool = a_pool(a_share("vision", 8), a_share(NLP, 8))
    smaller = granted("smaller", 2, NLP)
    running = pods(8, "smaller", NLP)
    quotas = {NLP: a_quota(2, used=8), "vision": a_quota(0)}
    assert (
        grants(make_plan(a_snapshot(pool, smaller, a_request("own", 6), pods=running, quotas=quotas)))["own"]
        == 0
    )


def test_lowerings_are_written_before_raises() -> None:
    pool = a_pool(a_share("vision", 8), a_share(NLP, 8))
    smaller = replace(granted("smaller", 8, NLP), gpus=2, min_gpus=2)
    quotas = {"vision": a_quota(0), NLP: a_quota(8)}
    found = make_plan(a_snapshot(pool, a_request("own", 4), smaller, quotas=quotas, nodes=nodes(2)))
    writes = [(a.namespace, a.raises) for a in found.actions if isinstance(a, SetQuota)]
    assert writes == [(NLP, False), ("vision", True)]


# ------------------------------------------------------------------ what was lent returns


def lent(used: int, *, pool_of: int = 8, demand: int = 0, borrowed: int = 0) -> Snapshot:
    """An owner of 8 with an allowance of 2, its pods, what it wants more, and what another borrows."""
    timer = a_timer(Stage.LENT, 24 * HOUR, target=2, granted=8)
    owner = granted("own", 8, allowance=2, timer=timer)
    other = granted("borrow", borrowed, NLP, of=8, preemptible=True, min_gpus=1)
    wants = Demand("vision", ObjectRef("apps/v1", "Deployment", "own"), {"app": "own"}, GPU, demand, 1)
    return a_snapshot(
        a_pool(a_share("vision", 8), a_share(NLP)),
        owner,
        other,
        pods=pods(used, "own"),
        demands=(wants,) if demand else (),
        quotas={"vision": a_quota(2, used, timers={"own": timer}), NLP: a_quota(borrowed)},
        nodes=nodes(1, pool_of),
    )


def test_refused_demand_brings_back_what_is_wanted_and_a_pod_of_headroom() -> None:
    status = status_of(make_plan(lent(2, demand=3)), "own")
    assert (status.granted, status.allowance) == (8, 6)


def test_where_only_a_full_allowance_is_seen_it_doubles() -> None:
    assert status_of(make_plan(lent(2)), "own").allowance == 4


def test_without_demand_nothing_returns() -> None:
    assert status_of(make_plan(lent(1)), "own").allowance == 2


def test_a_return_that_is_not_free_is_recalled_from_its_borrower() -> None:
    found = make_plan(lent(2, demand=6, borrowed=6))
    timer = status_of(found, "borrow").timer
    assert timer is not None
    assert (timer.stage, timer.target, timer.deadline) == (Stage.RECALLING, 0, NOW + 5 * MINUTE)


def test_a_return_to_a_borrower_recalls_nobody() -> None:
    timer = a_timer(Stage.LENT, 24 * HOUR, target=1, granted=4)
    lender = granted("lender", 4, "guests", allowance=1, timer=timer, preemptible=True)
    other = granted("borrow", 7, NLP, preemptible=True)
    wants = Demand("guests", ObjectRef("apps/v1", "Deployment", "x"), {"app": "lender"}, GPU, 3, 1)
    quotas = {"guests": a_quota(1, timers={"lender": timer}), NLP: a_quota(7)}
    pool = a_pool(a_share("guests"), a_share(NLP))
    found = make_plan(a_snapshot(pool, lender, other, demands=(wants,), quotas=quotas))
    assert status_of(found, "borrow").timer is None


def test_a_preemptible_owner_gets_back_what_is_within_the_guarantee() -> None:
    timer = a_timer(Stage.LENT, 24 * HOUR, target=2, granted=8)
    first = granted("first", 8, allowance=2, timer=timer, preemptible=True)
    second = granted("second", 6, preemptible=True, created=NOW - 5 * HOUR)
    wants = Demand("vision", ObjectRef("apps/v1", "Deployment", "x"), {"app": "first"}, GPU, 8, 1)
    quotas = {"vision": a_quota(8, timers={"first": timer})}
    found = make_plan(
        a_snapshot(a_pool(a_share("vision", 8)), first, second, demands=(wants,), quotas=quotas)
    )
    timer_of_second = status_of(found, "second").timer
    assert timer_of_second is not None
    # Six wanted, two allowed already, one pod of headroom.
    assert (timer_of_second.stage, timer_of_second.target) == (Stage.RECALLING, 0)


def test_what_a_sibling_served_earlier_has_of_the_guarantee_is_not_owed_again() -> None:
    timer = a_timer(Stage.LENT, 24 * HOUR, target=2, granted=8)
    earlier = granted("earlier", 5, preemptible=True, created=NOW - 90 * HOUR)
    owner = granted("own", 8, allowance=2, timer=timer, preemptible=True)
    other = granted("borrow", 3, NLP, preemptible=True)
    wants = Demand("vision", ObjectRef("apps/v1", "Deployment", "x"), {"app": "own"}, GPU, 8, 1)
    quotas = {"vision": a_quota(7, timers={"own": timer}), NLP: a_quota(3)}
    pool = a_pool(a_share("vision", 8), a_share(NLP))
    found = make_plan(
        a_snapshot(pool, earlier, owner, other, demands=(wants,), quotas=quotas, nodes=nodes(1, 10))
    )
    timer_of_other = status_of(found, "borrow").timer
    assert timer_of_other is not None
    assert timer_of_other.target == 2


def test_a_claim_that_lends_is_given_no_more() -> None:
    timer = a_timer(Stage.LENT, 24 * HOUR, target=2, granted=6)
    partial = granted("own", 6, of=8, allowance=2, timer=timer, min_gpus=1)
    found = make_plan(
        a_snapshot(
            a_pool(a_share("vision", 8)), partial, quotas={"vision": a_quota(2, timers={"own": timer})}
        )
    )
    status = status_of(found, "own")
    assert (status.granted, status.allowance, status.position) == (6, 2, 0)
    assert "2 GPUs more are not considered while GPUs of it are lent out" in status.verdict.message


def test_a_granted_request_at_rest_leads_to_no_write() -> None:
    found = make_plan(
        a_snapshot(a_pool(a_share("vision", 8)), granted("own", 8), quotas={"vision": a_quota(8)})
    )
    assert quotas_of(found) == {}


def test_in_observe_the_same_is_decided_and_nothing_is_written() -> None:
    pool = a_pool(a_share("vision", 8), mode=Mode.OBSERVE)
    found = make_plan(a_snapshot(pool, a_request("train", 8)))
    assert grants(found) == {"train": 8}
    assert [str(a) for a in found.actions if "policies" not in str(a)] == [
        "mark node node-1: label none, taint off"
    ]

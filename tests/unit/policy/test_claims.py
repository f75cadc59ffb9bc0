"""What is believed of earlier grants: status, quota, timers, and what runs already."""

from dataclasses import replace

import pytest

from gpupool.model.objects import Remembered
from gpupool.model.plan import SetQuota
from gpupool.model.pool import Mode
from gpupool.model.reasons import Stage
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
    grants,
    nodes,
    pods,
    quotas_of,
    status_of,
)

POOL = a_pool(a_share("vision", 16), a_share("nlp", 8, limit=16))
NODES = nodes(3)


def test_a_forged_status_mints_nothing() -> None:
    forged = granted("train", 16)
    others = granted("big", 16, "nlp", preemptible=True)
    quotas = {"vision": a_quota(8), "nlp": a_quota(16)}
    assert grants(make_plan(a_snapshot(POOL, forged, others, quotas=quotas, nodes=NODES))) == {
        "train": 8,
        "big": 16,
    }


def test_of_two_statuses_beyond_the_quota_the_one_served_first_is_believed() -> None:
    first = granted("first", 8, created=NOW - 30 * HOUR)
    second = granted("second", 8, created=NOW - 20 * HOUR)
    quotas = {"vision": a_quota(12), "nlp": a_quota(12)}
    others = granted("big", 12, "nlp", preemptible=True)
    found = make_plan(a_snapshot(POOL, second, first, others, quotas=quotas, nodes=NODES))
    assert grants(found) == {"first": 8, "second": 4, "big": 12}


def test_a_lost_status_is_rebuilt_from_what_is_held_before_any_new_ask() -> None:
    lost = a_request("train", 8, created=NOW - HOUR)
    eager = a_request("eager", 8, created=NOW - 30 * HOUR)
    running = pods(6, "train")
    quotas = {"vision": a_quota(6), "nlp": a_quota(16)}
    others = granted("big", 16, "nlp", preemptible=True)
    found = make_plan(a_snapshot(POOL, eager, lost, others, pods=running, quotas=quotas, nodes=NODES))
    assert grants(found) == {"train": 6, "eager": 0, "big": 16}


def test_after_a_restore_the_quota_still_says_what_was_granted() -> None:
    quotas = {"vision": a_quota(12)}
    assert grants(make_plan(a_snapshot(POOL, a_request("train", 12), quotas=quotas, nodes=nodes(1)))) == {
        "train": 12
    }


def test_what_is_held_without_a_wall_is_granted_to_the_request_that_attributes_it() -> None:
    pool = a_pool(a_share("vision", 16), mode=Mode.OBSERVE)
    assert grants(make_plan(a_snapshot(pool, a_request("train", 8), pods=pods(8, "train")))) == {"train": 8}


def test_a_request_that_is_not_preemptible_adopts_no_more_than_its_guarantee() -> None:
    pool = a_pool(a_share("vision", 4), mode=Mode.OBSERVE)
    found = make_plan(a_snapshot(pool, a_request("train", 8, min_gpus=1), pods=pods(8, "train")))
    assert grants(found) == {"train": 4}


def test_an_owners_decrease_applies_at_once_and_evicts_nothing() -> None:
    smaller = granted("train", 16, of=16, asked=16)
    smaller = replace(smaller, gpus=4, min_gpus=4)
    found = make_plan(a_snapshot(POOL, smaller, pods=pods(8, "train"), quotas={"vision": a_quota(16, 8)}))
    assert grants(found) == {"train": 4}
    assert quotas_of(found)["vision"] == 4
    assert not [a for a in found.actions if "evict" in str(a)]
    assert condition_of(found, "Overdrawn", "train").message.startswith(
        "8 GPUs are held on an allowance of 4"
    )


def test_an_increase_keeps_what_it_has_and_queues_from_now() -> None:
    larger = replace(granted("train", 4, of=4), gpus=16, min_gpus=16)
    other = granted("big", 20, "nlp", preemptible=True)
    quotas = {"vision": a_quota(4), "nlp": a_quota(20)}
    status = status_of(make_plan(a_snapshot(POOL, larger, other, quotas=quotas, nodes=NODES)), "train")
    assert (status.granted, status.queued_at, status.asked) == (4, NOW, 16)
    assert status.verdict.reason == "IncreaseQueued"


def test_a_place_in_the_queue_is_kept_while_nothing_is_changed() -> None:
    waiting = granted("train", 0, of=16, queued_at=NOW - 5 * HOUR)
    found = make_plan(a_snapshot(POOL, waiting, nodes=nodes(1)))
    assert status_of(found, "train").queued_at == NOW - 5 * HOUR


@pytest.mark.parametrize(("gpus", "granted_now"), [(12, 4), (13, 13), (6, 6)])
def test_what_was_released_is_asked_again_only_by_a_new_number(gpus: int, granted_now: int) -> None:
    released = replace(granted("train", 4, of=12, released=4), gpus=gpus, min_gpus=1)
    found = make_plan(a_snapshot(POOL, released, quotas={"vision": a_quota(4)}, nodes=NODES))
    assert grants(found) == {"train": granted_now}


def test_what_is_left_of_a_released_claim_is_given_back_though_it_is_less_than_was_asked_at_least() -> None:
    released = granted("train", 1, of=12, released=4)
    assert released.min_gpus == 12
    found = make_plan(a_snapshot(POOL, released, quotas={"vision": a_quota(1)}, nodes=NODES))
    assert status_of(found, "train").granted == 4


def test_a_released_claim_says_what_to_do() -> None:
    released = granted("train", 4, of=12, released=4)
    status = status_of(make_plan(a_snapshot(POOL, released, quotas={"vision": a_quota(4)})), "train")
    assert (status.phase, status.verdict.reason, status.released) == ("Partial", "Released", 4)
    assert "A new number in spec.gpus is a new ask." in status.verdict.message


# ------------------------------------------------------------------ GPUs without a request


def test_a_first_quota_covers_what_runs_without_a_request() -> None:
    found = make_plan(
        a_snapshot(POOL, a_request("train", 4), pods=pods(5, labels={"app": "x"}), labels={"vision": "lab"})
    )
    quota = next(a for a in found.actions if isinstance(a, SetQuota) and a.namespace == "vision")
    assert (quota.hard, quota.implicit) == ({GPU: 5}, {GPU: 1})


def test_a_second_resource_gets_its_first_quota_in_an_old_object() -> None:
    mig = "nvidia.com/mig-1g.10gb"
    pool = replace(POOL, resources=(GPU, mig))
    found = make_plan(
        a_snapshot(pool, pods=pods(3, resource=mig), quotas={"vision": a_quota(0), "nlp": a_quota(0)})
    )
    quota = next(a for a in found.actions if isinstance(a, SetQuota) and a.namespace == "vision")
    assert (quota.hard, quota.implicit) == ({GPU: 0, mig: 3}, {mig: 3})


def test_an_implicit_grant_never_grows() -> None:
    quotas = {"vision": a_quota(3, implicit=3)}
    found = make_plan(a_snapshot(POOL, pods=pods(5, labels={"app": "x"}), quotas=quotas))
    assert "vision" not in quotas_of(found)


def test_a_request_that_attributes_unowned_gpus_takes_their_grant_over() -> None:
    quotas = {"vision": a_quota(6, implicit=6)}
    found = make_plan(
        a_snapshot(POOL, a_request("train", 4), pods=pods(6, "train"), quotas=quotas, nodes=nodes(1))
    )
    quota = next(a for a in found.actions if isinstance(a, SetQuota) and a.namespace == "vision")
    assert (grants(found), quota.hard, quota.implicit) == ({"train": 4}, {GPU: 6}, {GPU: 2})


# ------------------------------------------------------------------ timers survive


def test_a_recreated_request_inherits_its_open_deadline() -> None:
    timer = a_timer(Stage.WARNED, HOUR, target=3, workload="app=train")
    quotas = {"vision": a_quota(12, timers={"train": timer})}
    status = status_of(make_plan(a_snapshot(POOL, a_request("train", 12), quotas=quotas)), "train")
    assert status.timer is not None
    assert (status.timer.deadline, status.granted_at) == (timer.deadline, timer.since)


def test_a_request_under_a_new_name_inherits_the_deadline_of_its_workload() -> None:
    timer = a_timer(Stage.WARNED, HOUR, target=3, workload="app=train")
    quotas = {"vision": a_quota(12, timers={"old": timer})}
    renamed = replace(a_request("train", 12), key=replace(a_request("x", 1).key, name="new"))
    status = status_of(make_plan(a_snapshot(POOL, renamed, quotas=quotas)), "new")
    assert status.timer is not None
    assert status.timer.deadline == timer.deadline


def test_a_second_request_for_a_workload_does_not_inherit_from_a_living_one() -> None:
    timer = a_timer(Stage.WARNED, HOUR, target=3, workload="app=train")
    quotas = {"vision": a_quota(12, timers={"train": timer})}
    first = granted("train", 12, timer=timer)
    second = replace(a_request("train", 2), key=replace(first.key, name="second"))
    found = make_plan(a_snapshot(POOL, first, second, quotas=quotas, nodes=NODES))
    assert status_of(found, "second").timer is None


def test_deleting_a_request_does_not_end_its_lending() -> None:
    timer = a_timer(Stage.LENT, 24 * HOUR, target=4, granted=12, workload="app=train")
    quotas = {"vision": a_quota(4, timers={"train": timer})}
    status = status_of(
        make_plan(a_snapshot(POOL, a_request("train", 12, min_gpus=1), quotas=quotas, nodes=NODES)), "train"
    )
    assert (status.granted, status.allowance) == (12, 4)


def test_timers_of_deleted_requests_stay_for_a_window() -> None:
    open_ = a_timer(Stage.WARNED, -HOUR / 2, target=3, workload="app=gone")
    over = a_timer(Stage.WARNED, -2 * HOUR, target=3, workload="app=old")
    recalled = a_timer(Stage.RECALLING, HOUR, target=3, workload="app=lent")
    quotas = {"vision": a_quota(8, timers={"gone": open_, "old": over, "lent": recalled})}
    found = make_plan(a_snapshot(POOL, quotas=quotas))
    quota = next(a for a in found.actions if isinstance(a, SetQuota) and a.namespace == "vision")
    assert list(quota.timers) == ["gone"]


def test_a_timer_in_status_counts_only_where_there_is_no_wall() -> None:
    forged = granted("train", 8, timer=a_timer(Stage.LENT, HOUR, target=1), allowance=1)
    found = make_plan(a_snapshot(POOL, forged, quotas={"vision": a_quota(8)}))
    assert status_of(found, "train").allowance == 8
    assert Remembered().granted is None

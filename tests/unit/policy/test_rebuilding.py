"""Statuses wiped, quotas deleted, requests recreated: what was granted is rebuilt, whoever runs first."""

from dataclasses import replace

import pytest

from gpupool.model.objects import Remembered
from gpupool.model.plan import Evict, SetQuota
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
    granted,
    grants,
    nodes,
    pods,
    quotas_of,
    status_of,
)

POOL = a_pool(a_share("vision", 12), a_share("nlp", 4))
NODES = nodes(2)


def test_who_runs_is_filled_in_before_an_older_request_that_runs_nothing() -> None:
    idle = a_request("idle", 12, created=NOW - 30 * HOUR)
    running = a_request("train", 8, created=NOW - HOUR)
    found = make_plan(
        a_snapshot(
            POOL,
            idle,
            running,
            pods=pods(8, "train"),
            quotas={"vision": a_quota(8, 8), "nlp": a_quota(0)},
            nodes=NODES,
        )
    )
    assert grants(found) == {"idle": 0, "train": 8}
    assert "vision" not in quotas_of(found)


def test_what_is_left_of_the_quota_goes_to_the_older_request() -> None:
    first = a_request("first", 6, created=NOW - 30 * HOUR)
    second = a_request("second", 6, created=NOW - HOUR)
    found = make_plan(
        a_snapshot(
            POOL, first, second, pods=pods(2, "second"), quotas={"vision": a_quota(8, 2)}, nodes=nodes(1)
        )
    )
    assert grants(found) == {"first": 6, "second": 2}


@pytest.mark.parametrize("preemptible", [False, True])
def test_what_runs_behind_our_wall_is_kept_though_the_share_was_made_smaller(*, preemptible: bool) -> None:
    pool = a_pool(a_share("vision", 2, limit=3), a_share("nlp", 4))
    wiped = a_request("train", 8, min_gpus=1, preemptible=preemptible)
    found = make_plan(
        a_snapshot(pool, wiped, pods=pods(6, "train"), quotas={"vision": a_quota(8, 6), "nlp": a_quota(0)})
    )
    assert grants(found) == {"train": 6}
    assert quotas_of(found) == {"vision": 6}


def test_all_statuses_of_a_pool_wiped_at_once_cut_nobody_and_let_no_new_ask_overtake() -> None:
    wiped = a_request("train", 8), a_request("serve", 4, "nlp"), a_request("spare", 4, preemptible=True)
    eager = a_request("eager", 4, "nlp", created=NOW - 30 * HOUR, preemptible=True)
    running = (*pods(8, "train"), *pods(4, "serve", "nlp", node="node-2"), *pods(4, "spare", node="node-2"))
    quotas = {"vision": a_quota(12, 12), "nlp": a_quota(4, 4)}
    found = make_plan(a_snapshot(POOL, *wiped, eager, pods=running, quotas=quotas, nodes=NODES))
    assert grants(found) == {"train": 8, "serve": 4, "spare": 4, "eager": 0}
    assert quotas_of(found) == {}
    assert not [a for a in found.actions if isinstance(a, Evict)]


def test_all_quotas_deleted_at_once_come_back_as_they_were() -> None:
    train, serve = granted("train", 8), granted("serve", 4, "nlp")
    running = (*pods(8, "train"), *pods(4, "serve", "nlp", node="node-2"))
    labels = {"vision": "lab", "nlp": "lab"}
    eager = a_request("eager", 4, "nlp", created=NOW - 30 * HOUR, preemptible=True)
    found = make_plan(a_snapshot(POOL, train, serve, eager, pods=running, labels=labels, nodes=NODES))
    assert grants(found) == {"train": 8, "serve": 4, "eager": 4}
    assert quotas_of(found) == {"vision": 8, "nlp": 4}, "who runs is behind a wall first"
    walls = {"vision": a_quota(8, 8), "nlp": a_quota(4, 4, opening=True)}
    later = make_plan(
        a_snapshot(POOL, train, serve, eager, pods=running, labels=labels, nodes=NODES, quotas=walls)
    )
    assert quotas_of(later) == {"nlp": 8}


def test_a_wall_that_comes_back_covers_what_slipped_in_meanwhile() -> None:
    running = (*pods(8, "train"), *pods(3, labels={"app": "x"}, node="node-2"))
    labels = {"vision": "lab", "nlp": "lab"}
    found = make_plan(a_snapshot(POOL, granted("train", 8), pods=running, labels=labels, nodes=NODES))
    quota = next(a for a in found.actions if isinstance(a, SetQuota) and a.namespace == "vision")
    assert (quota.hard, quota.implicit) == ({GPU: 11}, {GPU: 3})


def test_status_and_quota_gone_what_is_held_comes_first() -> None:
    eager = a_request("eager", 8, created=NOW - 30 * HOUR)
    lost = a_request("train", 8)
    labels = {"vision": "lab", "nlp": "lab"}
    found = make_plan(a_snapshot(POOL, eager, lost, pods=pods(8, "train"), labels=labels, nodes=nodes(1)))
    assert grants(found) == {"eager": 0, "train": 8}


def test_a_recreated_request_has_the_open_deadline_and_nothing_else_of_the_old_one() -> None:
    timer = a_timer(Stage.WARNED, HOUR, target=3, workload="app=train")
    old = granted("train", 12, timer=timer, quiet_since=NOW - HOUR, released=4)
    recreated = replace(old, uid="uid-new", created=NOW, remembered=Remembered())
    quotas = {"vision": a_quota(12, timers={"train": timer})}
    status = status_of(make_plan(a_snapshot(POOL, recreated, quotas=quotas, nodes=NODES)), "train")
    assert status.uid == "uid-new"
    assert status.timer is not None
    assert (status.timer.deadline, status.queued_at) == (timer.deadline, NOW)
    assert (status.quiet_since, status.released, status.proved_at) == (None, None, None)


def test_an_open_deadline_is_inherited_also_after_the_wall_fell_to_what_others_have() -> None:
    timer = a_timer(Stage.WARNED, HOUR, target=3, workload="app=train")
    recreated = a_request("train", 12, created=NOW)
    quotas = {"vision": a_quota(0, 4, timers={"train": timer}), "nlp": a_quota(0)}
    status = status_of(
        make_plan(a_snapshot(POOL, recreated, pods=pods(4, "train"), quotas=quotas, nodes=NODES)), "train"
    )
    assert status.timer is not None
    assert (status.granted, status.timer.deadline, status.granted_at) == (12, timer.deadline, timer.since)


def test_a_recalled_request_that_is_recreated_is_recalled_still() -> None:
    timer = a_timer(Stage.RECALLING, HOUR, target=2, workload="app=spare")
    serve = granted("serve", 0, "nlp", of=4)
    spare = a_request("spare", 6, preemptible=True)
    train = granted("train", 8)
    running = (*pods(8, "train"), *pods(6, "spare", node="node-2"))
    quotas = {"vision": a_quota(14, 14, timers={"spare": timer}), "nlp": a_quota(0)}
    pool = replace(POOL, shares=(a_share("vision", 8), POOL.shares[1]))
    found = make_plan(a_snapshot(pool, train, spare, serve, pods=running, quotas=quotas, nodes=NODES))
    status = status_of(found, "spare")
    assert status.timer == replace(timer, workload="app=spare")
    assert (status.granted, quotas_of(found)["vision"]) == (2, 10)


def test_without_a_wall_what_runs_is_adopted_within_the_shares_numbers() -> None:
    pool = a_pool(a_share("vision", 2, limit=3), mode=Mode.OBSERVE)
    wiped = a_request("train", 8, min_gpus=1, preemptible=True)
    assert grants(make_plan(a_snapshot(pool, wiped, pods=pods(6, "train")))) == {"train": 3}

"""Capacity and commitments: what is there, what is promised, what could still be taken."""

from dataclasses import replace

import pytest

from gpupool.model.objects import Namespace
from gpupool.model.pool import Mode
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import make_plan
from gpupool.policy.ledger import Book, Ledger, build
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
)

VISION = a_share("vision", 8)


def ledger(snapshot: Snapshot) -> Ledger:
    return build(snapshot, territory_of(snapshot), GPU)


@pytest.mark.parametrize(
    ("hard", "status_hard", "used", "held", "committed"),
    [
        (8, 8, 0, 0, 8),
        (4, 8, 0, 0, 8),
        (4, 4, 6, 5, 6),
        (4, 4, 0, 7, 7),
        (0, 0, 0, 0, 0),
    ],
    ids=["written", "lowered, not in force yet", "used", "held after its grace", "nothing"],
)
def test_a_commitment_is_all_that_is_or_could_be_taken(
    hard: int, status_hard: int, used: int, held: int, committed: int
) -> None:
    assert Book("vision", True, hard, status_hard, used, held, 0).commitment == committed


@pytest.mark.parametrize(
    ("used", "status_hard", "ending", "committed"),
    [(8, 8, 8, 8), (5, 8, 3, 11), (5, 8, 2, 10), (0, 8, 8, 16), (0, None, 8, 8)],
    ids=["counted still", "counted no more", "two of three late", "all of it", "nothing is counted yet"],
)
def test_pods_that_outstay_their_grace_are_committed_beside_the_wall(
    used: int, status_hard: int | None, ending: int, committed: int
) -> None:
    wall = a_quota(8, used)
    wall = wall if status_hard is not None else replace(wall, status_hard={})
    running = (*pods(8 - ending, "train"), *pods(ending, "train", prefix="ending", terminating=True))
    found = ledger(a_snapshot(a_pool(VISION), granted("train", 8), pods=running, quotas={"vision": wall}))
    assert found.books["vision"].commitment == committed


def test_nothing_is_raised_into_gpus_that_pods_outstaying_their_grace_hold() -> None:
    """Their controller makes new pods beside them, which take the free ones."""
    pool = a_pool(VISION, a_share("nlp", 8))
    quotas = {"vision": a_quota(8, 2), "nlp": a_quota(0)}
    late = pods(6, "train", prefix="late", terminating=True)
    asks = granted("train", 8), a_request("serve", 4, "nlp")
    full = a_snapshot(pool, *asks, pods=(*pods(2, "train"), *late), quotas=quotas, nodes=nodes(2))
    assert grants(make_plan(full)) == {"train": 8, "serve": 0}
    gone = a_snapshot(pool, *asks, pods=pods(2, "train"), quotas=quotas, nodes=nodes(2))
    assert grants(make_plan(gone)) == {"train": 8, "serve": 4}


def test_without_a_quota_only_what_is_held_is_committed() -> None:
    assert Book("vision", False, 9, 9, 5, 3, 0).commitment == 3


def test_free_gpus_of_a_cordoned_node_are_not_usable_and_held_ones_are() -> None:
    cordoned = nodes(1, schedulable=False)
    found = ledger(a_snapshot(a_pool(VISION), nodes=cordoned, pods=pods(3)))
    assert (found.total, found.usable) == (8, 3)


def test_a_node_that_is_not_ready_counts_like_a_cordoned_one() -> None:
    found = ledger(a_snapshot(a_pool(VISION), nodes=nodes(1, ready=False), pods=pods(3)))
    assert (found.total, found.usable) == (8, 3)


def test_a_cordon_takes_nothing_that_is_granted() -> None:
    asked = granted("train", 8)
    quotas = {"vision": a_quota(8)}
    found = make_plan(a_snapshot(a_pool(VISION), asked, quotas=quotas, nodes=nodes(1, schedulable=False)))
    assert grants(found) == {"train": 8}


def test_declared_capacity_holds_where_no_node_exists_yet() -> None:
    pool = a_pool(a_share("vision", 64), declared={GPU: 64})
    found = make_plan(a_snapshot(pool, a_request("train", 64), nodes=()))
    assert grants(found) == {"train": 64}


def test_free_gpus_of_a_cordoned_node_are_taken_off_declared_capacity_too() -> None:
    pool = a_pool(VISION, declared={GPU: 16})
    assert ledger(a_snapshot(pool, nodes=nodes(1, schedulable=False))).usable == 8


def test_reserve_and_system_use_are_not_usable() -> None:
    running = pods(2, namespace="kube-system")
    system = (Namespace("kube-system", None, system=True),)
    found = ledger(a_snapshot(a_pool(VISION, reserve=1), pods=running, strangers=system))
    assert (found.usable, found.system, found.reserve) == (5, 2, 1)
    assert "kube-system" not in found.books


def test_pods_that_terminate_are_held() -> None:
    found = ledger(a_snapshot(a_pool(VISION), pods=pods(2, terminating=True)))
    assert found.books["vision"].held == 2


def test_a_pending_pod_is_used_and_not_held() -> None:
    quotas = {"vision": a_quota(8, used=1)}
    found = ledger(a_snapshot(a_pool(VISION), pods=pods(3, node=None), quotas=quotas))
    assert (found.books["vision"].used, found.books["vision"].held) == (3, 0)


def test_gpus_held_by_strangers_are_committed() -> None:
    found = make_plan(a_snapshot(a_pool(VISION), a_request("train", 8), pods=pods(2, namespace="stranger")))
    assert grants(found) == {"train": 0}


def test_a_quota_on_its_way_out_still_counts() -> None:
    pool = a_pool(VISION, replace(a_share("nlp"), mode=Mode.OBSERVE))
    found = make_plan(a_snapshot(pool, a_request("train", 8), quotas={"nlp": a_quota(5)}))
    assert grants(found) == {"train": 0}

"""Nodes lost, cordoned, cut anew: nothing is raised, no guarantee falls, borrowers return what waits."""

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.objects import Node
from gpupool.model.plan import Evict, Plan
from gpupool.model.reasons import Stage
from gpupool.planner.planner import make_plan
from support.builders import (
    GPU,
    HOUR,
    MINUTE,
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

POOL = a_pool(a_share("vision", 8), a_share("guests"))
TRAIN = granted("train", 8)
SPARE = granted("spare", 8, "guests", preemptible=True)


def lost(held: int, borrowed: int = 8, *, left: tuple[Node, ...] = (), **more: Any) -> Plan:
    """One of two nodes is left: train runs `held` of its 8 there and waits for the rest, spare `borrowed`."""
    running = (
        *pods(held, "train"),
        *pods(8 - held, "train", node=None, prefix="waiting"),
        *pods(borrowed, "spare", "guests"),
        *pods(8 - borrowed, "spare", "guests", node=None, prefix="pending"),
    )
    guests = a_quota(more.pop("wall", 8), 8, timers=more.pop("timers", {}))
    quotas = {"vision": a_quota(8, 8), "guests": guests}
    requests = more.pop("requests", (TRAIN, SPARE))
    return make_plan(
        a_snapshot(
            more.pop("pool", POOL), *requests, pods=running, quotas=quotas, nodes=left or nodes(1), **more
        )
    )


def test_guaranteed_pods_that_wait_since_a_node_was_lost_bring_borrowers_back() -> None:
    found = lost(0)
    assert grants(found) == {"train": 8, "spare": 8}
    assert quotas_of(found) == {"guests": 8}, "only the timer is written"
    timer = status_of(found, "spare").timer
    assert timer is not None
    assert (timer.stage, timer.target) == (Stage.RECALLING, 0)
    told = condition_of(found, "Overcommitted")
    assert (told.status, told.reason) == ("True", "CommitmentsExceedCapacity")
    assert f"8 {GPU}" in told.message


@pytest.mark.parametrize(("held", "borrowed", "back"), [(5, 3, 3), (7, 1, 1), (0, 4, 8)])
def test_only_what_is_waited_for_comes_back(held: int, borrowed: int, back: int) -> None:
    timer = status_of(lost(held, borrowed), "spare").timer
    assert timer is not None
    assert timer.target == 8 - back


def test_a_recall_for_lost_capacity_evicts_after_its_notice_what_runs_nothing_first() -> None:
    timer = a_timer(Stage.RECALLING, -MINUTE, target=5, forced_at=None)
    found = lost(5, 3, timers={"spare": timer})
    assert quotas_of(found) == {"guests": 5}
    assert not [a for a in found.actions if isinstance(a, Evict)], "the wall falls first"
    found = lost(5, 3, timers={"spare": timer}, wall=5)
    leaving = [a.pod.name for a in found.actions if isinstance(a, Evict)]
    assert len(leaving) == 3
    assert all(name.startswith("pending") for name in leaving)


def test_where_every_guaranteed_pod_runs_nobody_is_recalled() -> None:
    found = lost(8, 0)
    assert status_of(found, "spare").timer is None
    assert quotas_of(found) == {}
    assert condition_of(found, "Overcommitted").status == "True"


def test_new_asks_wait_while_more_is_committed_than_there_is() -> None:
    eager = a_request("eager", 1, "guests", preemptible=True)
    found = lost(8, 0, requests=(TRAIN, SPARE, eager))
    assert grants(found)["eager"] == 0
    assert status_of(found, "eager").verdict.grantable_now == 0


def test_guarantees_that_exceed_what_is_left_are_said_and_none_is_cut() -> None:
    pool = a_pool(a_share("vision", 8), a_share("guests", 8))
    firm = granted("spare", 8, "guests")
    found = lost(8, 0, pool=pool, requests=(TRAIN, firm))
    assert grants(found) == {"train": 8, "spare": 8}
    assert quotas_of(found) == {}
    told = condition_of(found, "Overcommitted")
    assert (told.status, told.reason) == ("True", "GuaranteesShort")
    assert f"Guarantees are short of 8 {GPU}" in told.message


CORDONED = replace(nodes(1, prefix="spare")[0], schedulable=False)
NOT_READY = replace(nodes(1, prefix="spare")[0], ready=False)


@pytest.mark.parametrize("node", [CORDONED, NOT_READY], ids=["cordoned", "not ready"])
def test_a_node_that_may_come_back_recalls_nobody(node: Node) -> None:
    found = lost(0, left=(*nodes(1), node))
    assert status_of(found, "spare").timer is None
    assert quotas_of(found) == {}
    assert grants(found) == {"train": 8, "spare": 8}


def test_the_reserve_is_used_up_before_any_borrower_is_asked() -> None:
    pool = a_pool(a_share("vision", 8), a_share("guests"), reserve=8)
    found = lost(0, pool=pool, left=nodes(2))
    assert status_of(found, "spare").timer is None
    assert condition_of(found, "Overcommitted").status == "True"


def test_gpus_that_vanish_under_running_pods_cut_and_raise_nothing() -> None:
    """A MIG repartition, or a device plugin that starts again."""
    empty = replace(nodes(1)[0], gpus={})
    running = (*pods(8, "train"), *pods(8, "spare", "guests", node="node-2"))
    quotas = {"vision": a_quota(8, 8), "guests": a_quota(8, 8)}
    left = (empty, nodes(2)[1])
    found = make_plan(a_snapshot(POOL, TRAIN, SPARE, pods=running, quotas=quotas, nodes=left))
    assert quotas_of(found) == {}
    assert status_of(found, "spare").timer is None
    assert condition_of(found, "Overcommitted").status == "True"


def test_a_recall_ends_when_the_node_is_back() -> None:
    timer = a_timer(Stage.RECALLING, HOUR, target=0)
    running = (*pods(8, "train"), *pods(8, "spare", "guests", node="node-2"))
    quotas = {"vision": a_quota(8, 8), "guests": a_quota(8, 8, timers={"spare": timer})}
    found = make_plan(a_snapshot(POOL, TRAIN, SPARE, pods=running, quotas=quotas, nodes=nodes(2)))
    status = status_of(found, "spare")
    assert status.timer is None


# ------------------------------------------------------------------ models


def test_two_models_under_one_name_are_told_apart_by_a_condition() -> None:
    mixed = (
        *nodes(1, model="A100"),
        *nodes(1, prefix="new", model="H100"),
        *nodes(1, 0, prefix="cpu", model="T4"),
        *nodes(1, prefix="bare"),
    )
    told = condition_of(make_plan(a_snapshot(POOL, nodes=mixed)), "Heterogeneous")
    assert told.status == "True"
    assert f"{GPU} is A100, H100 in this pool" in told.message


def test_one_model_is_no_condition() -> None:
    status = make_plan(a_snapshot(POOL, nodes=nodes(2, model="A100"))).status
    assert status is not None
    assert "Heterogeneous" not in {c.type for c in status.conditions}

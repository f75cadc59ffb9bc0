"""An endpoint whose budget burns and that replicas would help goes first, inside its own share alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.diagnosis import Evidence, Help
from gpupool.model.objects import Priority, Request
from gpupool.model.plan import Plan, Status
from gpupool.model.standing import Standing
from gpupool.planner.planner import make_plan
from gpupool.policy.slo.diagnosis.replicas import NEEDS
from support.builders import (
    HOUR,
    MINUTE,
    NOW,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    condition_of,
    granted,
    grants,
    nodes,
    pods,
    status_of,
)
from support.standings import a_standing, a_workload, missed

BURNING = missed("KVCacheBound", Help.YES)


def planned(*endpoints: Standing, others: tuple[Request, ...], guaranteed: int = 8, **more: Any) -> Plan:
    """Four replicas run; two more were asked a minute ago, behind what `others` ask."""
    asked = granted("chat", 4, of=6, asked=6, queued_at=NOW - MINUTE, min_gpus=1, preemptible=True)
    chat = more.pop("request", asked)
    pool = a_pool(a_share("vision", guaranteed), a_share("nlp"))
    more.setdefault("quotas", {"vision": a_quota(4, 4), "nlp": a_quota(0)})
    return make_plan(
        a_snapshot(
            pool,
            chat,
            *others,
            nodes=more.pop("nodes", nodes(1, 6)),
            endpoints=endpoints,
            pods=pods(4, "chat"),
            **more,
        )
    )


def waiting(name: str, gpus: int, namespace: str = "vision", **more: Any) -> Request:
    """It asked an hour ago."""
    return a_request(name, gpus, namespace, created=NOW - HOUR, preemptible=True, **more)


def test_it_is_served_before_what_was_asked_earlier_in_its_share() -> None:
    older = waiting("train", 2)
    assert grants(planned(others=(older,))) == {"chat": 4, "train": 2}
    plan = planned(BURNING, others=(older,))
    assert grants(plan) == {"chat": 6, "train": 0}
    assert status_of(plan, "train").position == 1


def test_a_higher_priority_stays_before_it() -> None:
    low = replace(waiting("chat2", 1), priority=Priority.LOW)
    first = waiting("train", 2, priority=Priority.NORMAL)
    plan = planned(
        missed("KVCacheBound", Help.YES, name="chat2", workload=a_workload("chat2")), others=(first, low)
    )
    assert grants(plan)["train"] == 2


def test_nobodys_guarantee_and_no_turn_of_another_share_is_passed() -> None:
    promised = waiting("work", 2, "nlp")
    pool = a_pool(a_share("vision", 8), a_share("nlp", 2))
    chat = granted("chat", 4, of=6, asked=6, queued_at=NOW - MINUTE, min_gpus=1, preemptible=True)
    plan = make_plan(
        a_snapshot(
            pool,
            chat,
            promised,
            nodes=nodes(1, 6),
            endpoints=(BURNING,),
            pods=pods(4, "chat"),
            quotas={"vision": a_quota(4, 4), "nlp": a_quota(0)},
        )
    )
    assert grants(plan) == {"chat": 4, "work": 2}, "the other share asked first"


@pytest.mark.parametrize(
    "endpoint",
    [
        missed("RoutingSkew", Help.NO),
        missed("Throttled", Help.PARTLY),
        missed("KVCacheBound", Help.YES, healthy=Status.TRUE, met=Status.TRUE),
        missed("KVCacheBound", Help.YES, looked=NOW - HOUR),
        missed("KVCacheBound", Help.YES, state="Stale"),
        a_standing(),
    ],
)
def test_without_proof_the_order_of_asking_holds(endpoint: Standing) -> None:
    assert grants(planned(endpoint, others=(waiting("train", 2),)))["train"] == 2


def test_it_is_said_on_the_request_how_many_and_why() -> None:
    plan = planned(BURNING, others=(waiting("train", 2),), nodes=nodes(1, 4))
    condition = condition_of(plan, "WantsMoreGPUs", "chat")
    assert (condition.status, condition.reason) == (Status.TRUE, "KVCacheBound")
    assert "5 replicas" in condition.message
    assert "2 more" in condition.message
    assert "goes first in the queue of share vision" in condition.message


def test_what_steering_misses_is_said_on_the_request_too() -> None:
    lacking = a_standing(lack="3 replicas are needed: 2 more.", objectives=())
    condition = condition_of(planned(lacking, others=()), "WantsMoreGPUs", "chat")
    assert condition.message == "InferenceSLO chat: 3 replicas are needed: 2 more."
    refused = replace(lacking, objectives=a_standing().objectives)
    statuses = status_of(planned(refused, others=(), nodes=nodes(1, 16)), "chat").conditions
    assert "WantsMoreGPUs" not in {c.type for c in statuses}, "what is refused is not wanted"


def test_nothing_is_wanted_where_the_grant_suffices_or_the_replica_is_not_known() -> None:
    by_load = replace(BURNING, limit=replace(BURNING.limit, evidence=(Evidence(NEEDS, 9.0, "> 4"),)))
    condition = condition_of(planned(by_load, others=()), "WantsMoreGPUs", "chat")
    assert "9 replicas are needed, 9 GPUs and 1 for the surge of a rollout; 6 are granted: 4 more." in (
        condition.message
    )
    assert condition.message.endswith("Ask for 10 in spec.gpus.")
    for endpoint in (replace(BURNING, workload=None), a_standing()):
        found = status_of(planned(endpoint, others=()), "chat").conditions
        assert "WantsMoreGPUs" not in {c.type for c in found}
    rich = granted("chat", 6, preemptible=True)
    plan = planned(BURNING, others=(), request=rich, quotas={"vision": a_quota(6, 4), "nlp": a_quota(0)})
    assert "WantsMoreGPUs" not in {c.type for c in status_of(plan, "chat").conditions}

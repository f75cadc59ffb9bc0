"""The gate of InferenceSLOs, as a whole decision: who is refused, who passes, what is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpupool.model.diagnosis import Confidence, Help
from gpupool.model.objects import Demand, ObjectRef
from gpupool.model.plan import Plan, Status
from gpupool.model.pool import SloGate
from gpupool.model.reasons import Phase, Reason
from gpupool.model.recording import read, write
from gpupool.model.snapshot import Snapshot
from gpupool.model.standing import Limit, Standing
from gpupool.planner.planner import make_plan
from gpupool.planner.recheck import recheck
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
    condition_of,
    granted,
    grants,
    nodes,
    pods,
    quotas_of,
    status_of,
)
from support.standings import RICH, a_standing, a_workload, deployment, missed


def scene(*endpoints: Standing, gpus: int = 8, **more: Any) -> Snapshot:
    """Four replicas run on a grant of four, and `gpus` are asked now; 16 are free."""
    request = more.pop("request", None) or granted(
        "chat", 4, of=gpus, asked=4, min_gpus=1, **more.pop("asked", {})
    )
    mode = more.pop("mode", SloGate.ENFORCE)
    guaranteed = more.pop("guaranteed", 16)
    pool = a_pool(a_share("vision", guaranteed), a_share("nlp"), slo_gate=mode)
    more.setdefault("pods", pods(4, "chat"))
    more.setdefault("quotas", {"vision": a_quota(4, 4), "nlp": a_quota(0)})
    others = more.pop("others", ())
    return a_snapshot(pool, request, *others, nodes=nodes(3), endpoints=endpoints, **more)


def planned(*endpoints: Standing, **more: Any) -> Plan:
    """Its plan."""
    return make_plan(scene(*endpoints, **more))


# ------------------------------------------------------------------ refused


def test_more_gpus_for_an_endpoint_with_head_room_are_refused_and_what_it_has_stays() -> None:
    plan = planned(a_standing(advice="Batch more."))
    found = status_of(plan, "chat")
    assert found.phase is Phase.PARTIAL
    assert found.granted == 5, "one more, so that a rollout finds room"
    assert found.verdict.reason is Reason.SLO_MET
    assert condition_of(plan, "Granted", "chat").status is Status.FALSE
    assert found.position == 0
    message, arithmetic = found.verdict.message, found.verdict.arithmetic
    assert message.startswith("5 of 8 GPUs are granted. InferenceSLO chat is met with head-room")
    assert "3 of the 8 GPUs asked are refused, 5 are not" in message
    assert "Instead: Batch more." in message
    assert "spec.admission.slo: Warn" in message
    assert "ttft 99.90 % of 99 % promised, 90 % of the budget left (> 50)" in arithmetic
    assert "4 x 1 + 1 for a rollout = 5 needed, 4 granted, 8 asked" in arithmetic


def test_at_full_grant_with_room_for_a_rollout_nothing_more_is_given() -> None:
    request = granted("chat", 5, of=8, asked=5, min_gpus=1)
    plan = planned(a_standing(), request=request, quotas={"vision": a_quota(5, 4), "nlp": a_quota(0)})
    assert grants(plan) == {"chat": 5}
    assert quotas_of(plan) == {}


def test_a_cause_that_replicas_do_not_cure_refuses_with_its_evidence_and_the_remedy() -> None:
    found = status_of(planned(missed("RoutingSkew", Help.NO)), "chat")
    assert found.verdict.reason is Reason.REPLICAS_DO_NOT_HELP
    assert found.phase is Phase.PARTIAL
    assert (
        "because of RoutingSkew (confidence High), which more replicas do not cure" in found.verdict.message
    )
    assert "Instead: Do something else." in found.verdict.message
    assert "RoutingSkew: requests waiting 12 > 1" in found.verdict.arithmetic


@pytest.mark.parametrize("cause", ["NoTraffic", "BatchTooSmall", "ColdStart"])
def test_what_is_true_of_this_moment_says_nothing_of_what_was_missed(cause: str) -> None:
    assert grants(planned(missed(cause, Help.NO))) == {"chat": 8}


def test_a_part_below_min_gpus_is_not_granted_and_the_number_that_would_be_is_named() -> None:
    request = granted("chat", 4, of=8, asked=4)
    found = status_of(planned(a_standing(), request=request), "chat")
    assert found.granted == 4
    assert "It needs 5 with room for a rollout: ask for these." in found.verdict.message


def test_a_second_request_for_the_same_pods_is_no_way_around() -> None:
    second = a_request("again", 8, selector=None, ref=deployment())
    first = granted("chat", 4, ref=deployment(), selector=None)
    plan = planned(a_standing(), request=first, others=(second,))
    found = status_of(plan, "again")
    assert (found.phase, found.granted, found.verdict.reason) == (Phase.REFUSED, 0, Reason.SLO_MET)
    assert grants(plan) == {"chat": 4, "again": 0}


def test_the_named_request_is_the_one() -> None:
    standing = a_standing(request="chat", workload=a_workload(labels={"app": "other"}))
    assert status_of(planned(standing), "chat").verdict.reason is Reason.SLO_MET
    assert status_of(planned(replace(standing, request="other")), "chat").granted == 8


def test_of_two_on_one_workload_the_older_decides() -> None:
    young = a_standing("young", target=deployment(), created=NOW, workload=a_workload())
    assert status_of(planned(missed("KVCacheBound", Help.YES), young), "chat").granted == 8


def test_what_the_objectives_need_is_granted_whatever_the_budget() -> None:
    found = status_of(planned(a_standing(needed=6)), "chat")
    assert found.granted == 7, "six replicas and one for a rollout"
    assert "6 x 1 + 1 for a rollout = 7 needed" in found.verdict.arithmetic


def test_two_endpoints_of_one_request_need_the_sum() -> None:
    both = {"app": "chat"}
    other = a_standing("draft", workload=a_workload("draft", 2, labels=both))
    running = (*pods(4, "chat"), *pods(2, "draft", labels=both))
    request = granted("chat", 6, of=12, asked=6, min_gpus=1)
    quotas = {"vision": a_quota(6, 6), "nlp": a_quota(0)}
    found = status_of(planned(a_standing(), other, request=request, pods=running, quotas=quotas), "chat")
    sum_ = "4 x 1 + 1 for a rollout + 2 x 1 + 1 for a rollout = 8 needed, 6 granted, 12 asked"
    assert sum_ in found.verdict.arithmetic
    assert found.granted == 8


def test_of_two_endpoints_one_that_would_be_helped_is_enough() -> None:
    both = {"app": "chat"}
    other = missed("KVCacheBound", Help.YES, name="draft", workload=a_workload("draft", 2, labels=both))
    assert grants(planned(a_standing(), other)) == {"chat": 8}


# ------------------------------------------------------------------ passes

PASSES = [
    pytest.param(missed("KVCacheBound", Help.YES), id="one more replica would help"),
    pytest.param(missed("QueueBound", Help.PARTLY), id="several would"),
    pytest.param(missed("Unknown", Help.UNKNOWN, Confidence.LOW), id="missed and nobody knows why"),
    pytest.param(missed("RoutingSkew", Help.NO, Confidence.LOW), id="a cause that rests on one signal"),
    pytest.param(
        a_standing(objectives=(replace(RICH, remaining=40.0),)), id="met, and half of the budget is gone"
    ),
    pytest.param(a_standing(objectives=(replace(RICH, spending=True),)), id="met, and it goes too fast"),
    pytest.param(
        a_standing(limit=Limit("QueueBound", Confidence.HIGH, Help.YES)), id="met, and replicas help just now"
    ),
]


@pytest.mark.parametrize("endpoint", PASSES)
def test_what_is_not_proved_useless_is_granted(endpoint: Standing) -> None:
    plan = planned(endpoint)
    assert grants(plan) == {"chat": 8}
    assert quotas_of(plan) == {"vision": 8}


def test_a_first_request_of_an_endpoint_that_runs_nothing_passes() -> None:
    plan = planned(
        a_standing(ready=0, state="Missing", met=Status.UNKNOWN),
        request=a_request("chat", 8),
        pods=(),
        quotas={"vision": a_quota(0), "nlp": a_quota(0)},
    )
    assert grants(plan) == {"chat": 8}


def test_what_serves_other_workloads_too_is_not_judged() -> None:
    stranger = pods(1, "train", labels={"app": "chat"})
    assert grants(planned(a_standing(), pods=(*pods(4, "chat"), *stranger))) == {"chat": 8}
    refused = Demand("vision", ObjectRef("batch/v1", "Job", "train"), {"app": "chat"}, GPU, 2, 1)
    assert grants(planned(a_standing(), demands=(refused,))) == {"chat": 8}


def test_an_endpoint_of_another_workload_says_nothing() -> None:
    other = a_standing("draft", workload=a_workload("draft", labels={"app": "draft"}))
    request = granted("chat", 4, of=8, asked=4)
    second = a_request("train", 1)
    assert grants(planned(other, request=request, others=(second,)))["chat"] == 8


def test_off_does_not_look_and_warn_says_it_and_grants() -> None:
    assert grants(planned(a_standing(), mode=SloGate.OFF)) == {"chat": 8}
    plan = planned(a_standing(), mode=SloGate.WARN)
    found = status_of(plan, "chat")
    assert (found.phase, found.granted) == (Phase.GRANTED, 8)
    assert (
        "spec.admission.slo is Warn, so nothing is refused. InferenceSLO chat is met" in found.verdict.message
    )
    assert [n.warning for n in plan.notices if n.reason == "SloMet"] == [True]


def test_a_refused_increase_is_told_once() -> None:
    def told(*endpoints: Standing, asked: int, mode: SloGate = SloGate.ENFORCE) -> list[str]:
        request = granted("chat", 5, of=8, asked=asked, min_gpus=1)
        quotas = {"vision": a_quota(5, 4), "nlp": a_quota(0)}
        plan = planned(*endpoints, request=request, quotas=quotas, mode=mode)
        return [n.reason for n in plan.notices if n.kind == "CapacityRequest"]

    assert told(a_standing(), asked=5) == ["SloMet"]
    assert told(a_standing(), asked=8) == []
    assert told(a_standing(state="Missing"), asked=5) == ["Granted"]
    assert told(a_standing(), asked=8, mode=SloGate.WARN) == ["Granted", "SloMet"]


# ------------------------------------------------------------------ not known

UNKNOWN = [
    (a_standing(looked=None), "it was not looked at yet"),
    (a_standing(current=False), "its spec changed"),
    (a_standing(looked=NOW - 11 * MINUTE), "it was judged 11 minutes ago"),
    (
        a_standing(state="Stale", trouble="ttft: the newest sample is old."),
        "dataState is Stale. ttft: the newest",
    ),
    (a_standing(state=""), "dataState is not told."),
    (
        a_standing(met=Status.UNKNOWN, met_because="3 events are fewer than 100."),
        "3 events are fewer than 100.",
    ),
    (a_standing(met=Status.UNKNOWN), "there is no verdict yet."),
    (a_standing(objectives=(replace(RICH, coverage=0.1),)), "measured for 2419 s, and 3600 are enough."),
]


@pytest.mark.parametrize(("endpoint", "words"), UNKNOWN)
def test_unknown_data_passes_within_the_guarantee_and_holds_above_it(endpoint: Standing, words: str) -> None:
    borrowing = {"preemptible": True}
    found = status_of(planned(endpoint, guaranteed=6, asked=borrowing), "chat")
    assert found.granted == 6
    assert found.phase is Phase.PARTIAL
    held = {"asked": borrowing, "guaranteed": 4}
    plan = planned(endpoint, **held)
    found = status_of(plan, "chat")
    assert found.granted == 4
    assert found.verdict.message.startswith(
        "4 of 8 GPUs are granted. How the users of InferenceSLO chat fare"
    )
    assert words in found.verdict.message
    assert (found.position, found.verdict.reason, found.phase) == (1, Reason.SLO_UNKNOWN, Phase.PARTIAL)
    assert grants(planned(endpoint, mode=SloGate.WARN, **held)) == {"chat": 8}
    assert grants(planned(missed("KVCacheBound", Help.YES), **held)) == {"chat": 8}


def test_the_reason_of_an_increase_held_back_is_the_missing_data() -> None:
    request = a_request("chat", 8, preemptible=True)
    second = replace(request, created=NOW - 2 * HOUR)
    found = status_of(
        planned(
            a_standing(state="Missing", trouble="No target."),
            request=second,
            guaranteed=0,
            quotas={"vision": a_quota(0), "nlp": a_quota(0)},
        ),
        "chat",
    )
    assert (found.phase, found.verdict.reason) == (Phase.QUEUED, Reason.SLO_UNKNOWN)
    assert found.verdict.grantable_now == 0


def test_who_is_held_back_holds_up_nobody_who_borrows() -> None:
    behind = a_request("batch", 2, preemptible=True)
    plan = planned(a_standing(state="Missing"), guaranteed=4, asked={"preemptible": True}, others=(behind,))
    assert grants(plan) == {"chat": 4, "batch": 2}


def test_not_preemptible_the_guarantee_is_given_as_ever() -> None:
    assert grants(planned(a_standing(state="Missing"), guaranteed=8)) == {"chat": 8}


# ------------------------------------------------------------------ the rest of the machine


def test_a_verdict_that_turned_between_plan_and_apply_refuses_the_raise() -> None:
    first = scene(missed("KVCacheBound", Help.YES))
    plan = make_plan(first)
    assert quotas_of(plan) == {"vision": 8}
    kept, refused = recheck(plan, replace(first, endpoints=(a_standing(),)))
    assert quotas_of(kept) == {}
    assert len(refused) == 1


def test_a_recording_keeps_the_endpoints_and_decides_alike() -> None:
    found = scene(missed("RoutingSkew", Help.NO), a_standing("idle", workload=None))
    again = read(write(found))
    assert again == found
    assert make_plan(again) == make_plan(found)


def test_above_the_guarantee_says_so_first() -> None:
    request = granted("chat", 4, of=8, asked=4)
    found = status_of(planned(a_standing(), guaranteed=4, request=request), "chat")
    assert found.verdict.reason is Reason.ABOVE_GUARANTEE


def test_the_part_that_is_let_through_waits_like_any_other_and_the_rest_is_refused() -> None:
    full = pods(20, "train", "nlp", prefix="t")
    hungry = granted("train", 20, "nlp", preemptible=True)
    plan = planned(
        a_standing(),
        pods=(*pods(4, "chat"), *full),
        others=(hungry,),
        quotas={"vision": a_quota(4, 4), "nlp": a_quota(20, 20)},
    )
    found = status_of(plan, "chat")
    assert found.granted == 4
    assert found.verdict.reason is Reason.INCREASE_QUEUED
    assert "3 of the 8 GPUs asked are refused, 5 are not" in found.verdict.message


def test_a_workload_that_nobody_scales_is_found_by_its_reference_or_its_pods() -> None:
    target = ObjectRef("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "chat")
    standing = a_standing(target=target, workload=None)
    referring = granted("chat", 4, of=8, asked=4, ref=target, selector=None)
    assert (
        "4 used = 4 needed"
        in status_of(
            planned(standing, request=referring, pods=pods(4, "chat", owner=target)), "chat"
        ).verdict.arithmetic
    )
    idle = planned(standing, request=referring, pods=())
    assert status_of(idle, "chat").verdict.reason is Reason.SLO_MET


def test_a_named_request_of_another_resource_or_none_at_all_is_nobodys() -> None:
    assert grants(planned(a_standing(request="gone"))) == {"chat": 8}
    other = a_standing(workload=a_workload(counts={"example.com/npu": 1}))
    assert grants(planned(other)) == {"chat": 8}
    absent = a_standing(workload=None)
    assert grants(planned(absent, pods=())) == {"chat": 8}


def test_what_is_needed_covers_a_small_increase() -> None:
    assert grants(planned(a_standing(), gpus=5)) == {"chat": 5}
    alone = pods(1, namespace="nlp")
    assert grants(planned(a_standing(), gpus=5, pods=(*pods(4, "chat"), *alone)))["chat"] == 5

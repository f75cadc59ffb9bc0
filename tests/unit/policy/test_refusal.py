"""A refusal names the number, the rule and the ways out."""

from dataclasses import replace

import pytest

from gpupool.model.objects import Request
from gpupool.planner.planner import make_plan
from support.builders import (
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    granted,
    pods,
    status_of,
)

POOL = a_pool(a_share("vision", 4, limit=6), reserve=1)


@pytest.mark.parametrize(
    ("request_", "reason", "said", "arithmetic"),
    [
        (
            a_request("train", 6),
            "AboveGuarantee",
            "Either set spec.preemptible: true to borrow above the guarantee, or ask for at most 4.",
            "guaranteed 4 < 6 asked",
        ),
        (
            a_request("train", 7, preemptible=True),
            "AboveLimit",
            "ask for at most 6, or have the limit raised.",
            "limit 6 < 7 asked",
        ),
        (
            a_request("train", 9, preemptible=True),
            "AboveCapacity",
            "ask for at most 7.",
            "8 total - 1 reserve - 0 system = 7 < 9 asked",
        ),
    ],
    ids=["guarantee", "limit", "capacity"],
)
def test_what_can_never_be_granted_is_refused_with_the_way_out(
    request_: Request, reason: str, said: str, arithmetic: str
) -> None:
    status = status_of(make_plan(a_snapshot(POOL, request_)), "train")
    assert (status.phase, status.verdict.reason, status.position) == ("Refused", reason, 0)
    assert said in status.verdict.message
    assert status.verdict.arithmetic == arithmetic


def test_a_refusal_says_what_would_be_granted_now() -> None:
    verdict = status_of(make_plan(a_snapshot(POOL, a_request("train", 6))), "train").verdict
    assert verdict.grantable_now == 4
    assert verdict.message.endswith("A request for at most 4 GPUs would be granted now.")


def test_a_refused_request_behind_another_would_get_nothing_now() -> None:
    first = a_request("first", 4, created=POOL.created)
    others = pods(6, namespace="stranger")
    verdict = status_of(
        make_plan(a_snapshot(POOL, first, a_request("train", 6), pods=others)), "train"
    ).verdict
    assert verdict.grantable_now == 0


def test_a_least_that_fits_is_not_refused() -> None:
    status = status_of(make_plan(a_snapshot(POOL, a_request("train", 64, min_gpus=4))), "train")
    assert (status.phase, status.granted) == ("Partial", 4)


def test_an_increase_that_can_never_be_granted_keeps_what_it_has_and_says_why() -> None:
    raised = replace(granted("train", 4, of=4), gpus=9, min_gpus=9)
    status = status_of(make_plan(a_snapshot(POOL, raised, quotas={"vision": a_quota(4)})), "train")
    assert (status.phase, status.granted, status.verdict.reason) == ("Partial", 4, "AboveCapacity")
    assert status.verdict.message.startswith("4 of 9 GPUs are granted. ")


def test_a_pool_without_gpus_refuses_nobody_for_its_size() -> None:
    status = status_of(make_plan(a_snapshot(POOL, a_request("train", 4), nodes=())), "train")
    assert (status.phase, status.verdict.reason) == ("Queued", "NoCapacity")

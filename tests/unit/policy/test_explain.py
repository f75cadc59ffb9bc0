"""Every "no" explains itself: sentence, arithmetic, blockers as far as they may be seen."""

from dataclasses import replace

import pytest

from gpupool.model.objects import Request
from gpupool.model.plan import Blocker, Plan
from gpupool.model.pool import Visibility
from gpupool.model.reasons import Stage
from gpupool.planner.planner import make_plan
from support.builders import (
    HOUR,
    NOW,
    a_pool,
    a_quota,
    a_request,
    a_share,
    a_snapshot,
    a_timer,
    granted,
    nodes,
    pods,
    status_of,
)


def crowded(visibility: Visibility) -> Plan:
    """Eight GPUs: nlp has five in two requests, vision two, one is nobody's; one more is asked."""
    pool = a_pool(a_share("vision", 3), a_share("nlp", 5), visibility=visibility)
    return make_plan(
        a_snapshot(
            pool,
            granted("serve", 4, "nlp"),
            granted("tune", 1, "nlp"),
            granted("train", 2),
            a_request("more", 1),
            pods=pods(1, labels={"app": "x"}, namespace="nlp"),
            quotas={"vision": a_quota(2), "nlp": a_quota(6, implicit=1)},
        )
    )


@pytest.mark.parametrize(
    ("visibility", "blockers"),
    [
        (
            Visibility.NAMES,
            (
                Blocker(4, "nlp", "nlp", "serve", "within its guarantee"),
                Blocker(2, "vision", "vision", "train", "within its guarantee"),
                Blocker(1, "nlp", "nlp", None, "held without a request"),
                Blocker(1, "nlp", "nlp", "tune", "within its guarantee"),
            ),
        ),
        (
            Visibility.TEAMS,
            (Blocker(6, "nlp"), Blocker(2, "vision", "vision", "train", "within its guarantee")),
        ),
        (Visibility.AGGREGATE, (Blocker(8, why="all holders of the pool"),)),
    ],
)
def test_blockers_are_shown_as_far_as_the_pool_allows(
    visibility: Visibility, blockers: tuple[Blocker, ...]
) -> None:
    assert status_of(crowded(visibility), "more").verdict.blockers == blockers


def test_no_more_than_ten_are_named() -> None:
    many = tuple(granted(f"run-{i:02}", 1, preemptible=True) for i in range(12))
    pool = a_pool(a_share("vision"), visibility=Visibility.NAMES)
    snapshot = a_snapshot(
        pool,
        *many,
        a_request("more", 1, preemptible=True),
        quotas={"vision": a_quota(12)},
        nodes=nodes(1, 12),
    )
    assert len(status_of(make_plan(snapshot), "more").verdict.blockers) == 10


def test_an_empty_pool_blocks_with_nobody() -> None:
    pool = a_pool(a_share("vision", 9), visibility=Visibility.AGGREGATE)
    found = make_plan(a_snapshot(pool, a_request("big", 9, min_gpus=8), nodes=nodes(1, schedulable=False)))
    assert status_of(found, "big").verdict.blockers == ()


def test_the_arithmetic_of_the_pool_adds_up() -> None:
    verdict = status_of(crowded(Visibility.TEAMS), "more").verdict
    assert verdict.arithmetic == "8 usable - 8 committed - 1 owed to guarantees = -1 free"


WAITING = a_request("waits", 6, preemptible=True, created=NOW - 2 * HOUR)


@pytest.mark.parametrize(
    ("requests", "name", "reason", "said"),
    [
        (
            (WAITING,),
            "waits",
            "WaitingForCapacity",
            "A request for at most 2 GPUs would be granted now.",
        ),
        (
            (WAITING, a_request("later", 1, preemptible=True)),
            "later",
            "BehindOthers",
            "Others of share vision are served first; position 2 in the queue of share vision.",
        ),
        (
            (granted("first", 4), a_request("later", 3)),
            "later",
            "WaitingForGuarantee",
            "With spec.preemptible: true, 2 GPUs could be borrowed now.",
        ),
    ],
    ids=["capacity", "behind", "own share"],
)
def test_the_nearest_obstacle_is_named(
    requests: tuple[Request, ...], name: str, reason: str, said: str
) -> None:
    own = sum(r.remembered.granted or 0 for r in requests)
    quotas = {"vision": a_quota(own), "nlp": a_quota(6 - own)}
    snapshot = a_snapshot(
        a_pool(a_share("vision", 4), a_share("nlp", 6)),
        granted("other", 6 - own, "nlp"),
        *requests,
        quotas=quotas,
    )
    verdict = status_of(make_plan(snapshot), name).verdict
    assert verdict.reason == reason
    assert said in verdict.message


def test_a_guarantee_taken_by_its_own_share_shows_what_is_left_of_it() -> None:
    pool = a_pool(a_share("vision", 4), a_share("nlp", 4))
    snapshot = a_snapshot(
        pool, granted("first", 3), a_request("later", 2), quotas={"vision": a_quota(3), "nlp": a_quota(0)}
    )
    verdict = status_of(make_plan(snapshot), "later").verdict
    assert verdict.arithmetic == "4 guaranteed - 3 granted = 1 left, 2 asked"
    assert verdict.grantable_now == 1
    assert [b.request for b in verdict.blockers] == ["first"]


def test_a_part_says_how_much_of_how_much() -> None:
    pool = a_pool(a_share("vision", 16))
    status = status_of(make_plan(a_snapshot(pool, a_request("train", 12, min_gpus=2))), "train")
    assert (status.phase, status.verdict.reason) == ("Partial", "GrantedInPart")
    assert status.verdict.message.startswith("8 of 12 GPUs are granted. 4 GPUs asked, 0 free in pool lab;")


def test_a_request_whose_recall_ends_is_offered_nothing_in_the_same_breath() -> None:
    ending = a_timer(Stage.RECALLING, HOUR, target=2, granted=4)
    asks = replace(granted("spare", 4, "nlp", preemptible=True), gpus=16, min_gpus=16)
    walls = {"vision": a_quota(0), "nlp": a_quota(4, 4, timers={"spare": ending})}
    pool = a_pool(a_share("vision", 8), a_share("nlp"))
    found = make_plan(a_snapshot(pool, asks, pods=pods(4, "spare", "nlp"), quotas=walls, nodes=nodes(2)))
    status = status_of(found, "spare")
    assert status.timer is None, "nobody needs it any more"
    assert status.verdict.grantable_now == 0

"""Rolling updates: Kubernetes' rounding, what fits beside the surge, and when nothing could begin."""

from dataclasses import replace

import pytest

from gpupool.model.objects import Key, ObjectRef
from gpupool.model.steering import Target
from gpupool.policy.slo.rollout import Deadlock, affordable, deadlock, surge, unavailable
from support.builders import GPU

CHAT = Target(Key("chat-prod", "chat"), ObjectRef("apps/v1", "Deployment", "chat"), 3, 3, {GPU: 1})


def strategy(most: str, missing: str, *, recreate: bool = False) -> Target:
    return replace(CHAT, surge=most, unavailable=missing, recreate=recreate)


@pytest.mark.parametrize(
    ("most", "missing", "replicas", "found"),
    [
        ("1", "0", 3, (1, 0)),
        ("25%", "25%", 3, (1, 0)),
        ("25%", "25%", 4, (1, 1)),
        ("25%", "25%", 1, (1, 0)),
        ("0", "1", 3, (0, 1)),
        ("0", "25%", 3, (0, 1)),
        ("100%", "0", 3, (3, 0)),
        ("0%", "0%", 3, (0, 1)),
    ],
)
def test_surge_is_rounded_up_and_unavailable_down_and_one_of_them_is_at_least_one(
    most: str, missing: str, replicas: int, found: tuple[int, int]
) -> None:
    target = strategy(most, missing)
    assert (surge(target, replicas), unavailable(target, replicas)) == found


def test_recreate_needs_nothing_beside() -> None:
    target = strategy("1", "0", recreate=True)
    assert (surge(target, 3), unavailable(target, 3)) == (0, 3)


@pytest.mark.parametrize(
    ("most", "pods", "replicas"),
    [("1", 4, 3), ("25%", 5, 4), ("25%", 10, 8), ("100%", 4, 2), ("0", 4, 4), ("1", 1, 1), ("1", 0, 0)],
)
def test_what_fits_with_its_surge(most: str, pods: int, replicas: int) -> None:
    assert affordable(strategy(most, "0"), pods) == replicas


@pytest.mark.parametrize(
    ("target", "room", "found"),
    [
        (strategy("1", "0"), 0, Deadlock(1, 0)),
        (strategy("1", "0"), -2, Deadlock(1, 0)),
        (strategy("1", "0"), 1, None),
        (strategy("1", "0"), None, None),
        (strategy("1", "1"), 0, None),
        (strategy("1", "0", recreate=True), 0, None),
        (replace(CHAT, replicas=0, surge="1", unavailable="0"), 0, None),
        (replace(CHAT, existing=4, surge="1", unavailable="0"), 0, None),
    ],
)
def test_a_rollout_waits_for_ever_where_none_may_go_and_none_fits(
    target: Target, room: int | None, found: Deadlock | None
) -> None:
    assert deadlock(target, 1, room) == found


def test_a_pod_of_two_gpus_needs_both() -> None:
    assert deadlock(strategy("1", "0"), 2, 1) == Deadlock(2, 1)

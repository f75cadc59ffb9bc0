"""Surge loans with the real Deployment controller and quota: a rollout at full grant goes through."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from integration.steering.harbour import Harbour
from localplane.cluster import Cluster
from support.observer import Observer
from support.plane import eventually

Json = dict[str, Any]
STUCK, LENT = "RolloutWouldDeadlock", "SurgeLoan"
LOANS = "gpupool.dev/surge-loans"


@pytest.fixture
def harbour(harbour: Harbour) -> Harbour:
    """An endpoint in a pool of eight GPUs, of which others were granted what it does not ask for."""
    harbour.pooled = True
    return harbour


@contextmanager
def watched(plane: Cluster) -> Iterator[Observer]:
    """Nothing is oversold meanwhile, at any state that there was."""
    observer = Observer(plane.kubeconfig)
    observer.begin()
    try:
        yield observer
    finally:
        observer.end()
    observer.judge()


def full(harbour: Harbour, replicas: int, reserve: int) -> str:
    """An endpoint at full grant, in a pool where nothing is free but the reserve; whose the rest is."""
    story, others = harbour.story, harbour.story.team("others")
    rest = 8 - replicas - reserve
    story.pool(shares=[story.share(harbour.namespace, replicas), story.share(others, rest)], reserve=reserve)
    story.until_enforced()
    story.ask(harbour.namespace, "chat", replicas)
    story.ask(others, "train", rest)
    for name, team in (("chat", harbour.namespace), ("train", others)):
        story.until_phase(team, name, "Granted")
    harbour.deploy(replicas)
    harbour.promise(hpa="Advise")
    harbour.until(lambda: harbour.decision().get("ceiling") == replicas, "it is at full grant")
    return others


def quota(harbour: Harbour) -> Json:
    """Our quota of the endpoint's namespace."""
    return harbour.kube.get(f"/api/v1/namespaces/{harbour.namespace}/resourcequotas/gpupool")


def returned(harbour: Harbour, replicas: int) -> None:
    """The loan is back, and nothing tells of it any more."""

    def back() -> bool:
        notes = quota(harbour)["metadata"]["annotations"]
        return harbour.story.hard(harbour.namespace) == replicas and LOANS not in notes

    eventually(back, lambda: f"the loan is back: {quota(harbour)}", 60.0)
    harbour.until(lambda: not harbour.condition(LENT), "no loan is told of any more")
    harbour.until(lambda: "surgeLent" not in harbour.story.pool_status()["capacity"], "nor in the pool")


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_a_rollout_at_full_grant_is_lent_its_surge_out_of_the_reserve(
    harbour: Harbour, plane: Cluster, replicas: int
) -> None:
    full(harbour, replicas, reserve=1)
    assert not harbour.condition(STUCK), "the reserve lends what it needs"
    old = harbour.pods()
    with watched(plane) as observer:
        harbour.deploy(replicas, prompt=900)
        returned(harbour, replicas)
    assert not set(old.values()) & set(harbour.pods().values()), "every pod is new"
    assert max(observer.hards(harbour.namespace)) == replicas + 1
    assert harbour.story.status(harbour.namespace, "chat")["granted"] == replicas


def test_without_a_gpu_to_lend_it_is_said_before_and_with_one_no_more(harbour: Harbour) -> None:
    others = full(harbour, 2, reserve=0)
    harbour.until(lambda: harbour.condition(STUCK).get("status") == "True", "it is said before")
    message = harbour.condition(STUCK)["message"]
    assert "0 are free or could be lent to it" in message
    assert "ask for 1 more GPUs in CapacityRequest chat" in message
    harbour.story.ask(others, "train", 5)
    harbour.until(lambda: not harbour.condition(STUCK), "a GPU is free that nobody is granted")
    harbour.deploy(2, prompt=900)
    returned(harbour, 2)


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_without_a_gpu_to_lend_an_old_pod_may_go_first(harbour: Harbour, replicas: int) -> None:
    full(harbour, replicas, reserve=0)
    harbour.until(lambda: harbour.condition(STUCK).get("status") == "True", "it is said before")
    assert "maxUnavailable: 1" in harbour.condition(STUCK)["message"]
    harbour.deploy(replicas, surge=0, unavailable=1)
    harbour.until(lambda: not harbour.condition(STUCK), "with maxUnavailable 1 nothing would wait")
    old = harbour.pods()
    harbour.deploy(replicas, surge=0, unavailable=1, prompt=900)
    assert not set(old.values()) & set(harbour.pods().values())
    assert not harbour.condition(STUCK)


def test_a_rollout_that_hangs_keeps_its_loan_to_its_deadline_and_ends_nobody(
    harbour: Harbour, plane: Cluster
) -> None:
    full(harbour, 2, reserve=1)
    old = harbour.pods()
    with watched(plane):
        harbour.deploy(2, patience=8, start_after="500s", wait=False)
        harbour.until(lambda: harbour.condition(LENT).get("reason") == "Lent", "a GPU is lent, and told")
        assert "1 GPUs are lent to the rollout of Deployment/chat" in harbour.condition(LENT)["message"]
        eventually(lambda: harbour.story.hard(harbour.namespace) == 2, lambda: str(quota(harbour)), 60.0)
        assert set(old) <= set(harbour.pods()), "who serves goes on"
        one = {"nvidia.com/gpu": 1}
        harbour.until(
            lambda: harbour.story.pool_status()["capacity"].get("surgeLent") == one, "it is out still"
        )
        harbour.until(lambda: not harbour.condition(LENT), "it is over")
        harbour.deploy(2, patience=600)
        returned(harbour, 2)
    assert set(old) == set(harbour.pods())


def test_a_loan_ends_where_its_gpu_is_promised_to_somebody(harbour: Harbour, plane: Cluster) -> None:
    others = full(harbour, 2, reserve=0)
    harbour.story.ask(others, "train", 4)
    with watched(plane):
        harbour.deploy(2, start_after="20s", wait=False)
        harbour.until(lambda: harbour.condition(LENT).get("reason") == "Lent", "a free GPU is lent")
        harbour.story.ask(others, "train", 6)
        eventually(lambda: harbour.story.hard(harbour.namespace) == 2, lambda: str(quota(harbour)), 60.0)
        harbour.story.until_phase(others, "train", "Granted")

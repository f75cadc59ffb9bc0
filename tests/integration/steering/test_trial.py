"""Fewer replicas than ever carried it, tried on a simulated engine that can do more than it did."""

from collections.abc import Iterator

import pytest

from integration.steering.harbour import Harbour
from integration.steering.teaching import CARRIES, taught
from localplane import release
from localplane.cluster import Cluster
from support.plane import FAST_HPA, temporary_cluster

LEARNING = 240.0
"""Seconds in which a window of 40 s passes without a jump of the load, which ends a trial for a moment."""


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A cluster in which all is quick: looks, the HPA controller, and the times of the rule."""
    with temporary_cluster(FAST_HPA) as cluster:
        release.install(cluster, {"cycleInterval": 1, "evaluationWindow": "40s"}, quiet=True)
        yield cluster


def test_with_a_rich_budget_fewer_are_tried_and_a_miss_ends_it(plane: Cluster, harbour: Harbour) -> None:
    """A replica here carries more than it is said to have carried."""
    harbour.deploy(4, load=14)
    harbour.scale(low=1, high=9)
    harbour.promise(window="28d", maxReplicas=4, hpa="Adopt")
    taught(plane, harbour.kube, [harbour])
    harbour.until(lambda: tries(harbour, 3), "three are tried instead of four")
    assert "where 4 were carried at most so far" in harbour.decision()["message"]
    harbour.until(lambda: harbour.limits()[0] == 3, "its HPA may")
    harbour.deploy(3, load=14)
    harbour.until(lambda: learned_more(harbour), "it learns", LEARNING)
    assert "missed" not in harbour.status()["profile"][0]
    harbour.deploy(3, load=300, wait=False)
    harbour.until(lambda: "missed" in harbour.status()["profile"][0], "it is too much, and remembered")
    harbour.until(lambda: harbour.decision().get("floorReason") != "Trial", "nothing is tried any more")


def carried(harbour: Harbour) -> float:
    return float(harbour.status()["profile"][0].get("requestsPerSecond", {}).get("value", 0.0))


def learned_more(harbour: Harbour) -> bool:
    """Whether a replica was seen to carry more than it is said to have carried.

    Where a jump of the load ended a trial for a moment, the HPA took one more and keeps it: it is told
    nothing of CPU here. One that is told would let it go again.
    """
    if tries(harbour, 3) and harbour.deployment()["spec"]["replicas"] > 3:
        harbour.deploy(3, load=14, wait=False)
    return carried(harbour) > 1.1 * CARRIES


def tries(harbour: Harbour, replicas: int) -> bool:
    decision = harbour.decision()
    return bool(decision.get("floorReason") == "Trial" and decision["floor"] == replicas)

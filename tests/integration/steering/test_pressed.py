"""Too few replicas from the beginning, on the real plane: bad windows teach nothing, and yet it ends.

The HPA is ours, so no number but ours brings replicas: one more a window while users miss what is promised.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from integration.steering.harbour import Harbour
from integration.steering.quay import Quay
from localplane import release
from localplane.cluster import Cluster
from support.faultstory import variant
from support.plane import FAST_HPA, temporary_cluster

VALUES: dict[str, Any] = {"cycleInterval": 1, "evaluationWindow": "10s", "metricsApi": {"enabled": True}}
LOAD = 26
"""Requests/s that one replica does not carry within the objective, and a few do."""
MOST = 4


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A cluster in which all is quick, and the operator serves the metric."""
    with temporary_cluster(FAST_HPA) as cluster:
        release.install(cluster, VALUES, quiet=True)
        yield cluster


def diagnosed(harbour: Harbour, field: str) -> object:
    """A field of the diagnosis."""
    return harbour.status().get("diagnosis", {}).get(field)


@variant
def test_an_endpoint_that_began_with_too_few_gets_one_more_a_window_until_users_are_served(
    quay: Quay,
) -> None:
    harbour = quay.harbour
    harbour.deploy(1, load=LOAD, start_after="2s")
    harbour.promise(minReplicas=1, maxReplicas=MOST, hpa="Create")
    harbour.until(lambda: diagnosed(harbour, "replicasHelp") in {"Yes", "Partly"}, "more may help")
    harbour.until(lambda: quay.wanted() > 1, "one more comes")
    first = harbour.decision()
    assert (first["floor"], first["floorReason"]) == (1, "ProfileUnlearned"), "the floor is its owner's"
    harbour.until(lambda: diagnosed(harbour, "cause") == "None", "users are served")
    enough = quay.wanted()
    assert 1 < enough <= MOST
    harbour.stays(quay.wanted)
    assert harbour.decision()["needed"] >= enough, "nothing goes while what a replica carries is not learned"

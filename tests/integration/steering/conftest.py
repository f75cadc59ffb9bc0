"""A cluster in which steering is quick, and a team with an endpoint on it."""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from integration.steering.harbour import Harbour
from integration.steering.quay import Quay
from localplane import release
from localplane.cluster import Cluster
from localplane.kube import Kube
from support.plane import FAST_HPA, eventually, temporary_cluster
from support.story import Story

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    """A cluster whose HPA controller looks every second, as does the operator."""
    with temporary_cluster(FAST_HPA) as cluster:
        release.install(cluster, {"cycleInterval": 1}, quiet=True)
        yield cluster


@pytest.fixture
def harbour(kube: Kube, namespace: Callable[..., str]) -> Iterator[Harbour]:
    """A team and a node of this test alone."""
    story = Story(kube, namespace, name=f"steer-{os.getpid()}-{next(_numbers)}")
    story.add_nodes(1)
    yield Harbour(kube, story, story.team("chat"))
    story.end()


@pytest.fixture
def quay(harbour: Harbour, plane: Cluster) -> Quay:
    """The same where the operator serves the metric."""
    found = Quay(harbour, plane)
    eventually(found.available, "the metrics API serves", 60)
    return found

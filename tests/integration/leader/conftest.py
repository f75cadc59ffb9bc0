"""The operator as the chart runs it: two replicas, one of which leads."""

from collections.abc import Callable, Iterator

import pytest

from localplane.cluster import Cluster
from localplane.kube import Kube
from support.replicas import settled_leader
from support.story import Story


@pytest.fixture(scope="package")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with the operator in it."""
    return released_plane


@pytest.fixture
def story(kube: Kube, namespace: Callable[..., str]) -> Iterator[Story]:
    """A pool's stage, with all replicas as they should be before and after."""
    settled_leader(kube)
    told = Story(kube, namespace)
    yield told
    told.end()
    settled_leader(kube)

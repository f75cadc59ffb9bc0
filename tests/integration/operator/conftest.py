"""The operator as the chart runs it, and a stage of its own for every test."""

from collections.abc import Callable, Iterator

import pytest

from localplane.cluster import Cluster
from localplane.kube import Kube
from support.story import Story


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with the operator in it."""
    return released_plane


@pytest.fixture
def story(kube: Kube, namespace: Callable[..., str]) -> Iterator[Story]:
    """A pool's stage: nodes, namespaces and names that no other test uses."""
    told = Story(kube, namespace)
    yield told
    told.end()

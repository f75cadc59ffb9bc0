"""Clusters that have a life already, and the operator that is installed into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localplane import release
from support.story import Story

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localplane.cluster import Cluster
    from localplane.kube import Kube


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


@pytest.fixture
def without_mutation(plane: Cluster) -> Iterator[None]:
    """The operator as on Kubernetes 1.34 and 1.35: nothing injects the two lines."""
    release.install(plane, {"policies": {"mutate": False}}, quiet=True)
    yield
    release.install(plane, {"policies": {"mutate": "Auto"}}, quiet=True)

"""A pool that stands enforced, and people with the rights to undo what is the operator's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.marks import marks
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
def emergency(kube: Kube) -> Iterator[Kube]:
    """A cluster admin who broke the glass: no policy of ours stands in the way."""
    with kube.impersonating("keeper", ("system:masters", "gpupool:break-glass")) as client:
        yield client


@pytest.fixture
def story(kube: Kube, namespace: Callable[..., str]) -> Iterator[Story]:
    """An enforced pool of one node and one team with a grant."""
    told = Story(kube, namespace)
    try:
        told.add_nodes(1)
        team = told.team("team")
        told.pool(shares=[told.share(team, 8)])
        told.ask(team, "work", 4)
        told.until_phase(team, "work", "Granted")
        told.until_enforced()
        told.until(lambda: any(mark.startswith("taint") for mark in marks(kube, told.name)), "and tainted")
        told.until(lambda: told.in_force(team) == 4, "the wall is in force")
        yield told
    finally:
        told.end()

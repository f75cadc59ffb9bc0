"""The stage of the attackers: set once per module, with the operator dead."""

from collections.abc import Iterator

import pytest

from integration.attackers.siege import Siege, besieged
from localplane.cluster import Cluster


@pytest.fixture(scope="module")
def plane(released_plane: Cluster) -> Cluster:
    """The cluster with the operator in it."""
    return released_plane


@pytest.fixture(scope="module")
def siege(plane: Cluster) -> Iterator[Siege]:
    """Two enforced pools, four attackers, no operator."""
    with besieged(plane) as stage:
        yield stage

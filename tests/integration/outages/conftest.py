"""A plane of their own for tests that kill the API server.

Controllers that lost their server wait longer and longer before they come back; on the shared plane that
would fail whichever test comes next.
"""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localplane.cluster import Cluster
from localplane.kube import Kube

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def plane() -> Iterator[Cluster]:
    """A cluster whose API server may be killed."""
    directory = Path(tempfile.mkdtemp(prefix="gpupool-outages-"))
    cluster = Cluster(directory)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def namespace(kube: Kube) -> Callable[..., str]:
    """Makes namespaces without waiting for their ServiceAccount: no test here makes pods."""

    def make(prefix: str = "test") -> str:
        name = f"{prefix}-{next(_numbers)}"
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    return make

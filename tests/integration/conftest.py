"""Fixtures of tests that speak to the plane with gpupool's own client."""

from collections.abc import AsyncIterator

import pytest

from gpupool.kube.auth import from_kubeconfig
from gpupool.kube.client import KubeClient
from localplane.cluster import Cluster
from support.etcd import Etcd


@pytest.fixture
async def client(plane: Cluster) -> AsyncIterator[KubeClient]:
    """The operator's client, as admin."""
    async with KubeClient(from_kubeconfig(str(plane.kubeconfig))) as connection:
        yield connection


@pytest.fixture
def etcd(plane: Cluster) -> Etcd:
    """The plane's etcd, past the API server."""
    return Etcd(plane.port("etcd"))

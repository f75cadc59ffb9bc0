"""A node of the plane for each test, read by a pool of its own; and exporters that a test makes itself."""

import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import httpx
import pytest

from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.endpoint import Endpoint
from gpupool.collector.prometheus.usage import UsageReader
from integration.telemetry.watching import Watch
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.nodes import NODES, create_nodes, node_manifest
from support.usage import a_pool

_numbers = itertools.count(1)


@pytest.fixture
def node(kube: Kube) -> Iterator[str]:
    """A fake node of this test alone."""
    name = f"tele-{os.getpid()}-{next(_numbers)}"
    create_nodes(kube, [node_manifest(name, 8)])
    yield name
    kube.delete(f"{NODES}/{name}")


@pytest.fixture
async def watch(plane: Cluster, kube: Kube, namespace: Callable[..., str], node: str) -> AsyncIterator[Watch]:
    """A namespace and a node, seen by a reader of use with a window of ten seconds."""
    async with PrometheusClient(Endpoint(plane.prometheus_url)) as client:
        pool = a_pool(f"tele-{os.getpid()}-{next(_numbers)}", window=timedelta(seconds=10), coverage=50)
        yield Watch(kube, namespace("tele"), node, UsageReader(client), pool)


@pytest.fixture
def faults(plane: Cluster) -> Iterator[Callable[..., None]]:
    """Breaks exporters of nodes: `faults(node, frozen=True)`, or several as a dict; `faults()` mends all."""
    url = f"http://127.0.0.1:{plane.port('exporter')}/control"

    def set_faults(node: str | dict[str, dict[str, object]] | None = None, **fault: object) -> None:
        change = node if isinstance(node, dict) else {} if node is None else {node: fault}
        httpx.post(url, json={"faults": change}, trust_env=False).raise_for_status()

    yield set_faults
    set_faults()


@pytest.fixture
def other_node(kube: Kube) -> Iterator[str]:
    """A second node."""
    name = f"tele-{os.getpid()}-{next(_numbers)}"
    create_nodes(kube, [node_manifest(name, 8)])
    yield name
    kube.delete(f"{NODES}/{name}")

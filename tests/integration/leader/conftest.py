"""Two replicas of the operator, as the chart runs them, behind a proxy that can hold a write back."""

from collections.abc import Callable, Iterator

import pytest

from localplane import release
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.ports import free_port
from localplane.state import Options
from support.faultproxy.proxy import FaultProxy
from support.observer import Observer
from support.plane import temporary_cluster
from support.replicas import settled_leader
from support.story import Story


@pytest.fixture(scope="package")
def proxy() -> Iterator[FaultProxy]:
    """The way between the replicas and the API server of a cluster of this package's own."""
    port = free_port()
    with temporary_cluster(Options(operator_port=port)) as cluster, FaultProxy(cluster, port) as proxy:
        release.install(cluster, quiet=True)
        yield proxy


@pytest.fixture(scope="package")
def plane(proxy: FaultProxy) -> Cluster:
    """That cluster: leaders that come and go here are nobody else's."""
    return proxy.cluster


@pytest.fixture
def story(kube: Kube, namespace: Callable[..., str]) -> Iterator[Story]:
    """A pool's stage, with all replicas as they should be before and after."""
    settled_leader(kube)
    told = Story(kube, namespace)
    yield told
    told.end()
    settled_leader(kube)


@pytest.fixture
def observer(proxy: FaultProxy, story: Story) -> Iterator[Observer]:
    """Watches the test from outside: nothing is oversold at any sample or revision, nothing is done twice."""
    del story  # it must stand before anybody looks, and fall after
    watching = Observer(proxy.cluster.kubeconfig, proxy.journal)
    watching.begin()
    yield watching
    watching.end()
    print(f"observer: {watching.samples.taken} samples, {watching.findings.revisions} revisions")
    watching.judge()

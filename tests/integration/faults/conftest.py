"""A cluster whose operator reaches its API server through a proxy that fails, and somebody who watches."""

import gc
import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from localplane import release
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.ports import free_port
from localplane.state import Options
from support.faultproxy.proxy import FaultProxy
from support.faultstory import LONG, FaultStory
from support.observer import EVERY, Observer
from support.plane import eventually, temporary_cluster

_numbers = itertools.count(1)
MILLISECONDS = "milliseconds with answers"
COUNTS = pytest.StashKey[Counter[str]]()


@pytest.fixture(scope="package")
def proxy() -> Iterator[FaultProxy]:
    """The way between the operator's pods and the API server of this package's cluster."""
    port = free_port()
    with temporary_cluster(Options(operator_port=port)) as cluster, FaultProxy(cluster, port) as proxy:
        release.install(cluster, quiet=True)
        yield proxy


@pytest.fixture(autouse=True)
def torn_connections() -> Iterator[None]:
    """Connections cut halfway are closed by the garbage collector: here, not in the midst of another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="package")
def plane(proxy: FaultProxy) -> Cluster:
    """That cluster."""
    return proxy.cluster


@pytest.fixture
def namespace(kube: Kube) -> Iterator[Callable[..., str]]:
    """Makes namespaces and waits long: controllers that lost their API server come back late."""
    made: list[str] = []

    def make(prefix: str = "test", labels: dict[str, str] | None = None) -> str:
        name = f"{prefix}-{next(_numbers)}"
        metadata = {"name": name, "labels": labels or {}}
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        made.append(name)
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        eventually(lambda: kube.exists(account), f"{name} has its default ServiceAccount", LONG)
        return name

    yield make
    for name in made:
        # Pods first, with who makes them: on the nodes of the next story they would be in its way.
        kube.delete(f"/apis/apps/v1/namespaces/{name}/deployments")
        kube.delete(f"/apis/apps/v1/namespaces/{name}/replicasets")
        kube.delete(f"/api/v1/namespaces/{name}/pods", grace_seconds=0)
        kube.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> Counter[str]:
    """What is printed at the end, summed over all tests."""
    return request.config.stash.setdefault(COUNTS, Counter())


@pytest.fixture
def story(
    plane: Cluster, proxy: FaultProxy, kube: Kube, namespace: Callable[..., str], counts: Counter[str]
) -> Iterator[FaultStory]:
    """A pool's stage on that cluster, its faults and their count."""
    told = FaultStory(kube, namespace, cluster=plane, proxy=proxy, counts=counts)
    yield told
    told.end()


@pytest.fixture
def observer(proxy: FaultProxy, story: FaultStory, counts: Counter[str]) -> Iterator[Observer]:
    """Watches the test from outside; what no test may ever show is asserted here."""
    del story  # it must stand before anybody looks, and fall after
    watching = Observer(proxy.cluster.kubeconfig, proxy.journal)
    watching.begin()
    yield watching
    watching.end()
    tell(watching, counts)
    watching.judge()


def tell(watching: Observer, counts: Counter[str]) -> None:
    """Add what one observer saw to what is printed at the end."""
    found, samples = watching.findings, watching.samples
    counts.update(
        {
            "samples": samples.taken,
            "samples without an answer": samples.blind,
            MILLISECONDS: round((samples.seconds - samples.blind_seconds) * 1000),
            "samples oversold": len(samples.oversold),
            "samples with a lost node's GPUs missing": len(samples.excused),
            "revisions": found.revisions,
            "revisions oversold": len(found.oversold),
            "revisions with a lost node's GPUs missing": len(found.excused),
            "raises": found.raises,
            "raises into an excess": len(found.raised),
            "lowerings": found.lowerings,
            "pods asked to go": found.ended,
            "evictions and deletes of pods by the operator": watching.takings(),
            "timers": found.timers,
            "timers shortened": len(found.moved),
            "timers lost": len(found.again),
            "double actions": len(found.doubled),
            "watch gaps": watching.gaps if not watching.outage else 0,
            "watch gaps while the API server or etcd was ended": watching.gaps if watching.outage else 0,
        }
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was tried and seen."""
    counts = terminalreporter.config.stash.get(COUNTS, None)
    if counts:
        terminalreporter.section("faults")
        gap = counts[MILLISECONDS] / max(1, counts["samples"])
        for what, number in counts.items():
            terminalreporter.write_line(f"{number:>9}  {what}")
        terminalreporter.write_line(f"{gap:>9.0f}  ms between samples, on average (goal: {EVERY * 1000:.0f})")

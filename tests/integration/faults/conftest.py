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
from support.observer import Observer
from support.plane import eventually, temporary_cluster

_numbers = itertools.count(1)
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
def observer(plane: Cluster, story: FaultStory, counts: Counter[str]) -> Iterator[Observer]:
    """Watches the test from outside; what no test may ever show is asserted here."""
    del story  # it must stand before anybody looks, and fall after
    watching = Observer(plane.kubeconfig)
    watching.begin()
    yield watching
    found = watching.end()
    # With a lost node more is committed than there is left, whoever governs: then nothing may be raised.
    over = "over what a lost node left" if watching.capacity_lost else "oversold"
    counts.update(
        {
            "samples": watching.samples.taken,
            "samples without an answer": watching.samples.blind,
            "samples oversold": 0,
            f"samples {over}": len(watching.samples.oversold),
            "revisions": found.revisions,
            "revisions oversold": 0,
            f"revisions {over}": len(found.oversold),
            "raises": found.raises,
            "raises into an excess": len(found.raised),
            "lowerings": found.lowerings,
            "pods asked to go": found.ended,
            "timers": found.timers,
            "timers shortened": len(found.moved),
            "timers lost": 0 if watching.changes_of_mind else len(found.again),
            "double actions": len(found.doubled),
            "watch gaps": watching.gaps,
        }
    )
    watching.judge()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was tried and seen."""
    counts = terminalreporter.config.stash.get(COUNTS, None)
    if counts:
        terminalreporter.section("faults")
        for what, number in counts.items():
            terminalreporter.write_line(f"{number:>9}  {what}")

"""Fixtures of all tests: one real control plane per session, and clean places in it."""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from localplane import release
from localplane.cluster import Cluster
from localplane.kube import Kube
from localplane.processes import wait_until
from support.plane import temporary_cluster

PLANE_FIXTURES = frozenset({"plane", "released_plane"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the plane, so that `-m "not plane"` runs without it."""
    for item in items:
        if isinstance(item, pytest.Function) and PLANE_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.plane)


@pytest.fixture(scope="session")
def plane() -> Iterator[Cluster]:
    """A cluster of this session alone, without the operator's chart."""
    with temporary_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def released_plane() -> Iterator[Cluster]:
    """A second cluster of this session, with the operator's chart installed and its operator running.

    A module whose tests need it makes it its plane, and the fixtures below follow:

        @pytest.fixture(scope="module")
        def plane(released_plane: Cluster) -> Cluster:
            return released_plane
    """
    with temporary_cluster() as cluster:
        release.install(cluster, quiet=True)
        yield cluster


@pytest.fixture
def kube(plane: Cluster) -> Iterator[Kube]:
    """An admin connection."""
    with plane.kube() as client:
        yield client


@pytest.fixture
def as_user(kube: Kube) -> Iterator[Callable[..., Kube]]:
    """Connections as somebody else: `as_user("alice", ["team-a"])`."""
    opened: list[Kube] = []

    def connect(name: str, groups: tuple[str, ...] | list[str] = ()) -> Kube:
        client = kube.impersonating(name, groups)
        opened.append(client)
        return client

    yield connect
    for client in opened:
        client.close()


_numbers = itertools.count(1)


@pytest.fixture
def namespace(kube: Kube) -> Iterator[Callable[..., str]]:
    """Makes namespaces with unique names, usable at once: `namespace("team-a", labels={...})`."""
    made: list[str] = []

    def make(prefix: str = "test", labels: dict[str, str] | None = None) -> str:
        name = f"{prefix}-{os.getpid()}-{next(_numbers)}"
        kube.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}
        )
        made.append(name)
        # Pods are refused until the controller has made the default ServiceAccount.
        path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        assert wait_until(lambda: kube.exists(path), 60), f"no default ServiceAccount in {name}"
        return name

    yield make
    for name in made:
        kube.delete(f"/api/v1/namespaces/{name}")

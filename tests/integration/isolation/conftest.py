"""Isolation on the real API server: no operator runs anywhere in these tests."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from integration.isolation.asking import OPERATOR, unique, wait_for, warnings
from integration.isolation.rig import Pool, bind, make_pool
from localplane.kube import Kube, KubeError
from localplane.paths import CHART, CHECKOUT
from localplane.resources import resource_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localplane.cluster import Cluster

_GUARDS = (
    "policies/status",
    "policies/use",
    "policies/quotas",
    "policies/namespaces",
    "policies/nodes",
    "policies/bindings",
    "policies/claims",
    "policies/probe",
    "policies/pods",
    "aggregated-roles",
    "rbac",
    "probe-namespace",
)


@pytest.fixture(scope="module")
def guards(plane: Cluster) -> Iterator[None]:
    """The chart's own policies and roles, rendered by helm; taken away again for other tests."""
    helm = [str(plane.program("helm")), "template", "gpupool", str(CHART), "--namespace", "gpupool-system"]
    shown = [f"--show-only=templates/{name}.yaml" for name in _GUARDS]
    text = subprocess.run(
        [*helm, "--kube-version=1.36.0", *shown], check=True, capture_output=True, text=True
    )
    manifests = sorted(filter(None, yaml.safe_load_all(text.stdout)), key=_spelling_last)
    with plane.kube() as kube:
        home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gpupool-system"}}
        crds = [yaml.safe_load(f.read_text()) for f in sorted((CHECKOUT / "crds").glob("*.yaml"))]
        for manifest in [home, *crds, *manifests]:
            kube.apply(manifest)
        wait_for(lambda: _served(kube), "the CRDs and the guards")
        yield
        for manifest in manifests:
            if manifest["kind"] != "Namespace":
                kube.delete(resource_path(manifest))
        wait_for(lambda: not _speaking(kube), "the guards to be gone")


@pytest.fixture(params=[True, False], ids=["mutate", "validate-only"])
def mutate(request: pytest.FixtureRequest) -> bool:
    """Both ways a cluster may be: with MutatingAdmissionPolicy (1.36) and without (1.34, 1.35)."""
    return bool(request.param)


@pytest.fixture
def pools(kube: Kube, guards: None) -> Iterator[Callable[..., Pool]]:
    """Makes pools: `pools(mutate=True, gpus=8, nodes=1)`."""
    del guards
    made: list[Pool] = []

    def make(*, mutate: bool = True, gpus: int = 8, nodes: int = 1) -> Pool:
        made.append(make_pool(kube, mutate=mutate, gpus=gpus, nodes=nodes))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


@pytest.fixture
def tenant(as_user: Callable[..., Kube]) -> Callable[[Pool, str], Kube]:
    """A namespace admin and nothing more: `tenant(pool, namespace)`."""

    def connect(pool: Pool, namespace: str) -> Kube:
        user = unique("tenant")
        bind(pool, namespace, user)
        client = as_user(user)
        path = f"/api/v1/namespaces/{namespace}/pods"
        wait_for(lambda: _may_list(client, path), "the tenant's rights")
        return client

    return connect


def _spelling_last(manifest: dict[str, Any]) -> bool:
    return "quota-spelling" in manifest["metadata"]["name"]


def _may_list(client: Kube, path: str) -> bool:
    try:
        client.list(path)
    except KubeError as error:
        # Rights and kinds arrive a moment after they were written; a new kind's storage answers 429 first.
        if error.status not in {403, 404, 429}:
            raise
        return False
    return True


def _served(kube: Kube) -> bool:
    """The CRDs answer, the aggregated roles reached `admin`, the operator has its rights, the guards act."""
    if not all(
        _may_list(kube, f"/apis/gpupool.dev/v1alpha1/{kind}") for kind in ("gpupools", "capacityrequests")
    ):
        return False
    admin = kube.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/admin")
    if not any("capacityrequests" in rule.get("resources", []) for rule in admin["rules"]):
        return False
    with kube.impersonating(OPERATOR) as operator:
        if not _may_list(operator, "/api/v1/resourcequotas"):
            return False
    return _speaking(kube)


def _speaking(kube: Kube) -> bool:
    """Whether the spelling policy acts; the last one written and deleted, it speaks for all guards."""
    spec = {"hard": {"limits.nvidia.com/gpu": "1"}}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "trial"}, "spec": spec}
    return bool(warnings(kube, "default", quota))

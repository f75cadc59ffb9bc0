"""Pods that ask for no GPU are left alone, whatever the pool does and whatever becomes of it (law 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpupool.model.marks import NODE_LABEL
from integration.isolation.asking import GPU, create, phase, pod, refusal, wait_for
from integration.isolation.rig import team_namespace
from localplane.kube import KubeError
from localplane.nodes import node_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration.isolation.rig import Pool
    from localplane.kube import Kube


def test_cpu_pods_of_a_pool_namespace_are_stored_as_written(
    kube: Kube, pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool, hard=0)
    free = team_namespace(pool, labelled=False)
    pool.enforce()
    client = tenant(pool, team)
    zero = pod("zero")
    zero["spec"]["containers"][0]["resources"] = {"limits": {GPU: "0"}}
    written: list[dict[str, Any]] = [
        pod("plain"),
        zero,
        pod("tolerant", tolerations=[{"operator": "Exists"}]),
        pod("selective", nodeSelector={"kubernetes.io/arch": "arm64"}),
    ]
    for manifest in written:
        judged = create(client, team, manifest, dry_run=True)["spec"]
        unjudged = create(kube, free, manifest, dry_run=True)["spec"]
        for field in ("nodeSelector", "tolerations", "affinity", "nodeName"):
            assert judged.get(field) == unjudged.get(field), (manifest["metadata"]["name"], field)
        assert NODE_LABEL not in judged.get("nodeSelector", {})


def test_a_cpu_pod_runs_outside_the_pool(
    kube: Kube, pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    pool = pools(mutate=mutate)
    team = team_namespace(pool, hard=0)
    pool.enforce()
    name = f"{pool.name}-cpu"
    pool.put(node_manifest(name, 0, labels={"example.com/cpu-for": pool.name}))
    create(tenant(pool, team), team, pod("web", nodeSelector={"example.com/cpu-for": pool.name}))
    wait_for(lambda: phase(kube, team, "web") == "Running", "the CPU pod to run")
    assert kube.get(f"/api/v1/namespaces/{team}/pods/web")["spec"]["nodeName"] == name


def test_deleting_the_pool_takes_its_policies_along_and_denies_nobody(
    kube: Kube, pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube], mutate: bool
) -> None:
    pool, neighbour = pools(mutate=mutate), pools(mutate=mutate)
    team, next_door = team_namespace(pool), team_namespace(neighbour)
    pool.enforce()
    neighbour.enforce()
    kube.delete(f"/apis/gpupool.dev/v1alpha1/gpupools/{pool.name}")
    kinds = ["validatingadmissionpolicies", "validatingadmissionpolicybindings"]
    kinds += ["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"]
    paths = [f"/apis/admissionregistration.k8s.io/v1/{kind}" for kind in kinds]
    mine = f"gpupool.dev/pool={pool.name}"
    wait_for(lambda: not any(kube.list(p, labels=mine) for p in paths), "the policies to be collected")
    create(tenant(pool, team), team, pod("web"))
    bad = pod("named", 1, **neighbour.two_lines, nodeName="nowhere")
    assert refusal(lambda: create(kube, next_door, bad)).status == 403


def test_a_binding_whose_policy_was_deleted_denies_nothing(
    kube: Kube, pools: Callable[..., Pool], tenant: Callable[[Pool, str], Kube]
) -> None:
    pool = pools(mutate=True)
    team = team_namespace(pool)
    pool.enforce()
    client = tenant(pool, team)
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    kube.delete(f"{policies}/gpupool-{pool.name}-pods")
    bad = pod("named", 1, nodeName="nowhere")
    wait_for(lambda: _passes(client, team, bad), "the deleted policy to stop denying")
    create(client, team, pod("web"))


def _passes(client: Kube, namespace: str, manifest: dict[str, Any]) -> bool:
    try:
        create(client, namespace, manifest, dry_run=True)
    except KubeError:
        return False
    return True

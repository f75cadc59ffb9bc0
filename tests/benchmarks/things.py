"""Objects of the benchmarks: pools, requests, pods, and many of them at once."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias

from localplane.kube import Kube
from localplane.processes import wait_until
from support.gpupods import USE, gpu_pod

Json: TypeAlias = dict[str, Any]
API: Final = "gpupool.dev/v1alpha1"
GROUP: Final = "bench.example/group"
APP: Final = "bench"
WRITERS: Final = 4
GOVERN_SECONDS: Final = 600.0


def pool(name: str, shares: Sequence[Json], mode: str = "Observe", **spec: Any) -> Json:
    """A pool over the nodes of the group of its name."""
    nodes = {"selector": {"matchLabels": {GROUP: name}}}
    return {
        "apiVersion": API,
        "kind": "GpuPool",
        "metadata": {"name": name},
        "spec": {"mode": mode, "nodes": nodes, "shares": list(shares), **spec},
    }


def share(namespace: str, guaranteed: int, **more: Any) -> Json:
    """The share of a namespace."""
    return {"team": namespace, "namespaces": [namespace], "guaranteed": guaranteed, **more}


def request(namespace: str, name: str, gpus: int, **more: Any) -> Json:
    """A CapacityRequest."""
    spec = {
        **more,
        "gpus": gpus,
        "owner": {"team": namespace, "contact": "bench@example.com"},
        "workload": {"selector": {"matchLabels": {"app": name}}},
        "expectedUtilization": 20,
    }
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API, "kind": "CapacityRequest", "metadata": metadata, "spec": spec}


def pod(namespace: str, name: str, gpus: int = 1, *, gated: bool = False) -> Json:
    """A pod that is steadily at 35 percent; a gated one leaves the scheduler alone."""
    gates: Json = {"schedulingGates": [{"name": "bench.example/hold"}]} if gated else {}
    made = gpu_pod(namespace, name, gpus, annotations={USE: "35"}, **gates)
    made["metadata"]["labels"] = {"app": APP}
    return made


def namespace(kube: Kube, name: str) -> str:
    """Create a namespace; its default ServiceAccount comes a moment later."""
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


def create_all(kube: Kube, bodies: Iterable[Json]) -> None:
    """Create many objects, a few at a time."""
    with ThreadPoolExecutor(WRITERS) as writers:
        for _ in writers.map(kube.create, bodies):
            pass


def pool_status(kube: Kube, name: str) -> Json:
    """A pool's status."""
    return dict(kube.get(f"/apis/{API}/gpupools/{name}").get("status", {}))


def govern(kube: Kube, body: Json) -> None:
    """Create a pool and wait until the operator has been through it once: nodes marked, walls standing.

    Raises:
        TimeoutError: no status within GOVERN_SECONDS.
    """
    name = str(kube.create(body)["metadata"]["name"])
    if not wait_until(lambda: bool(pool_status(kube, name).get("conditions")), GOVERN_SECONDS, every=0.2):
        raise TimeoutError(f"pool {name} has no status within {GOVERN_SECONDS:.0f} s")


def enforced(kube: Kube, name: str) -> bool:
    """Whether quotas, labels and policies stand and were probed."""
    rows = pool_status(kube, name).get("conditions", [])
    return any(row["type"] == "Enforced" and row["status"] == "True" for row in rows)

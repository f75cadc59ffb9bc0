"""What the exporter needs of nodes and pods, projected from the API's JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from localplane.exporter.use import ANNOTATION
from localplane.gpumodels import DEFAULT_MODEL, MODELS, NVIDIA, GpuModel
from localplane.nodes import kept

MIG: Final = "nvidia.com/mig-"
TERMINAL: Final = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class Claim:
    """GPUs that one container of a pod asks for."""

    container: str
    resource: str
    count: int
    running: bool
    """Whether the container runs now; a real exporter learns of the pod only then."""


@dataclass(frozen=True, slots=True)
class PodFact:
    """A bound, living pod with GPUs."""

    namespace: str
    name: str
    uid: str
    node: str
    created: str
    started: float
    """Unix time of the first running container's start; 0 where none runs."""

    use: str | None
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class NodeFact:
    """A node's GPUs."""

    name: str
    model: GpuModel
    gpus: tuple[tuple[str, int], ...]
    """Resource name and count, whole GPUs first."""


def serves(resource: str) -> bool:
    """Whether DCGM sees devices of this resource: NVIDIA's, whole or MIG slices."""
    return resource == NVIDIA or resource.startswith(MIG)


def node_fact(node: Mapping[str, Any]) -> NodeFact:
    """Project a Node; one without product labels counts as the default model.

    Where nobody keeps the node (no kubelet) nobody serves its GPUs' series either.
    """
    if not kept(node):
        return NodeFact(node["metadata"]["name"], DEFAULT_MODEL, ())
    product = node["metadata"].get("labels", {}).get("nvidia.com/gpu.product", "")
    amounts = node.get("status", {}).get("capacity") or node.get("status", {}).get("allocatable") or {}
    gpus = sorted((name, int(count)) for name, count in amounts.items() if serves(name))
    return NodeFact(node["metadata"]["name"], MODELS.get(product, DEFAULT_MODEL), tuple(gpus))


def pod_fact(pod: Mapping[str, Any]) -> PodFact | None:
    """Project a Pod; None for one that holds no GPU now (not bound, ended, or asks for none)."""
    metadata, status = pod["metadata"], pod.get("status", {})
    node = pod["spec"].get("nodeName")
    started = _started(status)
    claims = _claims(pod["spec"], frozenset(started))
    if not node or not claims or status.get("phase") in TERMINAL:
        return None
    return PodFact(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        node=node,
        created=metadata.get("creationTimestamp", ""),
        started=min(started.values(), default=0.0),
        use=metadata.get("annotations", {}).get(ANNOTATION),
        claims=claims,
    )


def _claims(spec: Mapping[str, Any], running: frozenset[str]) -> tuple[Claim, ...]:
    """Devices by container; init containers that end give theirs back before the others start."""
    lasting = [c for c in spec.get("initContainers", []) if c.get("restartPolicy") == "Always"]
    return tuple(
        Claim(container["name"], resource, count, container["name"] in running)
        for container in [*lasting, *spec["containers"]]
        for resource, count in _requests(container)
    )


def _requests(container: Mapping[str, Any]) -> list[tuple[str, int]]:
    resources = container.get("resources", {})
    asked = {**resources.get("limits", {}), **resources.get("requests", {})}
    return sorted((name, int(count)) for name, count in asked.items() if serves(name) and int(count))


def _started(status: Mapping[str, Any]) -> dict[str, float]:
    """Start times (unix) of the containers that run, by name."""
    statuses = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    running = {entry["name"]: entry.get("state", {}).get("running") for entry in statuses}
    return {
        name: _unix(state["startedAt"]) for name, state in running.items() if state and state.get("startedAt")
    }


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()

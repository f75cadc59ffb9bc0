"""What the engines need of a pod, projected from the API's JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from localplane.engines.annotations import ENGINE, PREFIX

HASH: Final = "pod-template-hash"
GENERATIONS: Final = frozenset({"ReplicaSet"})
PORT: Final = 8000


@dataclass(frozen=True, slots=True)
class EnginePod:
    """A bound pod that says it runs an engine.

    Attributes:
        workload: namespace/name of what made it: the Deployment, across its ReplicaSets.
        said: its annotations of ours, in a form that compares.
        ready: whether a Service would send it requests.
        leaving: it is being deleted: it ends what it has and gets nothing new.
    """

    namespace: str
    name: str
    uid: str
    node: str
    address: str
    container: str
    created: str
    workload: str
    said: tuple[tuple[str, str], ...]
    running: bool
    ready: bool
    leaving: bool
    cpus: float

    @property
    def key(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def annotations(self) -> dict[str, str]:
        """Our annotations by their names."""
        return dict(self.said)


def engine_pod(pod: Mapping[str, Any]) -> EnginePod | None:
    """Project a Pod; None for one without an engine."""
    metadata, status = pod["metadata"], pod.get("status", {})
    annotations = metadata.get("annotations") or {}
    if ENGINE not in annotations:
        return None
    containers = pod["spec"]["containers"]
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])
    leaving = "deletionTimestamp" in metadata
    return EnginePod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        node=pod["spec"].get("nodeName", ""),
        address=f"{status.get('podIP', '127.0.0.1')}:{PORT}",
        container=_container(containers),
        created=metadata.get("creationTimestamp", ""),
        workload=f"{metadata['namespace']}/{_maker(metadata)}",
        said=tuple(sorted((k, v) for k, v in annotations.items() if k.startswith(PREFIX))),
        running=status.get("phase") == "Running",
        ready=ready and status.get("phase") == "Running" and not leaving,
        leaving=leaving,
        cpus=_cpus(containers),
    )


def _maker(metadata: Mapping[str, Any]) -> str:
    """Name of the pod's controller; of a ReplicaSet's owner, where a Deployment made it; else its own."""
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("controller"):
            suffix = (metadata.get("labels") or {}).get(HASH)
            name = str(owner["name"])
            return name.removesuffix(f"-{suffix}") if owner["kind"] in GENERATIONS and suffix else name
    return str(metadata["name"])


def _container(containers: list[dict[str, Any]]) -> str:
    """The container that has GPUs, else the first."""
    holders = [c for c in containers if any("gpu" in r for r in c.get("resources", {}).get("limits") or {})]
    return str((holders or containers)[0]["name"])


def _cpus(containers: list[dict[str, Any]]) -> float:
    """CPU limit of all containers; 0 where one has none."""
    limits = [str((c.get("resources", {}).get("limits") or {}).get("cpu", "")) for c in containers]
    if not all(limits):
        return 0.0
    return sum(float(one[:-1]) / 1000 if one.endswith("m") else float(one) for one in limits)

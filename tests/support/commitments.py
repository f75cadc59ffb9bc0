"""Law 2 worked out from raw API objects, by DESIGN section 2 alone: no code of the product is asked."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]

QUOTA = "gpupool"
POOL = "gpupool.dev/pool"
LOANS = "gpupool.dev/surge-loans"
NODE_POOL = "gpupool.dev.node-restriction.kubernetes.io/pool"
ENDED = frozenset({"Succeeded", "Failed"})
SYSTEM = frozenset({"kube-system", "gpu-operator", "monitoring", "gpupool-system", "gpupool-probe"})
"""The chart's default exempt namespaces, and its own: their GPUs are the system's."""


@dataclass
class Objects:
    """Everything law 2 speaks of, as the API server has it at one moment, by (namespace, name)."""

    pools: dict[Key, Json] = field(default_factory=dict)
    nodes: dict[Key, Json] = field(default_factory=dict)
    quotas: dict[Key, Json] = field(default_factory=dict)
    pods: dict[Key, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sum:
    """One pool and resource at one moment, in GPUs.

    Attributes:
        committed: Σ max(spec.hard, status.hard, status.used, held) over walled namespaces, held elsewhere.
        capacity: what may be committed: usable by section 2, less system use and the reserve that loans left.
        held: of pods bound to the pool's nodes.
    """

    committed: int
    capacity: int
    held: int
    rows: Mapping[str, tuple[int, int, int, int]]

    @property
    def excess(self) -> int:
        """GPUs oversold."""
        return max(0, self.committed - self.capacity)


@dataclass
class Fleet:
    """Nodes as they were when they last were Ready: what is gone, or not Ready, is known by it.

    With a lost node more is committed than there is left, whoever governs. That is all it excuses: what would
    be too much with the node as it was is too much without it.
    """

    nodes: dict[Key, Json] = field(default_factory=dict)

    def see(self, nodes: Mapping[Key, Json]) -> None:
        """Remember those that are Ready."""
        self.nodes |= {key: node for key, node in nodes.items() if _ready(node)}

    def whole(self, objects: Objects) -> Objects:
        """The same moment with the lost nodes as they were."""
        there = {key: node for key, node in objects.nodes.items() if key not in self.nodes or _ready(node)}
        return Objects(objects.pools, {**self.nodes, **there}, objects.quotas, objects.pods)


def sums(objects: Objects) -> dict[tuple[str, str], Sum]:
    """Every pool and each of its resources."""
    return {
        (name, resource): of_pool(objects, pool, resource)
        for (_, name), pool in objects.pools.items()
        for resource in pool["spec"].get("resources") or ["nvidia.com/gpu"]
    }


def of_pool(objects: Objects, pool: Json, resource: str) -> Sum:
    """The sum of one pool and resource."""
    members = {n["metadata"]["name"]: n for n in objects.nodes.values() if _member(n, pool)}
    on_node: dict[str, int] = dict.fromkeys(members, 0)
    held: dict[str, int] = {}
    for pod in objects.pods.values():
        node, namespace = pod["spec"].get("nodeName"), pod["metadata"]["namespace"]
        if node in members and pod.get("status", {}).get("phase") not in ENDED:
            gpus = pod_gpus(pod, resource)
            on_node[node] += gpus
            held[namespace] = held.get(namespace, 0) + gpus
    system = sum(held.pop(n, 0) for n in SYSTEM)
    rows = {n: _row(objects, pool, n, resource, held.get(n, 0)) for n in _walled(objects, pool) | set(held)}
    lent = sum(_lent(objects.quotas[n, QUOTA], resource, rows[n]) for n in _walled(objects, pool))
    reserve = max(0, int(pool["spec"].get("reserve") or 0) - lent)
    usable = _usable(pool, resource, members.values(), on_node)
    committed = sum(max(row) for row in rows.values())
    return Sum(committed, usable - reserve - system, sum(held.values()) + system, rows)


def pod_gpus(pod: Json, resource: str) -> int:
    """GPUs a pod asks for: its containers' sum, or its largest init container."""
    spec = pod["spec"]
    main = sum(_asked(c, resource) for c in spec.get("containers", []))
    return max([main, *(_asked(c, resource) for c in spec.get("initContainers", []))])


def hard(quota: Json, resource: str, part: str = "spec", what: str = "hard") -> int | None:
    """A number of a quota; None where it says nothing of the resource."""
    value = quota.get(part, {}).get(what, {}).get(f"requests.{resource}")
    return None if value is None else int(value)


def _row(objects: Objects, pool: Json, namespace: str, resource: str, held: int) -> tuple[int, int, int, int]:
    quota = objects.quotas.get((namespace, QUOTA))
    if quota is None or _owner(quota) != pool["metadata"]["name"] or hard(quota, resource) is None:
        return 0, 0, 0, held
    numbers = (
        hard(quota, resource),
        hard(quota, resource, "status"),
        hard(quota, resource, "status", "used"),
    )
    spec, status, used = (n or 0 for n in numbers)
    return spec, status, used, held


def _lent(quota: Json, resource: str, row: tuple[int, int, int, int]) -> int:
    """GPUs of surge loans: those that stand, and of those that are over what is committed still."""
    notes = quota["metadata"].get("annotations", {}).get(LOANS, "{}")
    loans = [loan for loan in json.loads(notes).values() if loan["resource"] == resource]
    over = sum(int(loan.get("over", 0)) for loan in loans)
    return sum(int(loan["gpus"]) for loan in loans) + min(over, max(row) - row[0])


def _walled(objects: Objects, pool: Json) -> set[str]:
    return {ns for (ns, _), q in objects.quotas.items() if _owner(q) == pool["metadata"]["name"]}


def _owner(quota: Json) -> str:
    return str(quota["metadata"].get("labels", {}).get(POOL, ""))


def _usable(pool: Json, resource: str, members: Iterable[Json], on_node: Mapping[str, int]) -> int:
    nodes = list(members)
    total = sum(_allocatable(n, resource) for n in nodes)
    lost = sum(
        max(0, _allocatable(n, resource) - on_node[n["metadata"]["name"]]) for n in nodes if not _works(n)
    )
    declared = ((pool["spec"]["nodes"].get("capacity") or {}).get("declared") or {}).get(resource)
    return (total if declared is None else int(declared)) - lost


def _member(node: Json, pool: Json) -> bool:
    labels = node["metadata"].get("labels", {})
    wanted = pool["spec"]["nodes"]["selector"].get("matchLabels", {})
    chosen = all(labels.get(k) == v for k, v in wanted.items())
    return bool(labels.get(NODE_POOL) == pool["metadata"]["name"] or (NODE_POOL not in labels and chosen))


def _works(node: Json) -> bool:
    return _ready(node) and not node["spec"].get("unschedulable", False)


def _ready(node: Json) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _allocatable(node: Json, resource: str) -> int:
    return int(node.get("status", {}).get("allocatable", {}).get(resource, 0))


def _asked(container: Json, resource: str) -> int:
    resources = container.get("resources", {})
    return int((resources.get("limits") or resources.get("requests") or {}).get(resource, 0))

"""Fake GPU nodes: manifests that say what a real node would say, and the command `make nodes`."""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx

from localplane.errors import PlaneError
from localplane.gpumodels import DEFAULT_MODEL, GpuModel, find_model
from localplane.kube import Kube, KubeError
from localplane.nodefacts import gpu_labels, node_amounts, place_labels
from localplane.nodetable import is_ready, table
from localplane.processes import wait_until

Json: TypeAlias = dict[str, Any]

NODES: Final = "/api/v1/nodes"
GROUP: Final = "example.com/gpu-group"
FAKE: Final = {"kwok.x-k8s.io/node": "fake"}
MAX_GPUS: Final = 64
WRITERS: Final = 4
READY_SECONDS: Final = 10.0
_READY: Final = {
    "type": "Ready",
    "status": "True",
    "reason": "KubeletReady",
    "message": "written ready, no kubelet",
}
_KEY: Final = re.compile(
    r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
)
_VALUE: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


class NodesError(PlaneError):
    """A request for nodes that cannot be met; the text names the field, the value and the fix."""


def node_manifest(
    name: str,
    gpus: int,
    model: str | GpuModel = DEFAULT_MODEL,
    labels: Mapping[str, str] | None = None,
    resource: str = "",
    *,
    managed: bool = True,
) -> Json:
    """A Node with truthful labels and its status inline (the API keeps status on create).

    Args:
        name: Node name, also its `kubernetes.io/hostname`.
        gpus: How many GPUs; 0 makes a CPU-only node and the model is ignored.
        model: Product name or row of the model table.
        labels: Further labels; they win over the built ones.
        resource: Resource name that carries the count; by default the model's own.
        managed: Whether kwok keeps the node (its lease and Ready condition). Otherwise the node is
            written Ready, nobody renews it, and its GPUs have no series.

    Raises:
        UnknownModelError: The model is not in the table.
    """
    found = (
        find_model(model)
        if isinstance(model, str) and gpus
        else DEFAULT_MODEL
        if isinstance(model, str)
        else model
    )
    amounts = node_amounts(found, gpus, resource)
    status: Json = {"capacity": amounts, "allocatable": amounts}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": place_labels(name, found, gpus) | gpu_labels(found, gpus) | dict(labels or {}),
            "annotations": dict(FAKE) if managed else {},
        },
        "spec": {"providerID": f"kwok://{name}"},
        "status": status if managed else status | {"conditions": [_READY]},
    }


def kept(node: Mapping[str, Any]) -> bool:
    """Whether kwok keeps a Node, so that it has what a kubelet's node has."""
    annotations: Mapping[str, str] = node["metadata"].get("annotations", {})
    return FAKE.items() <= annotations.items()


def default_nodes() -> list[Json]:
    """What `make up` creates: three groups of GPU nodes, one model each, and two CPU-only nodes."""
    groups = (
        ("research", 4, "NVIDIA-A100-SXM4-80GB"),
        ("lab", 8, "NVIDIA-H100-80GB-HBM3"),
        ("production", 4, "NVIDIA-H200"),
    )
    manifests = [
        node_manifest(f"{group}-{number}", 8, model, {GROUP: group})
        for group, count, model in groups
        for number in range(1, count + 1)
    ]
    return manifests + [node_manifest(f"cpu-{number}", 0) for number in (1, 2)]


def create_nodes(kube: Kube, manifests: Iterable[Mapping[str, Any]]) -> int:
    """Create nodes, a few at a time; those that exist are left as they are.

    Returns:
        How many were created.

    Raises:
        KubeError: The API server refused a manifest.
    """
    with ThreadPoolExecutor(WRITERS) as writers:
        return sum(writers.map(lambda manifest: _create(kube, manifest), manifests))


def add_nodes(kube: Kube, add: int, gpus: int, model: str, labels: Mapping[str, str]) -> list[str]:
    """Create `add` nodes with the next free names gpu-1, gpu-2, ...

    Returns:
        The names.
    """
    taken = {node["metadata"]["name"] for node in kube.list(NODES)}
    free = (f"gpu-{number}" for number in range(1, len(taken) + add + 1) if f"gpu-{number}" not in taken)
    names = [name for name, _ in zip(free, range(add), strict=False)]
    create_nodes(kube, [node_manifest(name, gpus, model, labels) for name in names])
    return names


def all_ready(kube: Kube, names: Iterable[str]) -> bool:
    """Whether kwok has made all these nodes Ready."""
    wanted = set(names)
    return all(is_ready(node) for node in kube.list(NODES) if node["metadata"]["name"] in wanted)


def parse_labels(text: str) -> dict[str, str]:
    """Read `key=value,key=value`.

    Raises:
        NodesError: An entry is not key=value in Kubernetes' syntax.
    """
    labels = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = entry.partition("=")
        if not equals or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            raise NodesError(
                f"labels: {entry!r} is not key=value with valid names; write {GROUP}=lab,team=vision"
            )
        labels[key] = value
    return labels


def main(argv: Sequence[str], kubeconfig: Path) -> int:
    """Run `make nodes`; returns the process's exit code."""
    try:
        args = _parser().parse_args(argv)
        with Kube.from_kubeconfig(kubeconfig) as kube:
            print(_run(kube, args))
            print(table(sorted(kube.list(NODES), key=lambda node: str(node["metadata"]["name"]))))
    except (PlaneError, httpx.HTTPError) as error:
        print(f"nodes: {error}", file=sys.stderr)
        return 1
    return 0


def _run(kube: Kube, args: argparse.Namespace) -> str:
    if args.cordon:
        _existing(kube, args.cordon)
        kube.patch(f"{NODES}/{args.cordon}", {"spec": {"unschedulable": True}})
        return f"cordoned {args.cordon}; undo with: kubectl uncordon {args.cordon}"
    if args.remove:
        _existing(kube, args.remove)
        kube.delete(f"{NODES}/{args.remove}")
        return f"removed {args.remove}; its pods are garbage collected within a minute"
    if not args.add:
        return "nothing to change (ADD=2 | CORDON=name | REMOVE=name)"
    if not 0 <= args.gpus <= MAX_GPUS:
        raise NodesError(f"gpus: {args.gpus} is not between 0 and {MAX_GPUS}; write GPUS=8")
    if args.add < 0:
        raise NodesError(
            f"add: {args.add} is not a number of nodes; write ADD=2, or REMOVE=name to take one away"
        )
    names = add_nodes(kube, args.add, args.gpus, args.model, parse_labels(args.labels))
    late = (
        ""
        if wait_until(lambda: all_ready(kube, names), READY_SECONDS)
        else " (not Ready yet: does kwok run?)"
    )
    return f"added {', '.join(names)}{late}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make nodes", description="Add, cordon or remove fake GPU nodes.")
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--add", type=int, default=0, help="how many nodes to add")
    change.add_argument("--cordon", default="", help="name of a node to take out of scheduling")
    change.add_argument("--remove", default="", help="name of a node to delete")
    parser.add_argument("--gpus", type=int, default=8, help="GPUs per node; 0 for a CPU-only node")
    parser.add_argument("--model", default=DEFAULT_MODEL.product, help="GPU product name")
    parser.add_argument("--labels", default="", help="key=value,key=value")
    return parser


def _create(kube: Kube, manifest: Mapping[str, Any]) -> bool:
    try:
        kube.create(manifest)
    except KubeError as error:
        if error.status != httpx.codes.CONFLICT:
            raise
        return False
    return True


def _existing(kube: Kube, name: str) -> None:
    if not kube.exists(f"{NODES}/{name}"):
        known = ", ".join(node["metadata"]["name"] for node in kube.list(NODES))
        raise NodesError(f"node: {name!r} does not exist; use one of {known or '(there are no nodes)'}")

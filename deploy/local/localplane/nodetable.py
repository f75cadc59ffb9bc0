"""Nodes, shown to people."""

from collections.abc import Iterable, Mapping
from typing import Any


def table(nodes: Iterable[Mapping[str, Any]]) -> str:
    """A plain table of nodes: name, state, GPUs, product and the labels that people gave."""
    rows = [("NODE", "STATUS", "GPUS", "PRODUCT", "LABELS"), *(_row(node) for node in nodes)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join([*map(str.ljust, row, widths), row[4]]).rstrip() for row in rows)


def _row(node: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    labels = node["metadata"].get("labels", {})
    state = "Ready" if is_ready(node) else "NotReady"
    if node["spec"].get("unschedulable"):
        state += ",cordoned"
    held = {
        name: count
        for name, count in node["status"].get("allocatable", {}).items()
        if "/" in name and count != "0"
    }
    gpus = ",".join(count if name == "nvidia.com/gpu" else f"{count} {name}" for name, count in held.items())
    product = labels.get("nvidia.com/gpu.product") or labels.get("amd.com/gpu.product-name") or "-"
    given = ",".join(f"{key}={value}" for key, value in labels.items() if _given(key))
    return node["metadata"]["name"], state, gpus or "-", product, given


def is_ready(node: Mapping[str, Any]) -> bool:
    """Whether the node's Ready condition is True."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))


def _given(key: str) -> bool:
    domain = key.partition("/")[0]
    return not domain.endswith(("kubernetes.io", "k8s.io", "nvidia.com", "amd.com"))

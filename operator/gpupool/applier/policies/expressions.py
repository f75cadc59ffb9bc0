"""CEL fragments. Every one is total: a missing field is a value, never an evaluation error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpupool.applier.policies.spec import DEVICE_CLASS_RESOURCE, DEVICE_CLASSES, GPU_NAMES, GPU_PREFIXES
from gpupool.model.marks import NODE_LABEL, TAINT

if TYPE_CHECKING:
    from collections.abc import Iterable


def literal(text: str) -> str:
    """The text as a CEL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def literals(texts: Iterable[str]) -> str:
    """The texts as a CEL list of string literals."""
    return "[" + ", ".join(literal(t) for t in texts) + "]"


def containers(spec: str) -> str:
    """All containers and init containers of the pod spec at CEL path `spec`."""
    return f"({spec}.containers + {spec}.?initContainers.orValue([]))"


def requests(spec: str, matches: str) -> str:
    """Whether a container asks for more than zero of a resource `r` for which `matches` holds.

    Extended resources may be written as limits alone; the API server copies them to requests, but a pod
    template keeps what its author wrote, so both places are read. Charts often write `nvidia.com/gpu: 0`;
    such a pod asks for nothing.
    """
    asks = " || ".join(
        f"c.?resources.?{part}.orValue({{}}).exists(r, string(c.resources.{part}[r]) != '0' && ({matches}))"
        for part in ("limits", "requests")
    )
    return f"{containers(spec)}.exists(c, {asks})"


def governed(resources: Iterable[str]) -> str:
    """Whether `r` is one of the resources a pool governs."""
    return f"r in {literals(resources)}"


def any_gpu(resources: Iterable[str]) -> str:
    """Whether `r` is one of the resources, or another name for a GPU."""
    prefixes = (f"r.startsWith({literal(p)})" for p in GPU_PREFIXES)
    by_class = (
        f"(r.startsWith({literal(DEVICE_CLASS_RESOURCE)}) "
        f"&& r.substring({len(DEVICE_CLASS_RESOURCE)}).matches({literal(DEVICE_CLASSES)}))"
    )
    return " || ".join([f"r in {literals((*resources, *GPU_NAMES))}", *prefixes, by_class])


def exempt_conditions(break_glass_group: str) -> list[dict[str, str]]:
    """Match conditions that let kubelets (mirror pods) and the break-glass group pass."""
    groups = {"not-kubelets": "system:nodes", "not-break-glass": break_glass_group}
    return [
        {"name": name, "expression": f"!({literal(group)} in request.userInfo.groups)"}
        for name, group in groups.items()
        if group
    ]


def two_lines(pool: str) -> str:
    """The selector and the toleration a pod of the pool carries, as a person would write them."""
    return (
        f"spec.nodeSelector: {{{NODE_LABEL}: {pool}}} and "
        f"spec.tolerations: [{{key: {TAINT}, operator: Equal, value: {pool}, effect: NoSchedule}}]"
    )

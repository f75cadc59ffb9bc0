"""The marks that are left on what is ours or belongs to a pool, by their names in the API."""

from collections.abc import Mapping
from typing import Final

NODE_LABEL: Final = "gpupool.dev.node-restriction.kubernetes.io/pool"
"""On a node of an enforced pool; kubelets may not write labels of this prefix: no node walks into a pool."""
POOL_LABEL: Final = "gpupool.dev/pool"
"""On a namespace whose pods a pool judges, and on every object of ours that belongs to one pool."""
TAINT: Final = "gpupool.dev/pool"
"""Key of the taint that keeps pods without GPUs off a pool's nodes."""

_API_VERSION: Final = "gpupool.dev/v1alpha1"
_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
_US: Final = "gpupool"
MANAGED: Final[Mapping[str, str]] = {_MANAGED_BY: _US, "app.kubernetes.io/name": _US}
"""On every object of ours."""
OURS: Final = f"{_MANAGED_BY}={_US},{POOL_LABEL}"
"""Selects the objects of ours that belong to a pool, or to all pools."""
NAMED: Final = f"app.kubernetes.io/name={_US}"
"""Selects what we write and what the chart installs, which Helm says that it manages."""


def owned_by_slo(name: str, uid: str) -> dict[str, str]:
    """The owner reference of what we make for an InferenceSLO: it goes with it, also while we are down."""
    return {"apiVersion": _API_VERSION, "kind": "InferenceSLO", "name": name, "uid": uid}


def managed(labels: Mapping[str, str]) -> bool:
    """Whether an object with these labels is ours."""
    return labels.get(_MANAGED_BY) == _US

"""What of the operator's own stands in a cluster: labels, taints, quotas, policies and their bindings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localplane.kube import Kube

Json = dict[str, Any]

NODE_LABEL = "gpupool.dev.node-restriction.kubernetes.io/pool"
POOL_LABEL = "gpupool.dev/pool"
TAINT_KEY = "gpupool.dev/pool"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
POLICIES = (
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
)


def standing(kube: Kube, pool: str = "") -> dict[str, str]:
    """Path of everything that carries the mark of a pool (of any pool, if none is named) -> how it stands.

    Policies stand with UID and generation; what others write too (nodes, namespaces, a quota's status)
    with our part alone.
    """
    return {
        **dict(_nodes(kube, pool)),
        **dict(_namespaces(kube, pool)),
        **{f"quota {_name(q)}": _wall(q) for q in kube.list("/api/v1/resourcequotas", labels=_of(pool))},
        **{
            f"{kind} {_name(p)}": _version(p)
            for kind in POLICIES
            for p in kube.list(f"{ADMISSION}/{kind}", labels=_of(pool))
        },
    }


def marks(kube: Kube, pool: str = "") -> list[str]:
    """The names of what stands, sorted."""
    return sorted(standing(kube, pool))


def two_lines(pool: str) -> Json:
    """What a GPU pod of a pool's namespace carries where nothing injects it."""
    toleration = {"key": TAINT_KEY, "operator": "Equal", "value": pool, "effect": "NoSchedule"}
    return {"nodeSelector": {NODE_LABEL: pool}, "tolerations": [toleration]}


def _of(pool: str) -> str:
    return f"app.kubernetes.io/managed-by=gpupool,{POOL_LABEL}" + (f"={pool}" if pool else "")


def _nodes(kube: Kube, pool: str) -> Iterable[tuple[str, str]]:
    for node in kube.list("/api/v1/nodes"):
        label = node["metadata"].get("labels", {}).get(NODE_LABEL)
        if label is not None and pool in {"", label}:
            yield f"label of node {_name(node)}", label
        for taint in node["spec"].get("taints", []):
            if taint["key"] == TAINT_KEY and pool in {"", taint.get("value")}:
                yield f"taint of node {_name(node)}", f"{taint.get('value')}:{taint['effect']}"


def _namespaces(kube: Kube, pool: str) -> Iterable[tuple[str, str]]:
    for namespace in kube.list("/api/v1/namespaces", labels=POOL_LABEL + (f"={pool}" if pool else "")):
        if "deletionTimestamp" not in namespace["metadata"]:
            yield f"label of namespace {_name(namespace)}", namespace["metadata"]["labels"][POOL_LABEL]


def _name(found: Json) -> str:
    meta = found["metadata"]
    return "/".join(filter(None, (meta.get("namespace"), meta["name"])))


def _wall(quota: Json) -> str:
    meta = quota["metadata"]
    notes = {
        k: v for k, v in meta.get("annotations", {}).items() if k != "gpupool.dev/epoch"
    }  # of the leader
    parts = (meta["uid"], quota["spec"], notes, meta["labels"], meta.get("ownerReferences"))
    return json.dumps(parts, sort_keys=True)


def _version(found: Json) -> str:
    # Not the resourceVersion: the control plane writes a policy's status when it has checked its types.
    return f"{found['metadata']['uid']} at generation {found['metadata']['generation']}"

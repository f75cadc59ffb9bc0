"""From actions to the bodies of writes: identity and owned fields, nothing else. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpupool.kube.resources import Json
from gpupool.model.annotations import (
    EPOCH,
    IMPLICIT,
    LEFT_OUT,
    LOANS,
    OPENING,
    QUOTA_NAME,
    REQUESTS,
    TIMERS,
    write_json,
    write_loans,
    write_timers,
)
from gpupool.model.marks import MANAGED, NODE_LABEL, POOL_LABEL, TAINT
from gpupool.model.plan import LabelNamespace, MarkNode, SetQuota
from gpupool.model.pool import Pool


def quota(pool: Pool, action: SetQuota, epoch: int) -> Json:
    """Our ResourceQuota. It belongs to the pool, so that deleting the pool takes the wall away."""
    annotations = {EPOCH: str(epoch)}
    if action.timers:
        annotations[TIMERS] = write_timers(action.timers)
    if action.left_out:
        annotations[LEFT_OUT] = str(action.left_out)
    if action.implicit:
        annotations[IMPLICIT] = write_json(dict(action.implicit))
    if action.opening:
        annotations[OPENING] = "true"
    if action.loans:
        annotations[LOANS] = write_loans(action.loans)
    return {
        "metadata": {
            "name": QUOTA_NAME,
            "namespace": action.namespace,
            "labels": {**MANAGED, POOL_LABEL: pool.name},
            "annotations": annotations,
            "ownerReferences": [
                {
                    "apiVersion": "gpupool.dev/v1alpha1",
                    "kind": "GpuPool",
                    "name": pool.name,
                    "uid": pool.uid,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {"hard": {f"{REQUESTS}{r}": str(n) for r, n in sorted(action.hard.items())}},
    }


def namespace_label(action: LabelNamespace) -> Json:
    """A namespace with our label; left out, server-side apply takes it away again."""
    labels = {} if action.pool is None else {POOL_LABEL: action.pool}
    return {"metadata": {"name": action.namespace, "labels": labels, **_identity(action.uid)}}


def node_label(action: MarkNode) -> Json:
    """A node with our label, or without it."""
    labels = {} if action.pool is None else {NODE_LABEL: action.pool}
    return {"metadata": {"name": action.node, "labels": labels, **_identity(action.uid)}}


def _identity(uid: str) -> Json:
    """With a uid the server refuses (Conflict) to write to a namesake, or to make the object anew."""
    return {"uid": uid} if uid else {}


def taints(present: Sequence[Mapping[str, str]], pool: str | None) -> list[dict[str, str]]:
    """The node's taints with ours set or removed; the list is atomic, so all others are kept as they are."""
    kept = [dict(t) for t in present if t.get("key") != TAINT]
    return kept if pool is None else [*kept, {"key": TAINT, "value": pool, "effect": "NoSchedule"}]

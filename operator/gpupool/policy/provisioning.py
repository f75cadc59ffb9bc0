"""Grants above what exists, in pools whose capacity is declared: their nodes are still to come.

The autoscaler acts on Pending pods, so a grant is given, and its quota written, before there is a node.
"""

from __future__ import annotations

from gpupool.model.objects import Key
from gpupool.model.snapshot import Snapshot
from gpupool.policy.desk import Desk


def observed(snapshot: Snapshot, resource: str) -> int:
    """GPUs that the pool's nodes have."""
    return sum(n.gpus.get(resource, 0) for n in snapshot.nodes)


def provisioning(snapshot: Snapshot, desk: Desk) -> dict[Key, int]:
    """GPUs of each claim for which there is no node yet; free ones count for those served first."""
    resource = desk.ledger.resource
    if resource not in snapshot.pool.declared:
        return {}
    free = _free(snapshot, resource)
    lacking: dict[Key, int] = {}
    for claim in desk.claims:
        wants = max(0, claim.allowance - claim.held)
        has = min(wants, free)
        free -= has
        if wants > has:
            lacking[claim.key] = wants - has
    return lacking


def _free(snapshot: Snapshot, resource: str) -> int:
    """GPUs of usable nodes that no pod holds."""
    left = {
        n.name: n.gpus.get(resource, 0) for n in snapshot.nodes if n.ready and n.schedulable and n.selected
    }
    for pod in snapshot.pods:
        if pod.node in left:
            left[pod.node] -= pod.gpus.get(resource, 0)
    return sum(max(0, n) for n in left.values())

"""Capacity that is gone: a node that was lost for good, or whose GPUs were cut anew (law 2, law 4).

No grant is cut for it and nothing is raised. Only where somebody's guaranteed pods wait for a GPU do
borrowers return theirs, as to any owner whose demand shows. A cordoned or NotReady node is not gone.
"""

from __future__ import annotations

from gpupool.model.objects import Key
from gpupool.policy.desk import Desk


def short_guarantees(desk: Desk) -> int:
    """GPUs by which what may be used within guarantees exceeds all that exist."""
    parts = desk.guaranteed_parts()
    return max(0, sum(min(parts[c.key], c.allowance) for c in desk.claims) - _there(desk))


def wanted_by_guarantees(desk: Desk) -> int:
    """GPUs that guaranteed pods wait for and that commitments beyond capacity may keep from them."""
    return min(max(0, desk.committed - _there(desk)), _waiting(desk.guaranteed_parts(), desk))


def _there(desk: Desk) -> int:
    """GPUs that exist and are not the system's. The reserve is kept for just this."""
    return desk.ledger.total - desk.ledger.system


def _waiting(parts: dict[Key, int], desk: Desk) -> int:
    """GPUs of Pending pods within guarantees."""
    return sum(max(0, min(parts[c.key], c.allowance, c.used) - c.held) for c in desk.claims)

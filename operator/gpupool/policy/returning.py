"""What running recalls still bring, and what is nobody's: namespace by namespace, because walls are.

A pod that goes frees its GPUs only where the namespace uses more than its wall: below the wall its controller
makes it anew. So pods of a recalled request count as far as they stand beyond the wall, and what requests use
beyond their allowance is nobody's, like pods without a request.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from gpupool.model.objects import Key
from gpupool.model.reasons import Stage
from gpupool.policy.claims import Claim
from gpupool.policy.desk import Desk


@dataclass(frozen=True, slots=True)
class Returning:
    """GPUs on their way back.

    Attributes:
        coming: claims that are recalled -> what pods of theirs will still free.
        nobodys: namespaces -> what the end of the implicit grant and of nobody's pods would free.
    """

    coming: Mapping[Key, int]
    nobodys: Mapping[str, int]


def target_of(claim: Claim) -> int:
    """What a recall leaves."""
    return 0 if claim.timer is None else claim.timer.target or 0


def returning(desk: Desk) -> Returning:
    """Look at every namespace once."""
    by_namespace: dict[str, list[Claim]] = defaultdict(list)
    for claim in desk.claims:
        by_namespace[claim.key.namespace].append(claim)
    coming: dict[Key, int] = {}
    nobodys: dict[str, int] = {}
    for namespace, own in by_namespace.items():
        owned = _owned(desk, namespace, own)
        coming |= owned
        nobodys[namespace] = _nobodys(desk, namespace, own, sum(owned.values()))
        for claim in own:
            if claim.unowned and claim.stage is Stage.RECALLING:
                coming[claim.key] = max(0, nobodys[namespace] - target_of(claim))
    return Returning(coming, nobodys)


def _owned(desk: Desk, namespace: str, own: list[Claim]) -> dict[Key, int]:
    """What recalled requests bring: pods above their target and beyond the namespace's wall."""
    loose = max(0, desk.ledger.books[namespace].used - desk.walls[namespace])
    found = {}
    for claim in reversed(own):
        if claim.stage is Stage.RECALLING and not claim.unowned:
            found[claim.key] = min(loose, max(0, claim.used - target_of(claim)))
            loose -= found[claim.key]
    return found


def _nobodys(desk: Desk, namespace: str, own: list[Claim], coming: int) -> int:
    """What is free once nobody's pods and the implicit grant are gone.

    Overdrawn pods of firm requests stay (an owner's decrease evicts nothing), and what runs on a sibling's
    unheld allowance frees nothing when it goes.
    """
    implicit = sum(c.allowance for c in own if c.unowned)
    pods = sum(c.used if c.unowned else c.overdraft for c in own if c.request.preemptible) - coming
    wall, used = desk.walls[namespace], desk.ledger.books[namespace].used - coming
    return max(0, max(wall, used) - max(wall - implicit, used - pods))

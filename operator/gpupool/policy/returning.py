"""What running recalls still bring, and what is nobody's: namespace by namespace, because walls are.

A pod that goes frees its GPUs only where the namespace uses more than its wall: below the wall its controller
makes it anew. So pods of a recalled request count as far as they stand beyond the wall, and what requests use
beyond their allowance is nobody's, like pods without a request, as far as no guarantee covers it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from gpupool.model.objects import Key, Timer
from gpupool.model.reasons import Stage
from gpupool.policy.claims import Claim, guarantee_of
from gpupool.policy.desk import Desk


@dataclass(frozen=True, slots=True)
class Returning:
    """GPUs on their way back.

    Attributes:
        coming: claims that are recalled -> what pods of theirs will still free.
        nobodys: namespaces -> what the end of the implicit grant and of nobody's pods would free.
        adrift: requests -> what their pods use beyond their allowance and no guarantee covers.
    """

    coming: Mapping[Key, int]
    nobodys: Mapping[str, int]
    adrift: Mapping[Key, int]


def announced(timer: Timer) -> int | None:
    """GPUs that a notice said would go; None where none was noted."""
    return None if timer.granted is None else max(0, timer.granted - (timer.target or 0))


def _told(claim: Claim, gpus: int) -> int:
    """As much of the GPUs as the claim's notice spoke of, whatever came beside them since."""
    most = None if claim.timer is None else announced(claim.timer)
    return gpus if most is None else min(gpus, most)


def returning(desk: Desk) -> Returning:
    """Look at every namespace once."""
    by_namespace: dict[str, list[Claim]] = defaultdict(list)
    for claim in desk.claims:
        by_namespace[claim.key.namespace].append(claim)
    adrift = _adrift(desk)
    # Where capacity is lost the reserve is what others wait for.
    reserved = desk.reserved() if desk.free >= 0 else {}
    coming: dict[Key, int] = {}
    nobodys: dict[str, int] = {}
    for namespace, own in by_namespace.items():
        owned = _owned(desk, namespace, own)
        coming |= owned
        # What only the reserve gains by is not asked for, before it is overdue.
        spared = max(0, reserved.get(namespace, 0) - desk.overdue.get(namespace, 0))
        nobodys[namespace] = max(0, _nobodys(desk, namespace, own, owned, adrift) - spared)
        for claim in own:
            if claim.unowned and claim.stage is Stage.RECALLING:
                coming[claim.key] = _told(claim, max(0, nobodys[namespace] - claim.target))
    return Returning(coming, nobodys, adrift)


def _adrift(desk: Desk) -> dict[Key, int]:
    """What pods of requests use beyond their allowance, without what stays.

    An owner's decrease evicts nothing: of firm requests stays what their share's guarantee covers beside all
    that the share may use. Without that bound a request that is refused, and a label on pods, would hold for
    good what others are promised (law 4).
    """
    left: dict[str, int] = {}
    for claim in desk.claims:
        promised = left.setdefault(claim.share.team, guarantee_of(claim.share, desk.ledger.resource))
        left[claim.share.team] = promised - (0 if claim.unowned else claim.allowance)
    found = {}
    for claim in desk.claims:
        team = claim.share.team
        # What was lent to a rollout was never its own, whatever its share is promised.
        own = claim.overdraft - min(claim.over, claim.overdraft)
        stays = 0 if claim.request.preemptible else max(0, min(own, left[team]))
        left[team] -= stays
        found[claim.key] = claim.overdraft - stays
    return found


def _owned(desk: Desk, namespace: str, own: list[Claim]) -> dict[Key, int]:
    """What recalled requests bring: pods above their target and beyond the namespace's wall."""
    loose = max(0, desk.ledger.books[namespace].used - desk.walls[namespace])
    found = {}
    for claim in reversed(own):
        if claim.stage is Stage.RECALLING and not claim.unowned:
            found[claim.key] = _told(claim, min(loose, max(0, claim.used - claim.target)))
            loose -= found[claim.key]
    return found


def _nobodys(
    desk: Desk, namespace: str, own: list[Claim], owned: Mapping[Key, int], adrift: Mapping[Key, int]
) -> int:
    """What is free once nobody's pods and the implicit grant are gone.

    What runs on a sibling's unheld allowance frees nothing when it goes.
    """
    implicit = sum(c.allowance for c in own if c.unowned)
    pods = sum(c.used if c.unowned else max(0, adrift[c.key] - owned.get(c.key, 0)) for c in own)
    wall, used = desk.walls[namespace], desk.ledger.books[namespace].used - sum(owned.values())
    return max(0, max(wall, used) - max(wall - implicit, used - pods))

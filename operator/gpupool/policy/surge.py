"""Surge loans: a rolling update at full grant has room for its new pods, for as long as it comes further.

A rollout whose old pods may not go before new ones serve needs GPUs beside all that is granted. They are lent
out of the reserve first, then out of what nobody is owed, to the workload of an InferenceSLO behind a wall of
ours. A loan is a commitment (law 2), carries its end on the quota, and is the first to be lowered: where a
guarantee is owed what it holds, or where capacity is lost. What is over takes no pod: it is back when the
rollout has ended one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gpupool.model.objects import Key, Loan
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.model.standing import Standing
from gpupool.policy import ledger
from gpupool.policy.claims import Claim
from gpupool.policy.desk import Desk
from gpupool.policy.senses import cannot_give
from gpupool.policy.slo.grant import resource_of
from gpupool.policy.slo.rollout import surge
from gpupool.policy.slo.stake import Stake
from gpupool.policy.territory import territory_of

LONGEST: Final = timedelta(hours=1)
"""For so long a loan stands without a step of its rollout, where the Deployment allows itself longer."""
MOST: Final = 100
"""Loans that stand on one quota: its annotations have their limit."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a rollout needs beside what its request allows.

    Attributes:
        key: namespace and workload.
        claim: the request that its pods belong to.
        gpus: it may be lent.
        replica: GPUs of one pod.
        until: it has come further by then, or has failed.
    """

    key: Key
    claim: Key
    gpus: int
    replica: int
    until: datetime


def standing(snapshot: Snapshot, resource: str) -> Mapping[Key, Loan]:
    """The loans that our quotas carry, of one resource."""
    return {
        Key(n.name, workload): loan
        for n in snapshot.namespaces
        if n.quota is not None and not n.system
        for workload, loan in n.quota.loans.items()
        if loan.resource == resource
    }


def wishes(snapshot: Snapshot, desk: Desk, behind: Mapping[Key, Stake]) -> Mapping[Key, Wish]:
    """What rollouts under way need, by workload, the oldest request's where several claim one."""
    found: dict[Key, Wish] = {}
    claims = (c for c in desk.claims if c.key in behind and _may(c, desk))
    for claim in sorted(claims, key=lambda c: (c.request.created, c.key)):
        stake = behind[claim.key]
        for endpoint, used in zip(stake.endpoints, stake.used, strict=True):
            wish = _wish(snapshot, claim, endpoint, used)
            if wish is not None:
                found.setdefault(wish.key, wish)
    return found


def _may(claim: Claim, desk: Desk) -> bool:
    """Not while a part of it is asked back, or is lent out: that comes back first."""
    book = desk.ledger.books[claim.key.namespace]
    return (
        book.walled and not book.opening and claim.allowance > 0 and claim.stage in {Stage.NONE, Stage.WARNED}
    )


def _wish(snapshot: Snapshot, claim: Claim, endpoint: Standing, used: int) -> Wish | None:
    target = endpoint.workload
    if target is None or target.stepped is None or not target.old:
        return None
    until = target.stepped + min(target.patience, LONGEST)
    if resource_of(target, snapshot.pool) != claim.request.resource:
        return None
    replica = target.gpus[claim.request.resource]
    beyond = surge(target, target.replicas)
    own = claim.allowance - max(0, claim.used - used)
    gpus = min(beyond * replica, (target.replicas + beyond) * replica - own)
    if gpus <= 0 or until <= snapshot.now:
        return None
    return Wish(Key(endpoint.key.namespace, str(target.ref)), claim.key, gpus, replica, until)


def carry(desk: Desk, wanted: Mapping[Key, Wish]) -> None:
    """Before anything is given: loans of rollouts that are over end, the others' pods are no overdraft."""
    for key, loan in tuple(desk.loans.items()):
        wish = wanted.get(key)
        if loan.over:
            continue
        if wish is None:
            desk.lend_surge(key, replace(loan, over=True))
            continue
        desk.lend_surge(key, replace(loan, until=wish.until))
        claim = desk.claim(wish.claim)
        desk.mark(replace(claim, surge=claim.surge + loan.gpus))


def decide(snapshot: Snapshot, desk: Desk, behind: Mapping[Key, Stake]) -> None:
    """After everything is given: end loans that others are owed, and lend what nobody is."""
    for key in _called(desk):
        desk.lend_surge(key, replace(desk.loans[key], over=True))
    for key, loan in tuple(desk.loans.items()):
        if loan.over and desk.coming_back(key.namespace) == 0:
            desk.forget(key)
    if desk.free < 0 or desk.ledger.unwalled or cannot_give(snapshot) is not None:
        return
    for wish in wishes(snapshot, desk, behind).values():
        _lend(desk, wish)


def _called(desk: Desk) -> Iterable[Key]:
    """Loans that end now, those whose rollouts have come least far first.

    What the reserve covers ends where capacity is lost, what it does not where a guarantee is owed.
    """
    owed = min(max(0, -desk.room), max(0, desk.surge - desk.ledger.reserve))
    lost = min(max(0, -desk.free), desk.surge)
    missing = max(owed, lost) - (desk.on_loan - desk.surge)
    standing_ones = ((loan.until, key) for key, loan in desk.loans.items() if not loan.over)
    for _, key in sorted(standing_ones, reverse=True):
        if missing > 0:
            missing -= desk.loans[key].gpus
            yield key


def _lend(desk: Desk, wish: Wish) -> None:
    """Whole pods, as far as there is room; beside a loan that is larger, and over, only when that is back."""
    before = desk.loans.get(wish.key)
    if before is not None and before.over and before.gpus > wish.gpus:
        return
    had = 0 if before is None or before.over else before.gpus
    gpus = min(wish.gpus - had, desk.slack(wish.key.namespace) + spare(desk)) // wish.replica * wish.replica
    if gpus <= 0 or (not had and len(_beside(desk, wish.key.namespace)) >= MOST):
        return
    desk.lend_surge(wish.key, Loan(desk.ledger.resource, had + gpus, wish.until))
    claim = desk.claim(wish.claim)
    desk.mark(replace(claim, surge=claim.surge + gpus))


def spare(desk: Desk) -> int:
    """GPUs that may be lent: what is left of the reserve, and what nobody is owed."""
    return max(0, desk.room) + desk.reserve_left


def lendable(snapshot: Snapshot) -> Mapping[str, int]:
    """By resource, what a rollout could be lent now; what guarantees are owed is not taken off."""
    territory = territory_of(snapshot)
    found = {}
    for resource in snapshot.pool.resources:
        desk = Desk(ledger.build(snapshot, territory, resource), (), standing(snapshot, resource))
        found[resource] = spare(desk) if desk.free >= 0 else 0
    return found


def _beside(desk: Desk, namespace: str) -> list[Key]:
    return [key for key in desk.loans if key.namespace == namespace]

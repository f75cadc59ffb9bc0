"""Surge loans: a rolling update at full grant has room for its new pods, for as long as it comes further.

A rollout needs GPUs beside all that is granted, or its old pods go before new ones serve. They are lent out
of the reserve first, then out of what nobody is owed, to the workload of an InferenceSLO behind a wall of
ours. A loan is a commitment (law 2), carries its end on the quota, and is the first to be lowered: where a
guarantee is owed what it holds, or where capacity is lost. What is over takes no pod at first: it is back
when the rollout has ended one of its own. What is not back within `recall.within` is recalled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from gpupool.model.objects import Key, Loan
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.model.steering import Target
from gpupool.policy import ledger
from gpupool.policy.claims import Claim
from gpupool.policy.desk import Desk
from gpupool.policy.senses import cannot_give
from gpupool.policy.slo.grant import resource_of
from gpupool.policy.slo.rollout import loan_name, surge
from gpupool.policy.slo.stake import Stake
from gpupool.policy.territory import territory_of

STEP: Final = timedelta(hours=1)
"""For so long a loan stands without a step of its rollout, where the Deployment allows itself longer."""
ROW: Final = timedelta(hours=6)
"""For so long one rollout after the other is lent to before one has to come to its end."""
PART: Final = 4
"""One new pod for so many replicas is lent at once, and one at least: a rollout goes on with that."""
MOST: Final = 100
"""Loans that stand on one quota: its annotations have their limit."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout under way.

    Attributes:
        claim: the request that its pods are booked on.
        target: the workload; pods of old revisions are left of it.
        used: GPUs of its pods.
    """

    claim: Key
    target: Target
    used: int

    @property
    def template(self) -> str:
        """The digest of what it goes to; empty where it is not known."""
        return "" if self.target.rollable is None else self.target.rollable.template

    @property
    def given_up(self) -> bool:
        """Whether its controller waits no longer."""
        failed = self.target.rollable is not None and self.target.rollable.failed
        return failed and not self.target.rolling


@dataclass(frozen=True, slots=True)
class Wish:
    """What may be lent: GPUs, until when, and whether its template has had its time."""

    gpus: int
    until: datetime | None = None
    spent: bool = False


def standing(snapshot: Snapshot, resource: str) -> Mapping[Key, Loan]:
    """The loans that our quotas carry, of one resource."""
    return {
        Key(n.name, name): loan
        for n in snapshot.namespaces
        if n.quota is not None and not n.system
        for name, loan in n.quota.loans.items()
        if loan.resource == resource
    }


def rollouts(snapshot: Snapshot, desk: Desk, behind: Mapping[Key, Stake]) -> Mapping[Key, Rollout]:
    """The rollouts of endpoints, by namespace, workload and resource, as their pods are booked."""
    found: dict[Key, Rollout] = {}
    resource = desk.ledger.resource
    for claim in sorted(
        (c for c in desk.claims if c.key in behind), key=lambda c: (c.request.created, c.key)
    ):
        stake = behind[claim.key]
        for endpoint, used in zip(stake.endpoints, stake.used, strict=True):
            target = endpoint.workload
            if (
                target is None
                or target.old <= 0
                or not used
                or resource_of(target, snapshot.pool) != resource
            ):
                continue
            key = Key(claim.key.namespace, loan_name(target.ref, resource))
            found.setdefault(key, Rollout(claim.key, target, used))
    return found


def _wish(desk: Desk, rollout: Rollout, loan: Loan | None, now: datetime) -> Wish:
    """What a rollout may be lent, beside what its request allows."""
    if rollout.given_up or (loan is not None and loan.spent and loan.spent == rollout.template):
        return Wish(0, spent=rollout.given_up)
    until = _until(rollout, loan, now)
    if until is None:
        return Wish(0)
    if until <= now:
        return Wish(0, spent=True)
    return Wish(_needed(desk, rollout, desk.claim(rollout.claim)), until)


def _until(rollout: Rollout, loan: Loan | None, now: datetime) -> datetime | None:
    """When it must have come further; None where it does not go on. What is not told stays as it was told."""
    target = rollout.target
    held = target.rollable is not None and target.rollable.paused
    if target.stepped is None:
        return None if loan is None or held or loan.until <= now else loan.until
    since = now if loan is None else loan.since
    return min(target.stepped + min(target.patience, STEP), since + ROW)


def _needed(desk: Desk, rollout: Rollout, claim: Claim) -> int:
    """GPUs of the new pods that find no room in what it has; nothing while a part of that is asked back."""
    book, target = desk.ledger.books[claim.key.namespace], rollout.target
    if not book.walled or book.opening or claim.stage not in {Stage.NONE, Stage.WARNED}:
        return 0
    replica = target.gpus[claim.request.resource]
    own = claim.allowance - max(0, claim.used - rollout.used)
    count = min(target.replicas, own // replica)
    if count <= 0:
        return 0
    beyond = min(surge(target, count), max(1, ceil(count / PART)))
    # Where new pods are smaller than old ones, room is what they leave; else what all of them together need.
    lacking = max((count + beyond) * replica - own, beyond * replica - max(0, own - rollout.used))
    return max(0, min(beyond * replica, lacking))


def carry(snapshot: Snapshot, desk: Desk, under_way: Mapping[Key, Rollout]) -> None:
    """Before anything is given: loans that no rollout needs end, and pods on the others are no overdraft."""
    for key, loan in tuple(desk.loans.items()):
        rollout = under_way.get(key)
        wish = Wish(0) if rollout is None else _wish(desk, rollout, loan, snapshot.now)
        kept = min(loan.gpus, wish.gpus)
        found = replace(
            loan.kept(kept),
            until=loan.until if wish.until is None else wish.until,
            spent=rollout.template if rollout is not None and wish.spent else loan.spent,
        )
        desk.lend_surge(key, found)
        if rollout is not None:
            _book(desk, rollout.claim, kept, found.over)
    for key in tuple(desk.loans):
        _come_back(snapshot, desk, key, under_way.get(key))


def _come_back(snapshot: Snapshot, desk: Desk, key: Key, rollout: Rollout | None) -> None:
    """What is over is so as far as it is committed, or its request's pods stand beyond their allowance."""
    loan, namespace = desk.loans[key], key.namespace
    beyond = 0 if rollout is None else desk.claim(rollout.claim).overdraft
    over = min(loan.over, max(desk.coming_back(namespace), beyond))
    if not (loan.gpus or over or rollout is not None):
        desk.lend_surge(key, None)
        return
    desk.lend_surge(key, replace(loan, over=over))
    if over and snapshot.now >= loan.until + snapshot.pool.recall.within:
        desk.overdue[namespace] = desk.overdue.get(namespace, 0) + over


def decide(snapshot: Snapshot, desk: Desk, under_way: Mapping[Key, Rollout]) -> None:
    """After everything is given: end loans that others are owed, and lend what nobody is."""
    for key in tuple(_called(desk)):
        desk.lend_surge(key, desk.loans[key].kept(0))
    if desk.free < 0 or desk.ledger.unwalled or cannot_give(snapshot) is not None:
        return
    for key, rollout in under_way.items():
        _lend(desk, key, rollout, snapshot.now)


def _called(desk: Desk) -> Iterable[Key]:
    """Loans that end now, those whose rollouts have come least far first.

    What the reserve covers ends where capacity is lost, what it does not where a guarantee is owed. What is
    over comes back by itself, but for what is overdue.
    """
    late = sum(desk.overdue.values())
    coming = max(0, desk.gained(desk.on_loan - late) - desk.gained(desk.surge))
    owed = min(max(0, -desk.room - coming), desk.gained(desk.surge))
    lost = min(max(0, -desk.free - max(0, desk.on_loan - late - desk.surge)), desk.surge)
    missing = max(owed, lost)
    for _, key in sorted(((loan.until, key) for key, loan in desk.loans.items() if loan.gpus), reverse=True):
        if missing > 0:
            missing -= desk.loans[key].gpus
            yield key


def _lend(desk: Desk, key: Key, rollout: Rollout, now: datetime) -> None:
    """Whole pods, as far as there is room; not behind a wall beyond which pods stand, who would take it."""
    before, replica = desk.loans.get(key), rollout.target.gpus[desk.ledger.resource]
    wish = _wish(desk, rollout, before, now)
    loan = Loan(desk.ledger.resource, 0, now, now) if before is None else before
    gpus = min(wish.gpus - loan.gpus, spare(desk)) // replica * replica
    beyond = desk.ledger.books[key.namespace].used > desk.walls[key.namespace]
    full = before is None and sum(k.namespace == key.namespace for k in desk.loans) >= MOST
    if gpus <= 0 or wish.until is None or beyond or full:
        return
    desk.lend_surge(key, replace(loan, gpus=loan.gpus + gpus, until=wish.until))
    _book(desk, rollout.claim, gpus)


def _book(desk: Desk, key: Key, surge: int, over: int = 0) -> None:
    """Note at a request what its rollouts are lent, and what they were."""
    claim = desk.claim(key)
    desk.mark(replace(claim, surge=claim.surge + surge, over=claim.over + over))


def spare(desk: Desk) -> int:
    """GPUs that may be lent: what is left of the reserve, and what nobody is owed."""
    return max(0, desk.room) + desk.ledger.reserve - desk.reserve_lent


def lendable(snapshot: Snapshot) -> Mapping[str, int]:
    """By resource, what a rollout could be lent now; what guarantees are owed is not taken off."""
    territory = territory_of(snapshot)
    found = {}
    for resource in snapshot.pool.resources:
        desk = Desk(ledger.build(snapshot, territory, resource), (), standing(snapshot, resource))
        found[resource] = spare(desk) if desk.free >= 0 else 0
    return found

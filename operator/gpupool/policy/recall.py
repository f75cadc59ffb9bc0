"""Bringing borrowed GPUs back to a guarantee that needs them (law 4).

Notice first: a deadline is written, and only a later cycle that reads it lowers the borrower. Quota comes
first, then whole preemptible units by eviction after `recall.notice`, only what is missing, and by deletion
after `recall.within`. Nothing is taken that would not cover the need it is taken for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from gpupool.model.plan import Evict
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Pod, Snapshot, Timer
from gpupool.policy.allocation import Outcome
from gpupool.policy.attribution import Books
from gpupool.policy.claims import Claim, guarantee_of
from gpupool.policy.desk import Desk


@dataclass(frozen=True, slots=True)
class Victim:
    """GPUs that a borrower can be asked for."""

    claim: Claim
    gpus: int


def lower(desk: Desk) -> None:
    """Carry out the quota part of recalls whose notice stands already."""
    for claim in desk.claims:
        if claim.stage is Stage.RECALLING and claim.timer is not None and claim.timer.target is not None:
            desk.cut(claim.key, claim.timer.target)


def decide(snapshot: Snapshot, desk: Desk, outcome: Outcome) -> None:
    """End recalls that nobody needs any more, and give notice for what is missing beyond those under way."""
    needed = missing(desk, outcome)
    for claim in desk.claims:
        if claim.stage is Stage.RECALLING and (needed == 0 or _done(claim)):
            desk.mark(replace(claim, timer=None))
    under_way = sum(_coming(c) for c in desk.claims)
    for victim in _choose(desk, needed - under_way):
        desk.mark(replace(victim.claim, timer=_notice(snapshot, victim)))


def missing(desk: Desk, outcome: Outcome) -> int:
    """GPUs owed to guarantees that are not free."""
    return max(0, -desk.room) if outcome.owed else 0


def _done(claim: Claim) -> bool:
    """The borrower is down to its target, in what it may use and in what it holds."""
    target = claim.timer.target if claim.timer is not None else None
    return target is not None and claim.granted <= target and claim.used <= target


def _coming(claim: Claim) -> int:
    """GPUs that a running recall will still free."""
    if claim.stage is not Stage.RECALLING or claim.timer is None or claim.timer.target is None:
        return 0
    return max(0, max(claim.allowance, claim.used) - claim.timer.target)


def _notice(snapshot: Snapshot, victim: Victim) -> Timer:
    recall = snapshot.pool.recall
    return Timer(
        stage=Stage.RECALLING,
        since=snapshot.now,
        deadline=snapshot.now + recall.notice,
        target=max(0, _reach(victim.claim) - victim.gpus),
        forced_at=snapshot.now + recall.within,
    )


def _choose(desk: Desk, needed: int) -> Sequence[Victim]:
    """Borrowers by least harm: unheld first, lower priority, younger; none if all do not suffice."""
    if needed <= 0:
        return ()
    chosen = []
    for victim in _borrowers(desk):
        taken = min(victim.gpus, needed)
        chosen.append(Victim(victim.claim, taken))
        needed -= taken
        if needed == 0:
            return chosen
    return ()


def _borrowers(desk: Desk) -> Iterable[Victim]:
    excess = _excess(desk)
    # A borrower without a wall cannot be made to return anything to a namespace that has one.
    walled = any(b.enforced for b in desk.ledger.books.values())
    candidates = [
        c
        for c in desk.claims
        if c.request.preemptible and c.stage is not Stage.RECALLING and c.enforced >= walled
    ]
    for claim in sorted(candidates, key=_harm):
        amount = _reach(claim) if claim.unowned else min(_reach(claim), excess[claim.share.team])
        if amount > 0:
            excess[claim.share.team] -= 0 if claim.unowned else amount
            yield Victim(claim, amount)


def _reach(claim: Claim) -> int:
    """GPUs a recall can bring back: what may be used, and for the unowned what is used without leave."""
    return max(claim.allowance, claim.used) if claim.unowned else claim.allowance


def _excess(desk: Desk) -> dict[str, int]:
    """What each share may use above its guarantee and is not giving back already."""
    usable: dict[str, int] = defaultdict(int)
    guaranteed: dict[str, int] = {}
    for claim in desk.claims:
        guaranteed[claim.share.team] = guarantee_of(claim.share, desk.ledger.resource)
        if not claim.unowned:
            usable[claim.share.team] += claim.allowance - min(claim.allowance, _coming(claim))
    return {team: max(0, usable[team] - promised) for team, promised in guaranteed.items()}


def _harm(claim: Claim) -> tuple[object, ...]:
    return (
        not claim.unowned,
        claim.used >= claim.allowance,
        claim.request.priority.rank,
        -claim.since.timestamp(),
        claim.key,
    )


def evictions(snapshot: Snapshot, desk: Desk, books: Books, outcome: Outcome) -> tuple[Evict, ...]:
    """Whole units of recalled borrowers whose notice has run out, only what is still missing."""
    left = missing(desk, outcome)
    found: list[Evict] = []
    for claim in desk.claims:
        if not _due(claim, snapshot.now):
            continue
        surplus = min(left, _coming(claim))
        taken = list(_take(claim, books.of(claim.key), surplus, snapshot.now))
        found += taken
        left -= surplus
    return tuple(found)


def _due(claim: Claim, now: datetime) -> bool:
    timer = claim.timer
    return (
        claim.enforced
        and claim.stage is Stage.RECALLING
        and timer is not None
        and timer.deadline is not None
        and now >= timer.deadline
    )


def _take(claim: Claim, pods: Sequence[Pod], surplus: int, now: datetime) -> Iterable[Evict]:
    """Units in the order of least harm until the surplus is covered; pods on their way out count as taken."""
    resource = claim.request.resource
    forced = claim.timer is not None and claim.timer.forced_at is not None and now >= claim.timer.forced_at
    surplus -= sum(p.gpus.get(resource, 0) for p in pods if p.terminating)
    alive = sorted((p for p in pods if not p.terminating), key=lambda p: p.unit)
    units = [tuple(members) for _, members in groupby(alive, key=lambda p: p.unit)]
    for unit in sorted(units, key=_unit_harm):
        if surplus <= 0:
            return
        surplus -= sum(p.gpus.get(resource, 0) for p in unit)
        for pod in unit:
            yield Evict(pod.key, pod.uid, claim.key.name, force=forced)


def _unit_harm(unit: Sequence[Pod]) -> tuple[object, ...]:
    """Units that run nothing first, then the youngest: they lose the least work."""
    times = [t for p in unit if (t := p.started or p.created) is not None]
    return (
        any(p.node is not None and p.running for p in unit),
        -(max(times).timestamp() if times else 0.0),
        unit[0].unit,
    )

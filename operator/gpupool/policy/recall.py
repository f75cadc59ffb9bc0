"""Bringing borrowed GPUs back to a guarantee that needs them (law 4).

Notice first: a deadline is written, and only a later cycle that reads it lowers the borrower. Quota comes
first, then whole preemptible units by eviction after `recall.notice` (`eviction.py`). Nothing is taken that
would not cover the need it is taken for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Key, Snapshot, Timer
from gpupool.policy.allocation import Outcome
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
        if claim.stage is Stage.RECALLING and claim.timer is not None:
            desk.cut(claim.key, claim.timer.target or 0)


def decide(snapshot: Snapshot, desk: Desk, outcome: Outcome) -> int:
    """End recalls that nobody needs any more, and give notice for what is missing beyond those under way.

    Returns the GPUs that borrowers have to bring back now.
    """
    victims = tuple(_borrowers(desk, outcome))
    under_way = sum(coming(c) for c in desk.claims)
    needed = _needed(desk, outcome, under_way + sum(v.gpus for v in victims))
    for claim in desk.claims:
        if claim.stage is Stage.RECALLING and (needed == 0 or coming(claim) == 0):
            desk.mark(replace(claim, timer=None))
    for victim in _choose(victims, needed - under_way):
        desk.mark(replace(victim.claim, timer=_notice(snapshot, victim)))
    return needed


def _needed(desk: Desk, outcome: Outcome, reachable: int) -> int:
    """GPUs to bring back: what is owed, in the order it was asked, as far as borrowers can cover it."""
    free = desk.room + sum(o.gpus for o in outcome.owed)
    covered = 0
    for owed in outcome.owed:
        take = min(owed.gpus, free + reachable - covered)
        covered += take if take >= owed.least else 0
    return max(0, covered - free) if covered else 0


def coming(claim: Claim) -> int:
    """GPUs that a running recall will still free."""
    if claim.stage is not Stage.RECALLING or claim.timer is None:
        return 0
    return max(0, reach(claim) - (claim.timer.target or 0))


def reach(claim: Claim) -> int:
    """GPUs a recall can bring back: what may be used, and what is used without leave."""
    return max(claim.allowance, claim.used)


def _notice(snapshot: Snapshot, victim: Victim) -> Timer:
    recall = snapshot.pool.recall
    return Timer(
        stage=Stage.RECALLING,
        since=snapshot.now,
        deadline=snapshot.now + recall.notice,
        target=reach(victim.claim) - victim.gpus,
        forced_at=snapshot.now + max(recall.within, recall.notice),
    )


def _choose(victims: Sequence[Victim], needed: int) -> Iterable[Victim]:
    """The first victims, in the order of least harm, that cover what is needed."""
    for victim in victims:
        if needed <= 0:
            return
        taken = min(victim.gpus, needed)
        needed -= taken
        yield Victim(victim.claim, taken)


def _borrowers(desk: Desk, outcome: Outcome) -> Iterable[Victim]:
    """Who can be asked to return GPUs, by least harm: unowned and unheld first, lower priority, younger."""
    excess = _excess(desk, outcome)
    owners = {o.key for o in outcome.owed}
    # A borrower without a wall cannot be made to return anything to a namespace that has one.
    walled = any(c.walled for c in desk.claims)
    candidates = [
        c
        for c in desk.claims
        if c.stage is not Stage.RECALLING and c.walled >= walled and c.key not in owners
    ]
    overdrafts = _overdrafts(desk)
    for claim in sorted(candidates, key=_harm):
        amount = min(reach(claim), excess[claim.share.team])
        if claim.unowned:
            # Implicit quota that overdrawn siblings run on frees nothing when it is lowered.
            amount = max(claim.used, claim.allowance - overdrafts[claim.key.namespace])
        elif not claim.request.preemptible:
            # Consent to borrowing cannot be withdrawn while it lasts.
            amount = min(claim.allowance, amount, desk.beyond_guarantee(claim))
        if amount > 0:
            excess[claim.share.team] -= 0 if claim.unowned else amount
            yield Victim(claim, amount)


def _overdrafts(desk: Desk) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for claim in desk.claims:
        found[claim.key.namespace] += 0 if claim.unowned else claim.overdraft
    return found


def _excess(desk: Desk, outcome: Outcome) -> dict[str, int]:
    """What each share uses, or will with what it is owed, above its guarantee and is not giving back yet."""
    usable: dict[str, int] = defaultdict(int)
    guaranteed: dict[str, int] = {}
    owed: dict[Key, int] = {o.key: o.gpus for o in outcome.owed}
    for claim in desk.claims:
        guaranteed[claim.share.team] = guarantee_of(claim.share, desk.ledger.resource)
        if not claim.unowned:
            own = reach(claim) if claim.request.preemptible else claim.allowance
            usable[claim.share.team] += own - coming(claim) + owed.get(claim.key, 0)
    return {team: max(0, usable[team] - promised) for team, promised in guaranteed.items()}


def _harm(claim: Claim) -> tuple[object, ...]:
    return (
        not claim.unowned,
        not claim.request.preemptible,
        claim.used >= claim.allowance,
        claim.request.priority.rank,
        -claim.since.timestamp(),
        claim.key,
    )

"""Bringing borrowed GPUs back to a guarantee that needs them (law 4).

Notice first: a deadline is written, and only a later cycle that reads it lowers the borrower. Quota comes
first, then whole preemptible units by eviction after `recall.notice` (`eviction.py`). Nothing is taken that
would not cover the need it is taken for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gpupool.model.objects import Key, Timer
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.policy.allocation import Outcome
from gpupool.policy.claims import Claim, guarantee_of
from gpupool.policy.desk import Desk
from gpupool.policy.handover import Handover, handovers, take_over
from gpupool.policy.returning import Returning, returning
from gpupool.policy.senses import cannot_take
from gpupool.policy.shortage import wanted_by_guarantees


@dataclass(frozen=True, slots=True)
class Need:
    """GPUs to bring back, those of them that need a pod to go, and whose need they cover.

    `ended` are requests whose recall ends with this decision: they stood in no queue when GPUs were given.
    """

    gpus: int
    pods: int
    covered: frozenset[Key]
    ended: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Victim:
    """GPUs that a borrower can be asked for, and those of them that can be asked in this cycle."""

    claim: Claim
    gpus: int
    now: int


def lower(desk: Desk) -> None:
    """Carry out the quota part of recalls whose notice stands already."""
    for claim in desk.claims:
        if claim.stage is Stage.RECALLING:
            desk.cut(claim.key, claim.target)


def decide(snapshot: Snapshot, desk: Desk, outcome: Outcome) -> Need:
    """End recalls that nobody needs any more, and give notice for what is missing beyond those under way."""
    standing = returning(desk)
    moved = handovers(snapshot, desk, standing)
    grows = frozenset(
        c.key.namespace for c in desk.claims if c.key.namespace not in moved and _may_grow(snapshot, c)
    )
    victims = tuple(_borrowers(desk, outcome, standing, moved, grows))
    settling = desk.settling()
    under_way = settling + sum(standing.coming.values())
    need = _need(desk, outcome, settling, under_way + sum(v.gpus for v in victims))
    if cannot_take(snapshot) is not None:
        return need
    for key, gpus in standing.coming.items():
        _go_on(desk, desk.claim(key), gpus if need.gpus > 0 else 0)
    ended = frozenset(key for key in standing.coming if desk.claim(key).timer is None)
    for victim in _choose(victims, need.gpus - under_way):
        _give_notice(snapshot, desk, standing, victim, moved)
    return replace(need, ended=ended)


def _go_on(desk: Desk, claim: Claim, gpus: int) -> None:
    """Keep a recall for what it still brings, and end one that brings nothing."""
    timer = claim.timer if gpus > 0 else None
    if timer is not None and timer.granted is not None:
        timer = replace(timer, granted=(timer.target or 0) + gpus)
    desk.mark(replace(claim, timer=timer))


def _give_notice(
    snapshot: Snapshot, desk: Desk, standing: Returning, victim: Victim, moved: Mapping[str, Handover]
) -> None:
    """Ask a borrower to return GPUs; those that others were asked for before keep their deadline."""
    claim, namespace = victim.claim, victim.claim.key.namespace
    most = standing.nobodys[namespace] if claim.unowned else claim.allowance
    notice = _notice(snapshot, most, victim.now)
    if claim.unowned and namespace in moved:
        notice = take_over(desk.claim(claim.key), moved[namespace], notice, victim.now)
    elif claim.timer is not None and claim.stage is Stage.RECALLING:
        notice = _grown(claim.timer, notice, victim.now)
    desk.mark(replace(claim, timer=notice))


def _need(desk: Desk, outcome: Outcome, settling: int, reachable: int) -> Need:
    """GPUs to bring back: what is owed, in the order it was asked, as far as borrowers can cover it.

    Beside it stands what guaranteed pods wait for since capacity was lost, and overdue loans of surge.
    """
    free = desk.free
    sought, covered = 0, set()
    for owed in outcome.owed:
        take = min(owed.gpus, free + reachable - sought)
        if take >= owed.least:
            sought += take
            covered.add(owed.key)
    missing = max(0, sought - free) if covered else 0
    missing = max(missing, min(reachable, wanted_by_guarantees(desk)))
    missing += min(sum(desk.overdue.values()), max(0, reachable - missing))
    return Need(missing, max(0, missing - settling), frozenset(covered))


def _notice(snapshot: Snapshot, most: int, gpus: int) -> Timer:
    """Of `most` GPUs that may be used now so many will go."""
    recall = snapshot.pool.recall
    return Timer(
        stage=Stage.RECALLING,
        since=snapshot.now,
        deadline=snapshot.now + recall.notice,
        target=most - gpus,
        forced_at=snapshot.now + max(recall.within, recall.notice),
        granted=most,
    )


def _may_grow(snapshot: Snapshot, claim: Claim) -> bool:
    """Whether a notice to nobody may be given for more: it is not due, and is over when it was said.

    The implicit grant has one notice at a time. A need that shows a moment later, as when a wall has just
    come in force, would wait for all of it to be carried out, and only then for a notice of its own.
    """
    timer = claim.timer
    if timer is None or timer.deadline is None or timer.forced_at is None or not claim.unowned:
        return False
    young = snapshot.now < timer.deadline and snapshot.now + snapshot.pool.recall.notice <= timer.forced_at
    return claim.stage is Stage.RECALLING and young


def _grown(timer: Timer, notice: Timer, gpus: int) -> Timer:
    """The notice given anew for what stood on it and for more, to end when it was said."""
    return replace(
        timer, since=notice.since, deadline=notice.deadline, target=max(0, (timer.target or 0) - gpus)
    )


def _choose(victims: Sequence[Victim], needed: int) -> Iterable[Victim]:
    """The first victims, in the order of least harm, that cover what is needed."""
    for victim in victims:
        taken = min(victim.now, needed)
        if taken > 0:
            needed -= taken
            yield replace(victim, now=taken)


def _borrowers(
    desk: Desk,
    outcome: Outcome,
    standing: Returning,
    moved: Mapping[str, Handover],
    grows: frozenset[str],
) -> Iterable[Victim]:
    """Who can be asked to return GPUs, by least harm: unowned and unheld first, lower priority, younger.

    Those that lend a part already give more only where the others do not suffice.
    """
    excess = _excess(desk, outcome)
    owners = {o.key for o in outcome.owed}
    # A borrower without a wall cannot be made to return anything to a namespace that has one.
    walled = any(c.walled for c in desk.claims)
    candidates = [
        c
        for c in desk.claims
        if (c.stage is not Stage.RECALLING or c.unowned) and c.walled >= walled and c.key not in owners
    ]
    for claim in sorted(
        candidates, key=lambda c: (not (c.unowned and c.key.namespace in desk.overdue), _harm(c))
    ):
        if claim.unowned:
            amount, now = _of_nobody(claim, standing, moved, grows)
        else:
            # Consent to borrowing cannot be withdrawn while it lasts.
            most = claim.allowance if claim.request.preemptible else desk.beyond_guarantee(claim)
            amount = min(claim.allowance, most, excess[claim.share.team])
            excess[claim.share.team] -= amount
            now = amount
        if amount > 0:
            yield Victim(claim, amount, now)


def _of_nobody(
    claim: Claim, standing: Returning, moved: Mapping[str, Handover], grows: frozenset[str]
) -> tuple[int, int]:
    """What nobody can be asked for, and what of it now.

    There is one notice at a time, which may grow while it is young. Where what others were asked for changed
    hands, it is for that.
    """
    namespace = claim.key.namespace
    told = moved[namespace].gpus if namespace in moved else 0
    if claim.stage is not Stage.RECALLING:
        amount = standing.nobodys[namespace]
        return amount, min(amount, told) if told else amount
    amount = standing.nobodys[namespace] - standing.coming[claim.key]
    if namespace in grows:
        return amount, max(0, min(amount, claim.target))
    return amount, max(0, min(amount - claim.target, told))


def _excess(desk: Desk, outcome: Outcome) -> dict[str, int]:
    """What each share may use, or will with what it is owed, above its guarantee."""
    usable: dict[str, int] = defaultdict(int)
    guaranteed: dict[str, int] = {}
    owed: dict[Key, int] = {o.key: o.gpus for o in outcome.owed}
    for claim in desk.claims:
        guaranteed[claim.share.team] = guarantee_of(claim.share, desk.ledger.resource)
        if not claim.unowned:
            usable[claim.share.team] += claim.allowance + owed.get(claim.key, 0)
    return {team: max(0, usable[team] - promised) for team, promised in guaranteed.items()}


def _harm(claim: Claim) -> tuple[object, ...]:
    return (
        not claim.unowned,
        not claim.request.preemptible,
        claim.stage is Stage.LENT,
        claim.used >= claim.allowance,
        claim.request.priority.rank,
        -claim.since.timestamp(),
        claim.key,
    )

"""Which pods of recalled borrowers must leave: whole units, after the notice, only what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from gpupool.model.objects import Pod, Timer
from gpupool.model.plan import Evict
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.policy.attribution import Books, gpus
from gpupool.policy.claims import Claim
from gpupool.policy.desk import Desk
from gpupool.policy.returning import Returning, returning


@dataclass(frozen=True, slots=True)
class Unit:
    """Pods that are taken together."""

    name: str
    pods: tuple[Pod, ...]
    gpus: int

    @property
    def runs(self) -> bool:
        """Whether anything of it runs."""
        return any(p.node is not None and p.running for p in self.pods)

    @property
    def harm(self) -> tuple[object, ...]:
        """The youngest first: they lose the least work."""
        times = [t for p in self.pods if (t := p.started or p.created) is not None]
        return (-(max(times).timestamp() if times else 0.0), self.name)


def evictions(snapshot: Snapshot, desk: Desk, books: Books, needed: int) -> tuple[Evict, ...]:
    """Pods of recalled borrowers whose notice has run out, as far as `needed` GPUs are still missing."""
    standing = returning(desk)
    found: list[Evict] = []
    for claim in reversed(desk.claims):
        timer = claim.timer
        if timer is None or not _due(claim, timer, snapshot.now):
            continue
        surplus = min(needed, standing.coming[claim.key])
        needed -= surplus
        if not _wall_stands(desk, claim.key.namespace):
            continue
        force = timer.forced_at is not None and snapshot.now >= timer.forced_at
        for owner, most in _owners(desk, claim, standing):
            pods = books.of(owner.key)
            taken = tuple(_take(pods, owner.request.resource, min(surplus, most)))
            found += [Evict(p.key, p.uid, owner.key.name, force=force) for p in taken]
            surplus -= gpus((*taken, *(p for p in pods if p.terminating)), owner.request.resource)
    return tuple(found)


def _due(claim: Claim, timer: Timer, now: datetime) -> bool:
    # A notice given in this very cycle was not there for anybody to see.
    due = timer.deadline is not None and timer.since < now and now >= timer.deadline
    return claim.walled and claim.stage is Stage.RECALLING and due


def _wall_stands(desk: Desk, namespace: str) -> bool:
    """Whether the quota is in force as decided: under an open wall a pod that goes is made anew."""
    book = desk.ledger.books[namespace]
    return book.walled and max(book.hard, book.status_hard) <= desk.walls[namespace]


def _owners(desk: Desk, claim: Claim, standing: Returning) -> Iterable[tuple[Claim, int]]:
    """Whose pods may go, and how many GPUs of them.

    Behind the implicit grant stand pods beyond it and what is adrift of requests, borrowers' first.
    """
    if not claim.unowned:
        yield claim, claim.used
        return
    yield claim, claim.overdraft
    others = [c for c in reversed(desk.of_namespace(claim.key.namespace)) if not c.unowned]
    for other in sorted(others, key=lambda c: not c.request.preemptible):
        yield other, max(0, standing.adrift[other.key] - standing.coming.get(other.key, 0))


def _take(pods: Sequence[Pod], resource: str, surplus: int) -> Iterable[Pod]:
    """Units until the surplus is covered; pods on their way out count as taken."""
    left = surplus - gpus((p for p in pods if p.terminating), resource)
    for unit in fewest(_units(pods, resource), left):
        yield from unit.pods


def _units(pods: Sequence[Pod], resource: str) -> list[Unit]:
    alive = sorted(
        (p for p in pods if not p.terminating and p.gpus.get(resource, 0) > 0), key=lambda p: (p.unit, p.key)
    )
    units = ((name, tuple(members)) for name, members in groupby(alive, key=lambda p: p.unit))
    return [Unit(name, members, gpus(members, resource)) for name, members in units]


def fewest(units: Sequence[Unit], surplus: int) -> list[Unit]:
    """Units that cover the surplus, none of which could stay.

    Those that run nothing go first. Among each kind units that fit into what is missing go first; one that
    is larger goes only where they do not suffice, and then the smallest such.
    """
    chosen: list[Unit] = []
    left = surplus
    for running in (False, True):
        larger = []
        for unit in sorted((u for u in units if u.runs == running), key=lambda u: u.harm):
            if unit.gpus <= left:
                chosen.append(unit)
                left -= unit.gpus
            else:
                larger.append(unit)
        if left > 0 and larger:
            chosen.append(min(larger, key=lambda u: u.gpus))
            left -= chosen[-1].gpus
    return _without_needless(chosen, -left)


def _without_needless(chosen: Sequence[Unit], spare: int) -> list[Unit]:
    kept = []
    for unit in reversed(chosen):
        if unit.gpus <= spare:
            spare -= unit.gpus
        else:
            kept.append(unit)
    return kept[::-1]

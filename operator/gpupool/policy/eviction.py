"""Which pods of recalled borrowers must leave: whole units, after the notice, only what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from gpupool.model.plan import Evict
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Pod, Snapshot
from gpupool.policy.attribution import Books, gpus
from gpupool.policy.claims import Claim
from gpupool.policy.desk import Desk
from gpupool.policy.recall import coming


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
    found: list[Evict] = []
    for claim in reversed(desk.claims):
        if not _due(claim, snapshot.now):
            continue
        # What the lowered quota alone frees needs no pod to go.
        surplus = min(needed, coming(claim), claim.used - _target(claim))
        needed -= min(needed, coming(claim))
        found += _take(claim, books.of(claim.key), surplus, snapshot.now)
    return tuple(found)


def _target(claim: Claim) -> int:
    return 0 if claim.timer is None else claim.timer.target or 0


def _due(claim: Claim, now: datetime) -> bool:
    timer = claim.timer
    return (
        claim.walled
        and claim.stage is Stage.RECALLING
        and timer is not None
        and timer.deadline is not None
        and now >= timer.deadline
    )


def _take(claim: Claim, pods: Sequence[Pod], surplus: int, now: datetime) -> Iterable[Evict]:
    """Units until the surplus is covered; pods on their way out count as taken."""
    forced = claim.timer is not None and claim.timer.forced_at is not None and now >= claim.timer.forced_at
    resource = claim.request.resource
    surplus -= gpus((p for p in pods if p.terminating), resource)
    for unit in fewest(_units(pods, resource), surplus):
        for pod in unit.pods:
            yield Evict(pod.key, pod.uid, claim.key.name, force=forced)


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

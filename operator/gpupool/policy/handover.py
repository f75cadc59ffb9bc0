"""Notices of recalls whose pods changed hands: by a label, by a new request, by the end of the recalled one.

A notice is given for GPUs of a namespace, whoever they are booked on later. What a request was told would go
and is not its own any more is asked of the namespace's nobody, at the deadline that stood already: it is not
given anew (law 4), and it takes neither more than was told nor any of it sooner (law 5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gpupool.model.objects import Key, Namespace, Timer
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Snapshot
from gpupool.policy.claims import Claim
from gpupool.policy.desk import Desk
from gpupool.policy.returning import Returning, announced


@dataclass(frozen=True, slots=True)
class Handover:
    """GPUs that requests of a namespace were told would go and do not bring; the latest of those notices."""

    gpus: int
    timer: Timer


def handovers(snapshot: Snapshot, desk: Desk, standing: Returning) -> dict[str, Handover]:
    """By namespace. What is free by now nobody needs, so it is asked of nobody."""
    elsewhere = {r.key for r in snapshot.requests if r.resource != desk.ledger.resource}
    found = {}
    for namespace in snapshot.namespaces:
        left = [(n, t) for n, t in _left(namespace, desk, standing, elsewhere) if n > 0]
        if left:
            found[namespace.name] = Handover(sum(n for n, _ in left), _latest(t for _, t in left))
    return found


def _left(
    namespace: Namespace, desk: Desk, standing: Returning, elsewhere: set[Key]
) -> Iterable[tuple[int, Timer]]:
    """Notices of requests, also of deleted ones, with what is left of them beside what these bring."""
    if namespace.quota is None:
        return
    own = [c for c in desk.of_namespace(namespace.name) if not c.unowned]
    for name, timer in namespace.quota.timers.items():
        named = "/" not in name and Key(namespace.name, name) not in elsewhere
        if named and timer.stage is Stage.RECALLING:
            brought = sum(standing.coming.get(c.key, 0) for c in own if c.timer == timer)
            yield (announced(timer) or 0) - brought, timer


def _latest(timers: Iterable[Timer]) -> Timer:
    return max(timers, key=lambda t: (t.deadline or t.since, t.forced_at or t.since))


def take_over(claim: Claim, handover: Handover, notice: Timer, gpus: int) -> Timer:
    """The notice of a namespace's nobody for GPUs that were told before.

    It stands one cycle before it takes anything, so that it is told under its new name too. Where nobody was
    asked for others already, all go at the later of both deadlines.
    """
    told, timer = handover.timer, claim.timer
    if timer is None or claim.stage is not Stage.RECALLING:
        return replace(notice, deadline=told.deadline, forced_at=told.forced_at)
    later = _latest((timer, told))
    return replace(
        timer, deadline=later.deadline, forced_at=later.forced_at, granted=(timer.granted or 0) + gpus
    )

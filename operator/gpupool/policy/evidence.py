"""What the rules of under-use look at: a request's use, its peak, and what goes on around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from gpupool.model.snapshot import Snapshot
from gpupool.model.usage import Peak
from gpupool.policy.attribution import Books, gpus
from gpupool.policy.claims import Claim
from gpupool.policy.desk import Desk
from gpupool.policy.foreign import smallest
from gpupool.policy.measure import Measure, Measures


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the rules look at for one request."""

    snapshot: Snapshot
    claim: Claim
    measure: Measure
    around: Measure
    unattributed: int
    overdrawn: int
    peak: Peak | None
    granted_at: datetime | None
    quiet_since: datetime | None
    unseen: int = 0
    """GPUs that our quota counts in the namespace beyond those of all pods that are seen there."""
    week: int = 0
    """The most GPUs used within a week, of an endpoint under an InferenceSLO."""
    foreign: int | None = None
    """GPUs that the smallest quota of somebody else allows in the namespace; None without one."""

    @property
    def window(self) -> timedelta:
        """The pool's window."""
        return self.snapshot.pool.reclaim.window

    @property
    def efficiency(self) -> int:
        """Busy GPU-hours over granted GPU-hours of the window, in percent, rounded in the owner's favour."""
        granted = self.claim.granted * self.window.total_seconds()
        return 0 if granted <= 0 else min(100, ceil(100 * self.measure.busy_seconds / granted))

    @property
    def keep(self) -> int:
        """GPUs that are not lent: the lookback's peak and present use, plus headroom of at least one pod.

        Of an endpoint under an InferenceSLO it is a week's peak at least, and what it needs to serve again.
        """
        riding = self.overdrawn if self.claim.unowned else 0
        peak = max(self.peak.used if self.peak else 0, self.claim.used + riding, self.week)
        percent = -(-peak * self.snapshot.pool.reclaim.headroom // 100)
        return min(self.claim.granted, max(peak + max(self.claim.pod_size, percent), self.claim.wake))

    @property
    def young(self) -> timedelta:
        """For so long after a grant or a change of it nothing is said."""
        return max(self.snapshot.pool.reclaim.startup_grace, self.window)

    @property
    def unheld(self) -> int:
        """GPUs that could be requested and are not; what a smaller foreign quota forbids does not count."""
        within = self.claim.allowance if self.foreign is None else min(self.claim.allowance, self.foreign)
        return max(0, within - self.keep)


def overdrafts(desk: Desk) -> dict[str, int]:
    """GPUs per namespace that requests ask beyond what they may."""
    found: dict[str, int] = defaultdict(int)
    for claim in desk.claims:
        if not claim.unowned:
            found[claim.key.namespace] += claim.overdraft
    return found


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What evidence is taken from, looked up once per resource."""

    snapshot: Snapshot
    books: Books
    measures: Measures
    overdrawn: Mapping[str, int]
    unseen: Mapping[str, int]
    quota_created: Mapping[str, datetime | None]
    foreign: Mapping[str, int]


def look_around(snapshot: Snapshot, desk: Desk, books: Books, measures: Measures) -> Surroundings:
    """Collect what all requests of a resource share."""
    created = {n.name: n.quota.created for n in snapshot.namespaces if n.quota is not None}
    resource = desk.ledger.resource
    foreign = {name: quota.hard[resource] for name, quota in smallest(snapshot, resource).items()}
    return Surroundings(
        snapshot=snapshot,
        books=books,
        measures=measures,
        overdrawn=overdrafts(desk),
        unseen=_unseen(snapshot, resource),
        quota_created=created,
        foreign=foreign,
    )


def _unseen(snapshot: Snapshot, resource: str) -> dict[str, int]:
    """GPUs per namespace that quota counts and no pod explains: the server knows more than we see."""
    seen: dict[str, int] = defaultdict(int)
    for pod in snapshot.pods:
        seen[pod.key.namespace] += pod.gpus.get(resource, 0)
    counted = {n.name: n.quota.used.get(resource, 0) for n in snapshot.namespaces if n.quota is not None}
    return {name: max(0, used - seen[name]) for name, used in counted.items()}


def evidence(around: Surroundings, claim: Claim) -> Evidence:
    """Collect what the rules look at."""
    namespace, memory = claim.key.namespace, claim.request.remembered
    own = 0 if claim.unowned else claim.overdraft
    return Evidence(
        snapshot=around.snapshot,
        claim=claim,
        measure=around.measures.of(claim.key),
        around=around.measures.around(namespace),
        unattributed=gpus(around.books.unattributed.get(namespace, ()), claim.request.resource),
        overdrawn=around.overdrawn.get(namespace, 0) - own,
        peak=around.snapshot.usage.peaks.get(claim.key),
        granted_at=around.quota_created.get(namespace) if claim.unowned else memory.granted_at,
        quiet_since=memory.quiet_since,
        unseen=around.unseen.get(namespace, 0),
        foreign=around.foreign.get(namespace),
        week=around.snapshot.usage.week.get(claim.key, 0) if claim.slo else 0,
    )

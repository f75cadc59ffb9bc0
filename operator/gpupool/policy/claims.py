"""What each request has now, and the order in which requests are served.

The effective grant is the smaller of what the status says and what our quota says, so that a forged status
mints nothing. Where the status is missing (a new request over running pods, a restore, delete and
recreate), GPUs already held are granted before any new ask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gpupool.model.pool import Pool, Share
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import (
    Key,
    Namespace,
    ObjectRef,
    Priority,
    Quota,
    Request,
    Snapshot,
    Timer,
)
from gpupool.policy.attribution import Books, gpus, held
from gpupool.policy.ledger import Ledger, enforced

UNOWNED_REF = ObjectRef("", "Namespace", "unattributed")
"""Stands for the workload of an implicit grant."""

UNOWNED = str(UNOWNED_REF)
"""Timer key of a namespace's implicit grant."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A request with the numbers a decision needs, all in GPUs of its resource.

    `granted` is the claim, `allowance` what may be used now; they differ by what is lent out.
    `since` is when the present ask was made; `pod_size` the GPUs of its largest pod.
    """

    request: Request
    share: Share
    granted: int
    allowance: int
    used: int
    held: int
    demand: int
    pod_size: int
    since: datetime
    timer: Timer | None = None
    enforced: bool = False

    @property
    def key(self) -> Key:
        """The request's key."""
        return self.request.key

    @property
    def unowned(self) -> bool:
        """The implicit grant of a namespace: GPUs held without a request. Never a guarantee."""
        return self.request.key.name == ""

    @property
    def missing(self) -> int:
        """GPUs asked and not granted."""
        return max(0, self.request.gpus - self.granted)

    @property
    def lent(self) -> int:
        """GPUs granted and lent out right now."""
        return self.granted - self.allowance

    @property
    def stage(self) -> Stage:
        """Where a taking stands."""
        return Stage.NONE if self.timer is None else self.timer.stage

    def order(self) -> tuple[int, datetime, Key]:
        """Inside a share: by priority, then by the time of the ask, then by name."""
        return (-self.request.priority.rank, self.since, self.key)


def limit_of(share: Share, ledger: Ledger) -> int:
    """The most a share may be granted."""
    return min(share.limit.get(ledger.resource, ledger.usable), max(ledger.usable, ledger.total))


def guarantee_of(share: Share, resource: str) -> int:
    """What a share is promised."""
    return share.guaranteed.get(resource, 0)


def team_totals(claims: Iterable[Claim]) -> dict[str, int]:
    """Granted GPUs per share; implicit grants count for nobody."""
    totals: dict[str, int] = defaultdict(int)
    for claim in claims:
        totals[claim.share.team] += 0 if claim.unowned else claim.granted
    return totals


def build(snapshot: Snapshot, books: Books, ledger: Ledger) -> tuple[Claim, ...]:
    """The claims of one resource in serving order, owners' own decreases applied."""
    namespaces = {n.name: n for n in snapshot.namespaces}
    by_namespace: dict[str, list[Claim]] = defaultdict(list)
    for request in snapshot.requests:
        namespace = namespaces.get(request.key.namespace)
        share = None if namespace is None else _share(snapshot.pool, namespace)
        if share is None or namespace is None or request.resource != ledger.resource:
            continue
        claim = _remembered(snapshot, books, request, share, namespace)
        by_namespace[namespace.name].append(claim)
    claims = [
        c for name, own in by_namespace.items() for c in _believed(own, namespaces[name], ledger.resource)
    ]
    adopted = _adopted(sorted(claims, key=Claim.order), namespaces, ledger)
    return (*adopted, *_implicit(snapshot, books, ledger, claims, adopted))


def _share(pool: Pool, namespace: Namespace) -> Share | None:
    return next((s for s in pool.shares if s.team == namespace.team), None)


def _remembered(
    snapshot: Snapshot, books: Books, request: Request, share: Share, namespace: Namespace
) -> Claim:
    """The claim as status and timers tell it; `granted` is -1 where nothing was ever written."""
    memory = request.remembered
    pods = books.pods.get(request.key, ())
    members = frozenset(n.name for n in snapshot.nodes)
    walled = enforced(snapshot, namespace)
    timer = memory.timer
    if walled and namespace.quota is not None:
        timer = _inherited(namespace.quota, request)
    granted = -1 if memory.granted is None else min(memory.granted, request.gpus)
    allowance = granted if memory.allowance is None else min(memory.allowance, granted)
    raised = memory.asked is not None and request.gpus > memory.asked
    return Claim(
        request=request,
        share=share,
        granted=granted,
        allowance=allowance,
        used=gpus(pods, request.resource),
        held=held(pods, request.resource, members),
        demand=books.demand.get(request.key, 0),
        pod_size=max(1, books.pod_size.get(request.key, 1)),
        since=snapshot.now if raised else (memory.queued_at or request.created),
        timer=timer,
        enforced=walled,
    )


def _inherited(quota: Quota, request: Request) -> Timer | None:
    """The timer on our quota; a request without a status takes over the one of its workload."""
    own = quota.timers.get(request.key.name)
    if own is not None or request.remembered.granted is not None:
        return own
    return next((t for _, t in sorted(quota.timers.items()) if t.workload == request.workload), None)


def _believed(claims: Sequence[Claim], namespace: Namespace, resource: str) -> list[Claim]:
    """Cut what the status says to what our quota says, in serving order."""
    if namespace.quota is None or not any(c.enforced for c in claims):
        return list(claims)
    left = max(0, namespace.quota.hard.get(resource, 0) - namespace.quota.implicit.get(resource, 0))
    believed = []
    for claim in sorted(claims, key=Claim.order):
        if claim.granted < 0:
            believed.append(claim)
            continue
        allowance = min(claim.allowance, left)
        left -= allowance
        whole = claim.stage is Stage.LENT or claim.allowance == allowance
        granted = claim.granted if whole else allowance
        believed.append(replace(claim, granted=max(granted, allowance), allowance=allowance))
    return believed


def _adopted(
    claims: Sequence[Claim], namespaces: Mapping[str, Namespace], ledger: Ledger
) -> tuple[Claim, ...]:
    """Give requests without a status what they already hold, or what is left of our own quota."""
    totals = team_totals(c for c in claims if c.granted > 0)
    firm: dict[str, int] = defaultdict(int)
    spoken: dict[str, int] = defaultdict(int)
    for claim in claims:
        if claim.granted > 0:
            spoken[claim.key.namespace] += claim.allowance
            firm[claim.share.team] += 0 if claim.request.preemptible else claim.granted
    result = []
    for claim in claims:
        if claim.granted >= 0:
            result.append(claim)
            continue
        quota = namespaces[claim.key.namespace].quota if claim.enforced else None
        left = _left_of(quota, ledger.resource) - spoken[claim.key.namespace]
        team = claim.share.team
        rule = (
            limit_of(claim.share, ledger) - totals[team]
            if claim.request.preemptible
            else guarantee_of(claim.share, ledger.resource) - firm[team]
        )
        rebuilt = left if left >= claim.request.min_gpus else 0
        given = max(0, min(claim.request.gpus, max(claim.held, rebuilt), rule))
        totals[team] += given
        spoken[claim.key.namespace] += given
        firm[team] += 0 if claim.request.preemptible else given
        result.append(replace(claim, granted=given, allowance=given))
    return tuple(result)


def _implicit(
    snapshot: Snapshot, books: Books, ledger: Ledger, before: Sequence[Claim], after: Sequence[Claim]
) -> Iterable[Claim]:
    """One unowned claim per enforced namespace.

    A namespace's first quota covers what runs; from then on the implicit grant only shrinks: by what a new
    request attributes, and by the reclaim of unheld GPUs.
    """
    fresh = {c.key for c in before if c.granted < 0}
    for namespace in snapshot.namespaces:
        share = _share(snapshot.pool, namespace)
        if share is None or not enforced(snapshot, namespace):
            continue
        own = [c for c in after if c.key.namespace == namespace.name]
        book = ledger.books[namespace.name]
        covered = sum(c.allowance for c in own)
        taken_over = sum(c.granted for c in own if c.key in fresh)
        first = namespace.quota is None
        implicit = max(0, book.used - covered) if first else max(0, book.implicit - taken_over)
        pods = books.unattributed.get(namespace.name, ())
        quota_timers = namespace.quota.timers if namespace.quota else {}
        yield Claim(
            request=_unowned_request(snapshot, namespace.name, ledger.resource),
            share=share,
            granted=implicit,
            allowance=implicit,
            used=max(0, book.used - sum(min(c.used, c.allowance) for c in own)),
            held=held(pods, ledger.resource, frozenset(n.name for n in snapshot.nodes)),
            demand=0,
            pod_size=max([1, *(p.gpus.get(ledger.resource, 0) for p in pods)]),
            since=snapshot.now,
            timer=quota_timers.get(UNOWNED),
            enforced=True,
        )


def _unowned_request(snapshot: Snapshot, namespace: str, resource: str) -> Request:
    return Request(
        key=Key(namespace, ""),
        uid="",
        generation=0,
        created=snapshot.now,
        gpus=0,
        min_gpus=0,
        team="",
        contact="",
        expected_utilization=100,
        resource=resource,
        ref=UNOWNED_REF,
        priority=Priority.LOW,
        preemptible=True,
    )


def _left_of(quota: Quota | None, resource: str) -> int:
    return 0 if quota is None else quota.hard.get(resource, 0) - quota.implicit.get(resource, 0)

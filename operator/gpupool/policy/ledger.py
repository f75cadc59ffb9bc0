"""The ledger of one resource: capacity, commitments, what is free (law 2).

    Σ commitment + reserve + system use ≤ capacity

`usable` already has reserve and system use taken off, so the law reads Σ commitment ≤ usable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from gpupool.model.annotations import QUOTA_NAME
from gpupool.model.objects import Namespace, Quota
from gpupool.model.snapshot import Snapshot
from gpupool.policy.territory import Territory


@dataclass(frozen=True, slots=True)
class Book:
    """One namespace's numbers of one resource, in GPUs.

    `walled` says that a quota of ours counts the resource; one that is on its way out lets pods in too.
    `lingering` is held by Terminating pods that outstay their grace: quota counts them no more, and lets
    others in beside them. `opening`: the wall says less than is granted until all walls are in force.
    `lent`: what the wall lets in on loans of surge, beside all that is granted behind it.
    """

    namespace: str
    walled: bool
    hard: int
    status_hard: int
    used: int
    held: int
    implicit: int
    lingering: int = 0
    opening: bool = False
    lent: int = 0

    @property
    def allowed(self) -> int:
        """What the wall says of grants."""
        return max(0, self.hard - self.lent)

    @property
    def commitment(self) -> int:
        """What is or could be taken. Without a quota of ours only what is held is known."""
        if not self.walled:
            return self.held
        return max(self.hard + self.lingering, self.status_hard + self.lingering, self.used, self.held)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Capacity and books of one resource.

    Attributes:
        unwalled: namespaces whose wall is to stand and is not in force: a quota keeps no pod out until the
            quota controller has counted for the first time.
    """

    resource: str
    total: int
    usable: int
    reserve: int
    system: int
    books: Mapping[str, Book]
    unwalled: frozenset[str] = frozenset()

    def may_rise(self, namespace: str) -> bool:
        """Whether a wall may be raised: not beside another one that keeps nobody out yet."""
        return self.unwalled <= {namespace}


def build(snapshot: Snapshot, territory: Territory, resource: str) -> Ledger:
    """The ledger of `resource` as the snapshot shows it."""
    counts = _count(snapshot, territory, resource)
    system = sum(counts.held[n.name] for n in snapshot.namespaces if n.system)
    reserve = snapshot.pool.reserve.get(resource, 0)
    total, available = _capacity(snapshot, resource, counts.by_node)
    return Ledger(
        resource=resource,
        total=total,
        usable=available - reserve - system,
        reserve=reserve,
        system=system,
        books={n.name: _book(n, resource, counts) for n in snapshot.namespaces if not n.system},
        unwalled=frozenset(n for n in territory.walled if _open(territory.namespaces[n], resource)),
    )


def name_taken(namespace: Namespace) -> bool:
    """Whether somebody's quota has the name of ours: no wall can stand there, and the pool says so."""
    return any(q.name == QUOTA_NAME for q in namespace.foreign)


def _open(namespace: Namespace, resource: str) -> bool:
    """Whether a wall that is to stand keeps nobody out yet: admission knows only what the status says."""
    quota = namespace.quota
    counted = quota is not None and resource in quota.hard and resource in quota.status_hard
    return not counted and not name_taken(namespace)


@dataclass(frozen=True, slots=True)
class _Counts:
    """GPUs by node, and by namespace those held, requested, and held on the way out."""

    by_node: defaultdict[str, int]
    held: defaultdict[str, int]
    used: defaultdict[str, int]
    ending: defaultdict[str, int]


def _count(snapshot: Snapshot, territory: Territory, resource: str) -> _Counts:
    counts = _Counts(defaultdict(int), defaultdict(int), defaultdict(int), defaultdict(int))
    for pod in snapshot.pods:
        gpus = pod.gpus.get(resource, 0)
        counts.used[pod.key.namespace] += gpus
        if pod.node in territory.nodes:
            counts.by_node[pod.node or ""] += gpus
            counts.held[pod.key.namespace] += gpus
            counts.ending[pod.key.namespace] += gpus if pod.terminating else 0
    return counts


def _capacity(snapshot: Snapshot, resource: str, held: Mapping[str, int]) -> tuple[int, int]:
    """Total and available: of a node that is cordoned, NotReady or on its way out only what is held is."""
    total = sum(n.gpus.get(resource, 0) for n in snapshot.nodes)
    lost = sum(
        max(0, n.gpus.get(resource, 0) - held.get(n.name, 0))
        for n in snapshot.nodes
        if not (n.ready and n.schedulable and n.selected)
    )
    declared = snapshot.pool.declared.get(resource)
    return (total, total - lost) if declared is None else (declared, declared - lost)


def _book(namespace: Namespace, resource: str, counts: _Counts) -> Book:
    quota, used, held = namespace.quota, counts.used[namespace.name], counts.held[namespace.name]
    if quota is None or resource not in quota.hard:
        return Book(namespace.name, False, 0, 0, used, held, 0)
    return Book(
        namespace=namespace.name,
        walled=True,
        hard=quota.hard[resource],
        status_hard=quota.status_hard.get(resource, 0),
        used=max(quota.used.get(resource, 0), used),
        held=held,
        implicit=quota.implicit.get(resource, 0),
        lingering=_lingering(quota, resource, used, counts.ending[namespace.name]),
        opening=quota.opening,
        lent=sum(x.gpus for x in quota.loans.values() if x.resource == resource),
    )


def _lingering(quota: Quota, resource: str, used: int, ending: int) -> int:
    """GPUs of pods on their way out that the quota has stopped counting; none before it counts at all."""
    if resource not in quota.status_hard:
        return 0
    return min(ending, max(0, used - quota.used.get(resource, 0)))

"""The ledger of one resource: capacity, commitments, what is free (law 2).

    Σ commitment + reserve + system use ≤ capacity

`usable` already has reserve and system use taken off, so the law reads Σ commitment ≤ usable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from gpupool.model.pool import Mode
from gpupool.model.snapshot import Namespace, Snapshot


@dataclass(frozen=True, slots=True)
class Book:
    """One namespace's numbers of one resource, in GPUs."""

    namespace: str
    enforced: bool
    hard: int
    status_hard: int
    used: int
    held: int
    implicit: int

    def commitment(self, wall: int) -> int:
        """What is or could be taken. Without a quota of ours the wall is the decision itself."""
        if self.enforced:
            return max(self.hard, self.status_hard, self.used, self.held)
        return max(wall, self.held)

    @property
    def settled(self) -> bool:
        """Whether the controller-manager has confirmed the quota that was written."""
        return not self.enforced or self.status_hard == self.hard


@dataclass(frozen=True, slots=True)
class Ledger:
    """Capacity and books of one resource."""

    resource: str
    total: int
    usable: int
    reserve: int
    system: int
    held: int
    books: Mapping[str, Book]

    def room(self, walls: Mapping[str, int]) -> int:
        """GPUs free for a raise; negative where the law is already broken."""
        return self.usable - self.committed(walls)

    def committed(self, walls: Mapping[str, int]) -> int:
        """Sum of all commitments, given the walls of namespaces that have no quota of ours."""
        return sum(b.commitment(walls.get(n, 0)) for n, b in self.books.items())


def enforced(snapshot: Snapshot, namespace: Namespace) -> bool:
    """Whether our quota is the wall of this namespace."""
    share = next((s for s in snapshot.pool.shares if s.team == namespace.team), None)
    return snapshot.pool.quota_for(share) is Mode.ENFORCE


def build(snapshot: Snapshot, resource: str) -> Ledger:
    """The ledger of `resource` as the snapshot shows it."""
    held_by_node, held_by_namespace, used_by_namespace = _counts(snapshot, resource)
    system_names = {n.name for n in snapshot.namespaces if n.system}
    system = sum(held_by_namespace.get(n, 0) for n in system_names)
    reserve = snapshot.pool.reserve.get(resource, 0)
    total, available = _capacity(snapshot, resource, held_by_node)
    books = {
        n.name: _book(
            snapshot, n, resource, held_by_namespace.get(n.name, 0), used_by_namespace.get(n.name, 0)
        )
        for n in snapshot.namespaces
        if not n.system
    }
    return Ledger(
        resource=resource,
        total=total,
        usable=available - reserve - system,
        reserve=reserve,
        system=system,
        held=sum(b.held for b in books.values()),
        books=books,
    )


def _counts(snapshot: Snapshot, resource: str) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    members = {n.name for n in snapshot.nodes}
    by_node: dict[str, int] = defaultdict(int)
    by_namespace: dict[str, int] = defaultdict(int)
    used: dict[str, int] = defaultdict(int)
    for pod in snapshot.pods:
        count = pod.gpus.get(resource, 0)
        used[pod.key.namespace] += count
        if pod.node in members:
            by_node[pod.node or ""] += count
            by_namespace[pod.key.namespace] += count
    return by_node, by_namespace, used


def _capacity(snapshot: Snapshot, resource: str, held: Mapping[str, int]) -> tuple[int, int]:
    """Total and available: free GPUs of a cordoned or NotReady node are not available, held ones are."""
    total = sum(n.gpus.get(resource, 0) for n in snapshot.nodes)
    lost = sum(
        max(0, n.gpus.get(resource, 0) - held.get(n.name, 0))
        for n in snapshot.nodes
        if not (n.ready and n.schedulable)
    )
    declared = snapshot.pool.declared.get(resource)
    return (total, total - lost) if declared is None else (declared, declared - lost)


def _book(snapshot: Snapshot, namespace: Namespace, resource: str, held: int, used: int) -> Book:
    quota = namespace.quota
    if quota is None or not enforced(snapshot, namespace):
        return Book(namespace.name, False, 0, 0, used, held, 0)
    return Book(
        namespace=namespace.name,
        enforced=True,
        hard=quota.hard.get(resource, 0),
        status_hard=quota.status_hard.get(resource, 0),
        used=max(quota.used.get(resource, 0), used),
        held=held,
        implicit=quota.implicit.get(resource, 0),
    )

"""The quota objects that carry the decision: walls per namespace, timers, the implicit grant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gpupool.model.plan import DropQuota, SetQuota
from gpupool.model.snapshot import Namespace, Quota, Snapshot, Timer
from gpupool.policy.claims import UNOWNED
from gpupool.policy.desk import Desk
from gpupool.policy.ledger import enforced


def actions(snapshot: Snapshot, desks: Mapping[str, Desk]) -> tuple[SetQuota | DropQuota, ...]:
    """Quota writes, lowerings before raises (law 2)."""
    timers = _timers(desks.values())
    implicit = _implicit(desks)
    walls = {resource: desk.walls() for resource, desk in desks.items()}
    writes: list[SetQuota | DropQuota] = []
    for namespace in snapshot.namespaces:
        if enforced(snapshot, namespace):
            hard = {r: w.get(namespace.name, 0) for r, w in walls.items()}
            write = _write(namespace, hard, timers.get(namespace.name, {}), implicit.get(namespace.name, {}))
            writes += [] if write is None else [write]
        elif namespace.quota is not None and not _leaving(snapshot, namespace):
            writes.append(DropQuota(namespace.name))
    return tuple(sorted(writes, key=lambda a: isinstance(a, SetQuota) and a.raises))


def _leaving(snapshot: Snapshot, namespace: Namespace) -> bool:
    """A namespace that no share lists any more keeps its wall until it holds nothing of the pool."""
    nodes = {n.name for n in snapshot.nodes}
    holds = any(p.key.namespace == namespace.name and p.node in nodes for p in snapshot.pods)
    return namespace.team is None and namespace.pool_label == snapshot.pool.name and holds


def _write(
    namespace: Namespace, hard: Mapping[str, int], timers: Mapping[str, Timer], implicit: Mapping[str, int]
) -> SetQuota | None:
    quota = namespace.quota or Quota(hard={}, status_hard={}, used={})
    if namespace.quota is not None and (quota.hard, quota.timers, quota.implicit) == (hard, timers, implicit):
        return None
    return SetQuota(
        namespace=namespace.name,
        hard=hard,
        timers=timers,
        implicit=implicit,
        resource_version=quota.resource_version,
        raises=any(hard[r] > quota.hard.get(r, 0) for r in hard),
    )


def _timers(desks: Iterable[Desk]) -> dict[str, dict[str, Timer]]:
    found: dict[str, dict[str, Timer]] = {}
    for desk in desks:
        for claim in desk.claims:
            if claim.timer is not None:
                name = UNOWNED if claim.unowned else claim.key.name
                timer = replace(claim.timer, workload=claim.request.workload)
                found.setdefault(claim.key.namespace, {})[name] = timer
    return found


def _implicit(desks: Mapping[str, Desk]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for resource, desk in desks.items():
        for claim in desk.claims:
            if claim.unowned and claim.allowance > 0:
                found.setdefault(claim.key.namespace, {})[resource] = claim.allowance
    return found

"""The quota objects that carry the decision: walls per namespace, timers, the implicit grant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from gpupool.model.plan import DropQuota, SetQuota
from gpupool.model.pool import Pool
from gpupool.model.reasons import Stage
from gpupool.model.snapshot import Namespace, Quota, Snapshot, Timer
from gpupool.policy.desk import Desk
from gpupool.policy.rebuilding import timer_name
from gpupool.policy.territory import Territory

Write = SetQuota | DropQuota


def actions(snapshot: Snapshot, territory: Territory, desks: Mapping[str, Desk]) -> tuple[Write, ...]:
    """Quota writes, lowerings before raises (law 2)."""
    timers = _timers(snapshot, desks.values())
    implicit = _implicit(desks)
    walls = {resource: desk.walls for resource, desk in desks.items()}
    writes: list[Write] = [_drop(n.name, n.quota) for n in snapshot.stray_namespaces if n.quota is not None]
    for namespace in snapshot.namespaces:
        name = namespace.name
        if name in territory.walled:
            hard = {r: w.get(name, 0) for r, w in walls.items()}
            writes += _write(snapshot.pool, namespace, hard, timers.get(name, {}), implicit.get(name, {}))
        elif namespace.quota is not None and _leaving(snapshot, namespace, desks):
            hard = {
                r: min(namespace.quota.hard.get(r, 0), d.ledger.books[name].used) for r, d in desks.items()
            }
            writes += _write(snapshot.pool, namespace, hard, {}, {})
        elif namespace.quota is not None:
            writes.append(_drop(name, namespace.quota))
    return tuple(sorted(writes, key=lambda a: isinstance(a, SetQuota) and a.raises))


def _drop(namespace: str, quota: Quota) -> DropQuota:
    return DropQuota(namespace, quota.uid, quota.resource_version)


def _leaving(snapshot: Snapshot, namespace: Namespace, desks: Mapping[str, Desk]) -> bool:
    """A namespace that no share lists any more keeps a closing wall until it holds nothing of the pool."""
    holds = any(d.ledger.books[namespace.name].held > 0 for d in desks.values())
    quota_pool = namespace.quota.pool if namespace.quota is not None else ""
    ours = snapshot.pool.name in {namespace.pool_label, quota_pool}
    return namespace.team is None and ours and holds and snapshot.pool.walls


def _write(
    pool: Pool,
    namespace: Namespace,
    hard: Mapping[str, int],
    timers: Mapping[str, Timer],
    implicit: Mapping[str, int],
) -> Iterable[SetQuota]:
    quota = namespace.quota or Quota(hard={}, status_hard={}, used={})
    if _marked(quota, pool) and (quota.hard, quota.timers, quota.implicit) == (hard, timers, implicit):
        return
    yield SetQuota(
        namespace=namespace.name,
        hard=hard,
        timers=timers,
        implicit=implicit,
        resource_version=quota.resource_version,
        uid=quota.uid,
        raises=any(hard[r] > quota.hard.get(r, 0) for r in hard),
    )


def _marked(quota: Quota, pool: Pool) -> bool:
    """Whether it carries our labels and goes with this very pool: a namesake's is collected any moment."""
    return quota.labelled and quota.pool == pool.name and pool.uid in quota.owners


def _timers(snapshot: Snapshot, desks: Iterable[Desk]) -> dict[str, dict[str, Timer]]:
    found = _left_behind(snapshot)
    for desk in desks:
        for claim in desk.claims:
            if claim.timer is not None:
                timer = replace(claim.timer, workload=claim.request.workload)
                found[claim.key.namespace][timer_name(claim)] = timer
    return found


def _left_behind(snapshot: Snapshot) -> defaultdict[str, dict[str, Timer]]:
    """Open takings of requests that were deleted: recreated within a window, they go on (law 5)."""
    live = {(r.key.namespace, word) for r in snapshot.requests for word in (r.key.name, r.workload)}
    found: defaultdict[str, dict[str, Timer]] = defaultdict(dict)
    for namespace in snapshot.namespaces:
        for name, timer in namespace.quota.timers.items() if namespace.quota else ():
            taken = {(namespace.name, name), (namespace.name, timer.workload)} & live
            if not taken and "/" not in name and _still_counts(snapshot, timer):
                found[namespace.name][name] = timer
    return found


def _still_counts(snapshot: Snapshot, timer: Timer) -> bool:
    if timer.stage is Stage.RECALLING or timer.deadline is None:
        return False
    return snapshot.now < timer.deadline + snapshot.pool.reclaim.window


def _implicit(desks: Mapping[str, Desk]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for resource, desk in desks.items():
        for claim in desk.claims:
            if claim.unowned and claim.allowance > 0:
                found.setdefault(claim.key.namespace, {})[resource] = claim.allowance
    return found

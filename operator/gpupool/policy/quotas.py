"""The quota objects that carry the decision: walls per namespace, timers, the implicit grant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from gpupool.model.objects import Loan, Namespace, Quota
from gpupool.model.plan import DropQuota, SetQuota
from gpupool.model.pool import Pool
from gpupool.model.snapshot import Snapshot
from gpupool.policy.desk import Desk
from gpupool.policy.territory import Territory
from gpupool.policy.timers import NONE, Kept, kept

Write = SetQuota | DropQuota


def actions(snapshot: Snapshot, territory: Territory, desks: Mapping[str, Desk]) -> tuple[Write, ...]:
    """Quota writes, lowerings before raises (law 2)."""
    timers = kept(snapshot, desks.values())
    implicit, loans = _implicit(desks), _loans(desks.values())
    writes: list[Write] = [_drop(n.name, n.quota) for n in snapshot.stray_namespaces if n.quota is not None]
    for namespace in snapshot.namespaces:
        name = namespace.name
        if name in territory.walled:
            hard = {r: _wall(d, name) for r, d in desks.items()}
            opening = any(hard[r] < d.walls.get(name, 0) for r, d in desks.items())
            said = _Said(timers.get(name, NONE), implicit.get(name, {}), loans.get(name, {}), opening)
            writes += _write(snapshot.pool, namespace, hard, said)
        elif namespace.quota is not None and _leaving(snapshot, namespace, desks):
            hard = {
                r: min(namespace.quota.hard.get(r, 0), d.ledger.books[name].used) for r, d in desks.items()
            }
            writes += _write(snapshot.pool, namespace, hard, _Said(loans=loans.get(name, {})))
        elif namespace.quota is not None:
            writes.append(_drop(name, namespace.quota))
    return tuple(sorted(writes, key=lambda a: isinstance(a, SetQuota) and a.raises))


def _wall(desk: Desk, namespace: str) -> int:
    """What a wall may say now: all that is granted behind it, or what runs until it may rise to that.

    What was promised while no wall stood is asked room for like everything else, once every wall of the pool
    keeps pods out: beside one that does not, anything may be taken.
    """
    wall, ledger = desk.walls.get(namespace, 0), desk.ledger
    if ledger.may_rise(namespace) and (namespace not in ledger.unwalled or desk.free >= 0):
        return wall
    book = ledger.books[namespace]
    return min(wall, max(book.hard, book.used))


def _drop(namespace: str, quota: Quota) -> DropQuota:
    return DropQuota(namespace, quota.uid, quota.resource_version)


def _leaving(snapshot: Snapshot, namespace: Namespace, desks: Mapping[str, Desk]) -> bool:
    """A namespace that no share lists any more keeps a closing wall until it holds nothing of the pool.

    One that is being deleted keeps it to the end: its last pods may not be seen yet.
    """
    holds = namespace.ending or any(d.ledger.books[namespace.name].held > 0 for d in desks.values())
    quota_pool = namespace.quota.pool if namespace.quota is not None else ""
    ours = snapshot.pool.name in {namespace.pool_label, quota_pool}
    return namespace.team is None and ours and holds and snapshot.pool.walls


class _Said(NamedTuple):
    """What a wall carries beside its numbers."""

    timers: Kept = NONE
    implicit: Mapping[str, int] = MappingProxyType({})
    loans: Mapping[str, Loan] = MappingProxyType({})
    opening: bool = False


def _write(pool: Pool, namespace: Namespace, hard: Mapping[str, int], said: _Said) -> Iterable[SetQuota]:
    quota = namespace.quota or Quota(hard={}, status_hard={}, used={})
    before = _Said(Kept(quota.timers, quota.left_out), quota.implicit, quota.loans, quota.opening)
    if _marked(quota, pool) and (quota.hard, before) == (hard, said):
        return
    yield SetQuota(
        namespace=namespace.name,
        hard=hard,
        timers=said.timers.rows,
        left_out=said.timers.left_out,
        implicit=said.implicit,
        resource_version=quota.resource_version,
        uid=quota.uid,
        raises=any(hard[r] > quota.hard.get(r, 0) for r in hard),
        opening=said.opening,
        loans=said.loans,
    )


def _marked(quota: Quota, pool: Pool) -> bool:
    """Whether it carries our labels and goes with this very pool: a namesake's is collected any moment."""
    return quota.labelled and quota.pool == pool.name and pool.uid in quota.owners


def _loans(desks: Iterable[Desk]) -> dict[str, dict[str, Loan]]:
    found: dict[str, dict[str, Loan]] = {}
    for desk in desks:
        for key, loan in desk.loans.items():
            found.setdefault(key.namespace, {})[key.name] = loan
    return found


def _implicit(desks: Mapping[str, Desk]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for resource, desk in desks.items():
        for claim in desk.claims:
            if claim.unowned and claim.allowance > 0:
                found.setdefault(claim.key.namespace, {})[resource] = claim.allowance
    return found

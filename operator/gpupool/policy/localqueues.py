"""Shares in whose namespaces Kueue has a LocalQueue: two systems that count quota would fight.

Such a share stays in Observe until the queue is gone. One that is enforced already stays enforced, so that
nobody leaves a wall by making a queue. Where nobody can say which queues there are, a share that asks for
Enforce and is not enforced yet waits likewise: unknown is not none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gpupool.model.marks import POOL_LABEL
from gpupool.model.pool import Mode, Pool, Share
from gpupool.model.world import NamespaceFacts
from gpupool.policy.roster import Roster


def held_back(listed: Roster, namespaces: Iterable[NamespaceFacts], *, known: bool) -> Pool:
    """The pool with the modes that may act beside the queues of its namespaces, as far as these are known."""
    queued = set() if known else {s.team for s in listed.pool.shares if _enforcing(listed.pool, s)}
    enforced: set[str] = set()
    for namespace in namespaces:
        share = listed.share_of(namespace.name, namespace.labels)
        if share is None:
            continue
        if namespace.queues:
            queued.add(share.team)
        if _enforced(namespace, listed.pool.name):
            enforced.add(share.team)
    if not queued - enforced:
        return listed.pool
    shares = (replace(s, mode=Mode.OBSERVE) if s.team in queued - enforced else s for s in listed.pool.shares)
    return replace(listed.pool, shares=tuple(shares))


def _enforcing(pool: Pool, share: Share) -> bool:
    return Mode.ENFORCE in {pool.quota_for(share), pool.isolation_for(share), pool.reclaim_for(share)}


def _enforced(namespace: NamespaceFacts, pool: str) -> bool:
    walled = namespace.quota is not None and namespace.quota.pool == pool
    return walled or namespace.labels.get(POOL_LABEL) == pool

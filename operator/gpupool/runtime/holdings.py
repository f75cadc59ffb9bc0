"""GPUs that endpoints hold now, and what they cost there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gpupool.model.economics import Holding
from gpupool.model.objects import Key, Pod
from gpupool.model.pool import DEFAULT_RESOURCE, Pool
from gpupool.model.slo import Slo
from gpupool.policy.membership import Membership
from gpupool.runtime.workloads import Owned


def holdings(slos: Iterable[Slo], owned: Owned, found: Membership) -> Mapping[Key, Holding]:
    """What every endpoint holds.

    Args:
        slos: all of them.
        owned: the cluster's pods by namespace and top owner.
        found: what belongs to which pool.
    """
    return {slo.key: _holding(owned.get(slo.at, ()), _pool(slo, found)) for slo in slos}


def _pool(slo: Slo, found: Membership) -> Pool | None:
    return found.pools.get(found.pool_of_namespace.get(slo.key.namespace, ""))


def _holding(pods: Sequence[Pod], pool: Pool | None) -> Holding:
    resource = _resource(pods, pool)
    gpus = sum(p.gpus.get(resource, 0) for p in pods if p.node is not None)
    return Holding(resource, gpus) if pool is None else Holding(resource, gpus, pool.prices, pool.currency)


def _resource(pods: Iterable[Pod], pool: Pool | None) -> str:
    """The first of the pool's resources that they ask for, else NVIDIA's, else the first by name."""
    asked = {r for p in pods for r in p.gpus}
    wanted = (*(() if pool is None else pool.resources), DEFAULT_RESOURCE)
    return next((r for r in wanted if r in asked), min(asked, default=""))

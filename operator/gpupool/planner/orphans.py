"""Requests that no pool answers for, with the sentence that says why and what to do."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from gpupool.model.objects import Request
from gpupool.model.plan import RequestStatus, Verdict
from gpupool.model.reasons import Phase, Reason
from gpupool.model.world import World
from gpupool.planner.request_report import outside
from gpupool.policy.membership import Membership


def plan_orphans(world: World, found: Membership) -> tuple[RequestStatus, ...]:
    """Statuses of all requests that are in no pool's view."""
    pools = {p.name for p in world.pools}
    ending = {n.name for n in world.ending}
    return tuple(s for r in world.requests if (s := _judge(r, pools, found, ending)) is not None)


def _judge(
    request: Request, pools: AbstractSet[str], found: Membership, ending: AbstractSet[str]
) -> RequestStatus | None:
    namespace = request.key.namespace
    if namespace in ending:
        text = f"Namespace {namespace} is being deleted: nothing is granted in it."
        return _pending(request, Reason.NAMESPACE_WITHOUT_POOL, text)
    home = found.pool_of_namespace.get(namespace)
    if request.pool is not None and request.pool not in pools:
        return _pending(
            request,
            Reason.UNKNOWN_POOL,
            f"spec.pool {request.pool} does not exist; there are: {', '.join(sorted(pools)) or 'none'}."
            " It is granted once the pool exists.",
        )
    if namespace in found.claimed_twice:
        return _pending(
            request,
            Reason.NAMESPACE_CLAIMED_TWICE,
            f"Shares of two pools list namespace {namespace}, so it belongs to none:"
            " remove it from one of them.",
        )
    if home is None:
        return _pending(
            request,
            Reason.NAMESPACE_WITHOUT_POOL,
            f"No share of a GpuPool lists namespace {namespace}:"
            " ask the pool's owner to add it to spec.shares.",
        )
    if request.pool not in {None, home}:
        text = (
            f"spec.pool {request.pool} is not the pool of namespace {namespace}, which is {home}:"
            f" delete this request and make one without spec.pool, or in a namespace of {request.pool}."
        )
        return outside(request, home, Phase.REFUSED, Verdict(Reason.OTHER_POOL, text))
    return None


def _pending(request: Request, reason: Reason, message: str) -> RequestStatus:
    pool = request.pool if reason is Reason.UNKNOWN_POOL else None
    return outside(request, pool or "", Phase.PENDING, Verdict(reason, message))

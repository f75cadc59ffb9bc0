"""What surrounds endpoints: for each of their namespaces the pool, its wall, requests, pods and free GPUs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from gpupool.model.objects import Pod, Request
from gpupool.model.pool import Pool
from gpupool.model.world import World
from gpupool.policy.membership import Membership
from gpupool.policy.roster import roster
from gpupool.policy.slo.grant import Place, booked, free_gpus
from gpupool.policy.surge import lendable
from gpupool.policy.view import addressed, view


def places(world: World, found: Membership, namespaces: Collection[str]) -> Mapping[str, Place]:
    """The places by namespace.

    Args:
        world: the cluster.
        found: what belongs to which pool.
        namespaces: those that matter.
    """
    requests: dict[str, list[Request]] = defaultdict(list)
    for request in world.requests:
        if request.key.namespace in namespaces:
            requests[request.key.namespace].append(request)
    pods: dict[str, list[Pod]] = defaultdict(list)
    for pod in world.pods:
        if pod.key.namespace in namespaces:
            pods[pod.key.namespace].append(pod)
    lists = {name: roster(pool) for name, pool in found.pools.items()}
    free: dict[str, Mapping[str, int] | None] = {}
    spare: dict[str, Mapping[str, int]] = {}
    made: dict[str, Place] = {}
    for facts in world.namespaces:
        pool = found.pools.get(found.pool_of_namespace.get(facts.name, ""))
        if facts.name not in namespaces or pool is None:
            continue
        if pool.name not in free:
            free[pool.name] = _free(world, found, pool)
            spare[pool.name] = (
                lendable(view(world, found, pool, uninterrupted_since=world.now)) if pool.walls else {}
            )
        made[facts.name] = Place(
            pool=pool,
            mode=pool.quota_for(lists[pool.name].share_of(facts.name, facts.labels)),
            quota=facts.quota,
            booked=booked(addressed(requests[facts.name], pool, {facts.name}), pods[facts.name]),
            free=free[pool.name],
            spare=spare[pool.name],
        )
    return made


def _free(world: World, found: Membership, pool: Pool) -> Mapping[str, int] | None:
    """None where the pool says what it will have: nodes come as they are needed."""
    if pool.declared:
        return None
    members = found.members[pool.name].nodes
    usable = ((n.name, n.gpus) for n in members if n.ready and n.schedulable)
    return free_gpus(usable, world.pods, pool.resources)

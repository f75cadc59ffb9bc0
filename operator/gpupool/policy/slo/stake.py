"""Which endpoints stand behind a request: matched as steering matches them, by name, owner or labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gpupool.model.diagnosis import Help
from gpupool.model.objects import Key, ObjectRef, Pod, Request
from gpupool.model.plan import Status
from gpupool.model.slo import SloState
from gpupool.model.snapshot import Snapshot
from gpupool.model.standing import Standing
from gpupool.policy.attribution import NOBODY, Books, Registry, gpus, registered
from gpupool.policy.claims import Claim
from gpupool.policy.slo.answering import oldest
from gpupool.policy.slo.diagnosis.replicas import BY_LOAD

STALE: Final = timedelta(minutes=10)
"""Two evaluation windows as they are by default: what is older says nothing about now. A status is written
every minute while its endpoint is looked at."""
KNOWN: Final = frozenset({SloState.OK.value, SloState.NO_TRAFFIC.value})
_BY_LOAD: Final = frozenset(cause.value for cause in BY_LOAD)


@dataclass(frozen=True, slots=True)
class Stake:
    """The endpoints of one request.

    Attributes:
        endpoints: the older InferenceSLO of each workload.
        used: GPUs of each one's pods, in their order.
        alone: no pod and no refused demand of anything else is booked on the request.
    """

    endpoints: tuple[Standing, ...]
    used: tuple[int, ...]
    alone: bool = True


def stakes(snapshot: Snapshot, books: Books) -> Mapping[Key, Stake]:
    """The requests that endpoints stand behind."""
    if not snapshot.endpoints:
        return {}
    spaces = {e.key.namespace for e in snapshot.endpoints}
    requests = [r for r in snapshot.requests if r.key.namespace in spaces]
    registry = registered(requests)
    pods: dict[tuple[str, ObjectRef], list[Pod]] = defaultdict(list)
    for pod in snapshot.pods:
        if pod.key.namespace in spaces and pod.owner is not None:
            pods[pod.key.namespace, pod.owner].append(pod)
    found: dict[Key, list[Standing]] = defaultdict(list)
    for (namespace, target), standing in oldest(snapshot.endpoints).items():
        own = pods.get((namespace, target), ())
        for request in _requests(registry, standing, own, snapshot.pool.resources):
            found[request.key].append(standing)
    strangers = _strangers(snapshot, registry, found)
    resources = {r.key: r.resource for r in requests}
    return {
        key: _stake(standings, books.pods.get(key, ()), resources[key], alone=key not in strangers)
        for key, standings in found.items()
    }


def _requests(
    registry: Registry, standing: Standing, pods: Iterable[Pod], resources: Iterable[str]
) -> Iterable[Request]:
    """The request that the InferenceSLO names, else all that claim the workload's pods."""
    namespace, labels = standing.key.namespace, _labels(standing, pods)
    for resource in resources:
        register = registry.get((namespace, resource), NOBODY)
        if standing.request:
            named = register.by_name.get(standing.request)
            yield from () if named is None else (named,)
        elif labels is not None:
            yield from register.claimants(labels, standing.target) if _asks(standing, resource) else ()
        else:
            yield from register.by_ref.get(standing.target, ())


def _labels(standing: Standing, pods: Iterable[Pod]) -> Mapping[str, str] | None:
    """Labels of its pods; None where neither it nor a pod of it is there."""
    if standing.workload is not None:
        return standing.workload.labels
    return next((p.labels for p in pods), None)


def _asks(standing: Standing, resource: str) -> bool:
    return standing.workload is None or resource in standing.workload.gpus


def _strangers(
    snapshot: Snapshot, registry: Registry, found: Mapping[Key, Iterable[Standing]]
) -> frozenset[Key]:
    """Requests on whose GPUs something else wants to run, and was refused."""
    targets = {key: {s.target for s in standings} for key, standings in found.items()}
    return frozenset(
        request.key
        for demand in snapshot.demands
        for request in registry.get((demand.namespace, demand.resource), NOBODY).claimants(
            demand.labels, demand.owner
        )[:1]
        if request.key in targets and demand.owner not in targets[request.key]
    )


def _stake(standings: Iterable[Standing], pods: Iterable[Pod], resource: str, *, alone: bool) -> Stake:
    endpoints, own = tuple(standings), tuple(pods)
    targets = {e.target for e in endpoints}
    return Stake(
        endpoints=endpoints,
        used=tuple(gpus((p for p in own if p.owner == e.target), resource) for e in endpoints),
        alone=alone and all(p.owner in targets for p in own),
    )


# ------------------------------------------------------------------ what a claim is told of it


def briefed(claim: Claim, stake: Stake | None, now: datetime) -> Claim:
    """The claim with what its endpoints mean for its place in the queue and for what is kept for it."""
    if stake is None:
        return claim
    return replace(
        claim,
        slo=True,
        urgent=any(urgent(e, now) for e in stake.endpoints),
        wake=sum(replicas_kept(e) * replica(e, claim.request.resource) for e in stake.endpoints),
        pod_size=max(claim.pod_size, *(replica(e, claim.request.resource) for e in stake.endpoints)),
    )


def replica(standing: Standing, resource: str) -> int:
    """GPUs of one replica; 0 where it is not known."""
    return 0 if standing.workload is None else standing.workload.gpus.get(resource, 0)


def replicas_kept(standing: Standing) -> int:
    """Replicas that it can always have again: what its objectives need, or what its owner asks at least."""
    return max(1, standing.low if standing.needed is None else standing.needed)


def fresh(standing: Standing, now: datetime) -> bool:
    """Whether what is said of it is of now, and of its spec as it stands."""
    return standing.current and standing.looked is not None and now - standing.looked <= STALE


def urgent(standing: Standing, now: datetime) -> bool:
    """Whether its budget burns or is used up, and more replicas are what it needs."""
    known = fresh(standing, now) and standing.state in KNOWN
    return known and standing.healthy is Status.FALSE and replica_bound(standing)


def replica_bound(standing: Standing) -> bool:
    """Whether more replicas help: one, or several where the cause comes with load."""
    limit = standing.limit
    return limit.helps is Help.YES or (limit.helps is Help.PARTLY and limit.cause in _BY_LOAD)

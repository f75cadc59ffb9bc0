"""What an endpoint may hold: the grant of the request that its pods belong to, and what is free of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gpupool.model.objects import Key, ObjectRef, Pod, Quota, Request
from gpupool.model.pool import Mode, Pool
from gpupool.model.reasons import Stage
from gpupool.model.steering import Target
from gpupool.policy.attribution import NOBODY, Register, age_order


@dataclass(frozen=True, slots=True)
class Booked:
    """The requests and pods of a namespace, looked through once for all of its endpoints.

    Attributes:
        registers: requests by resource.
        held: GPUs by request, and by request and owner.
        ending: GPUs of pods that end, by resource.
    """

    registers: Mapping[str, Register] = field(default_factory=dict)
    held: Mapping[Key, int] = field(default_factory=dict)
    held_by: Mapping[tuple[Key, ObjectRef | None], int] = field(default_factory=dict)
    ending: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """What surrounds an endpoint: its namespace.

    Attributes:
        pool: the namespace's; None where it has none.
        mode: of the pool's walls in this namespace.
        free: by resource, the most GPUs that are free on one node of the pool; None where nodes may come.
        spare: by resource, GPUs that may be lent to a rolling update beside all grants.
    """

    pool: Pool | None = None
    mode: Mode = Mode.OBSERVE
    quota: Quota | None = None
    booked: Booked = field(default_factory=Booked)
    free: Mapping[str, int] | None = None
    spare: Mapping[str, int] = field(default_factory=dict)

    @property
    def walled(self) -> bool:
        """Whether the pool's wall stands here."""
        return self.quota is not None and self.pool is not None and self.quota.pool == self.pool.name


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Grant:
    """GPUs of one endpoint in a pool.

    Attributes:
        pool: its pool.
        request: the request that its pods belong to; empty for none.
        gpus: it may hold; None where nothing was decided yet.
        others: GPUs of the same request that other workloads have.
        room: GPUs that a further pod of a rollout could get, now or when what ends has ended; None where that
            is not known.
        taken: why it falls below what runs, after its notice; else empty.
        resource: which GPUs.
    """

    pool: str
    request: str = ""
    gpus: int | None = None
    others: int = 0
    room: int | None = None
    taken: str = ""
    resource: str = field(default="", kw_only=True)


def resource_of(target: Target, pool: Pool | None) -> str:
    """Which of the resources that its pods ask for is counted: the pool's first, else the first."""
    governed = () if pool is None else pool.resources
    return next((r for r in governed if r in target.gpus), min(target.gpus))


def grant(target: Target, place: Place, named: str, now: datetime) -> Grant | None:
    """The grant of an endpoint; None without a pool.

    Args:
        target: the workload.
        place: what surrounds it.
        named: the request that its spec names; else empty.
        now: the server's time.
    """
    if place.pool is None:
        return None
    resource = resource_of(target, place.pool)
    register = place.booked.registers.get(resource, NOBODY)
    found = _request(register, target, named)
    room = _room(place, resource, lendable=found is not None)
    if found is None:
        return Grant(place.pool.name, room=room, resource=resource)
    held = place.booked
    others = held.held.get(found.key, 0) - held.held_by.get((found.key, target.ref), 0)
    gpus, taken = _allowed(found, now)
    return Grant(
        pool=place.pool.name,
        request=found.key.name,
        gpus=None if gpus is None else max(0, gpus - others),
        others=others,
        room=room,
        taken=taken,
        resource=resource,
    )


def booked(requests: Iterable[Request], pods: Iterable[Pod]) -> Booked:
    """Look through the requests and the pods of one namespace."""
    registers: dict[str, Register] = defaultdict(Register)
    for request in sorted(requests, key=age_order):
        registers[request.resource].add(request)
    held: dict[Key, int] = defaultdict(int)
    held_by: dict[tuple[Key, ObjectRef | None], int] = defaultdict(int)
    ending: dict[str, int] = defaultdict(int)
    for pod in pods:
        owner = pod.owner or ObjectRef("v1", "Pod", pod.key.name)
        for resource, gpus in pod.gpus.items():
            ending[resource] += gpus if pod.terminating else 0
            for request in registers.get(resource, NOBODY).claimants(pod.labels, owner)[:1]:
                held[request.key] += gpus
                held_by[request.key, pod.owner] += gpus
    return Booked(dict(registers), dict(held), dict(held_by), dict(ending))


def _request(register: Register, target: Target, named: str) -> Request | None:
    if named:
        return register.by_name.get(named)
    claimants = register.claimants(target.labels, target.ref)
    return claimants[0] if claimants else None


def _allowed(request: Request, now: datetime) -> tuple[int | None, str]:
    """GPUs that it may use at this moment, and why these are fewer than it was granted."""
    known = request.remembered
    granted, timer = known.granted, known.timer
    if granted is None:
        return None, ""
    allowed = granted if known.allowance is None else min(granted, known.allowance)
    if timer is not None and timer.deadline is not None and timer.deadline <= now:
        if timer.stage is Stage.RECALLING and timer.target is not None:
            text = f"a recall of {granted - timer.target} GPUs fell due"
            return min(allowed, timer.target), text
        if timer.stage is Stage.LENT:
            return allowed, f"{granted - allowed} GPUs are lent out after their notice"
    return allowed, ""


def _room(place: Place, resource: str, *, lendable: bool) -> int | None:
    """GPUs that a further pod could get: what its wall leaves or may be lent, on one node.

    Pods that end count no more. Only what belongs to a request is lent to.
    """
    free = None if place.free is None else place.free.get(resource, 0)
    if place.mode is not Mode.ENFORCE or not place.walled or place.quota is None:
        return free
    hard, used = place.quota.hard.get(resource), place.quota.used.get(resource, 0)
    if hard is None:
        return free
    left = max(0, hard - used + place.booked.ending.get(resource, 0))
    left += place.spare.get(resource, 0) if lendable else 0
    return left if free is None else min(left, free)


def free_gpus(
    nodes: Iterable[tuple[str, Mapping[str, int]]], pods: Sequence[Pod], resources: Iterable[str]
) -> dict[str, int]:
    """By resource, the most GPUs that are free on one node.

    Args:
        nodes: names and allocatable GPUs of those that take pods now.
        pods: of the cluster.
        resources: which.
    """
    used: dict[Key, int] = {}
    for pod in pods:
        if pod.node is not None and not pod.terminating:
            for resource, count in pod.gpus.items():
                at = Key(pod.node, resource)
                used[at] = used.get(at, 0) + count
    found = dict.fromkeys(resources, 0)
    for name, gpus in nodes:
        for resource in found:
            found[resource] = max(found[resource], gpus.get(resource, 0) - used.get(Key(name, resource), 0))
    return found

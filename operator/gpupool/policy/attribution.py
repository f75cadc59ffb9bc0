"""Which request a pod's GPUs are booked on. Walls are per namespace; books are per request.

The first hit wins: the pod's label, its top controller, the selector, the only live request of the
namespace; else the GPUs are unattributed. Only requests for a resource that the pod asks for are candidates.
A pod that asks for several resources is booked once for each, every time with that resource alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gpupool.model.objects import Demand, Key, ObjectRef, Pod, Request
from gpupool.model.snapshot import Snapshot

REQUEST_LABEL = "gpupool.dev/request"


@dataclass(frozen=True, slots=True)
class Books:
    """Pods by request and by namespace, for all resources of a pool.

    Attributes:
        pods: pods booked on a request, each with the request's resource.
        unattributed: pods of a namespace with the resources that no request answers for.
        demand: GPUs that controllers of a request want beyond what exists.
        pod_size: GPUs of a request's largest pod, existing or wanted.
        overlaps: requests that match a pod booked on an older one, with the other's name.
    """

    pods: Mapping[Key, tuple[Pod, ...]] = field(default_factory=dict)
    unattributed: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)
    demand: Mapping[Key, int] = field(default_factory=dict)
    pod_size: Mapping[Key, int] = field(default_factory=dict)
    overlaps: Mapping[Key, Key] = field(default_factory=dict)

    def of(self, key: Key) -> tuple[Pod, ...]:
        """Pods of a request; of the namespace's unattributed GPUs where the name is empty."""
        return self.pods.get(key, ()) if key.name else self.unattributed.get(key.namespace, ())


def age_order(request: Request) -> tuple[object, ...]:
    """Older first, then by name."""
    return (request.created, request.key)


@dataclass(slots=True)
class Register:
    """The requests of one namespace for one resource, older first, found without looking at each.

    A selector with labels is found by its first one; selectors of expressions alone have to be tried.
    """

    all: list[Request] = field(default_factory=list)
    by_name: dict[str, Request] = field(default_factory=dict)
    by_ref: dict[ObjectRef, list[Request]] = field(default_factory=lambda: defaultdict(list))
    by_label: dict[tuple[str, str], list[Request]] = field(default_factory=lambda: defaultdict(list))
    by_expression: list[Request] = field(default_factory=list)

    def add(self, request: Request) -> None:
        """Register a request; older ones come first."""
        self.all.append(request)
        self.by_name[request.key.name] = request
        if request.ref is not None:
            self.by_ref[request.ref].append(request)
        elif request.selector is not None and request.selector.labels:
            self.by_label[request.selector.labels[0]].append(request)
        elif request.selector is not None:
            self.by_expression.append(request)

    def claimants(self, labels: Mapping[str, str], owner: ObjectRef | None) -> Sequence[Request]:
        """The requests that claim an object, strongest rule only, older first."""
        named = self.by_name.get(labels.get(REQUEST_LABEL, ""))
        if named is not None:
            return (named,)
        referring = self.by_ref.get(owner) if owner is not None else None
        if referring:
            return referring
        found = [r for pair in labels.items() for r in self.by_label.get(pair, ())] + self.by_expression
        selecting = [r for r in found if r.selector is not None and r.selector.matches(labels)]
        if selecting:
            return sorted(selecting, key=age_order)
        return self.all if len(self.all) == 1 else ()


Registry = Mapping[tuple[str, str], Register]
NOBODY = Register()


def registered(requests: Iterable[Request]) -> Registry:
    """Requests by namespace and resource, older first."""
    found: dict[tuple[str, str], Register] = defaultdict(Register)
    for request in sorted(requests, key=age_order):
        found[request.key.namespace, request.resource].add(request)
    return found


@dataclass(frozen=True, slots=True)
class _Booking:
    """One pod in the books: by claimants (older first) what it asks for, and the part nobody answers for."""

    claimed: tuple[tuple[Sequence[Request], Pod], ...] = ()
    left: Pod | None = None


def _book(registry: Registry, pod: Pod, governed: Collection[str]) -> _Booking:
    # A pod that no controller owns is its own: `workload.ref` may name it.
    owner = pod.owner or ObjectRef("v1", "Pod", pod.key.name)
    found: dict[str, Sequence[Request]] = {}
    for resource, count in sorted(pod.gpus.items()):
        claimants = registry.get((pod.key.namespace, resource), NOBODY).claimants(pod.labels, owner)
        if count > 0 and claimants:
            found[resource] = claimants
    left = [r for r in pod.gpus if r not in found and (r in governed or not found)]
    claimed = tuple((claimants, _part(pod, [r])) for r, claimants in found.items())
    return _Booking(claimed, _part(pod, left) if left else None)


def _part(pod: Pod, resources: Collection[str]) -> Pod:
    """The pod with some of its resources."""
    if len(resources) == len(pod.gpus):
        return pod
    return replace(pod, gpus={r: pod.gpus[r] for r in resources})


def attribute(snapshot: Snapshot) -> Books:
    """Book every pod and every refused demand of the snapshot."""
    registry = registered(snapshot.requests)
    pods: dict[Key, list[Pod]] = defaultdict(list)
    unattributed: dict[str, list[Pod]] = defaultdict(list)
    overlaps: dict[Key, Key] = {}
    for pod in snapshot.pods:
        booking = _book(registry, pod, snapshot.pool.resources)
        if booking.left is not None:
            unattributed[pod.key.namespace].append(booking.left)
        for found, part in booking.claimed:
            pods[found[0].key].append(part)
            for other in found[1:]:
                overlaps[other.key] = found[0].key
                overlaps[found[0].key] = found[1].key
    demand, sizes = _demand(snapshot.demands, registry)
    resources = {r.key: r.resource for r in snapshot.requests}
    for key, own in pods.items():
        sizes[key] = max(sizes.get(key, 1), *(p.gpus.get(resources[key], 0) for p in own))
    return Books(
        pods={k: tuple(v) for k, v in pods.items()},
        unattributed={k: tuple(v) for k, v in unattributed.items()},
        demand=demand,
        pod_size=sizes,
        overlaps=overlaps,
    )


def _demand(demands: Iterable[Demand], registry: Registry) -> tuple[dict[Key, int], dict[Key, int]]:
    total: dict[Key, int] = defaultdict(int)
    sizes: dict[Key, int] = {}
    for demand in demands:
        asked = registry.get((demand.namespace, demand.resource), NOBODY)
        found = asked.claimants(demand.labels, demand.owner)
        for request in found[:1]:
            total[request.key] += demand.gpus
            sizes[request.key] = max(sizes.get(request.key, 1), demand.gpus_per_pod)
    return dict(total), sizes


def gpus(pods: Iterable[Pod], resource: str) -> int:
    """GPUs that the pods request, bound or not."""
    return sum(p.gpus.get(resource, 0) for p in pods)


def held(pods: Iterable[Pod], resource: str, members: frozenset[str]) -> int:
    """GPUs of the pods that are bound to a member node, Terminating ones included."""
    return sum(p.gpus.get(resource, 0) for p in pods if p.node in members)

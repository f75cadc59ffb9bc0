"""From projections to the World: owners resolved, quotas sorted, refused demand counted. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gpupool.collector.controllers import Controller, Refusal, names
from gpupool.collector.projections import NamespaceLabels, QuotaFacts
from gpupool.model.objects import Demand, ForeignQuota, Key, ObjectRef, Pod, Quota, Request
from gpupool.model.pool import Pool
from gpupool.model.standing import Standing
from gpupool.model.world import DaemonSetFacts, NamespaceFacts, NodeFacts, Template, World

REFUSAL_HOLDS = timedelta(minutes=30)
"""Controllers retry a refused pod with pauses of up to a quarter of an hour: a younger refusal is current."""


@dataclass(frozen=True, slots=True)
class Projections:
    """All values of all stores at one moment."""

    pools: Sequence[Pool] = ()
    nodes: Sequence[NodeFacts] = ()
    namespaces: Sequence[NamespaceLabels] = ()
    quotas: Sequence[QuotaFacts] = ()
    pods: Sequence[Pod] = ()
    requests: Sequence[Request] = ()
    controllers: Sequence[Controller] = ()
    daemonsets: Sequence[DaemonSetFacts] = ()
    refusals: Sequence[Refusal] = field(default_factory=tuple)
    queues: Sequence[Key] = ()
    unreadable_pools: frozenset[str] = frozenset()
    queues_known: bool = True
    endpoints: Sequence[Standing] = ()


def world(found: Projections, now: datetime, exempt: frozenset[str]) -> World:
    """The cluster at `now`, the API server's time in whole seconds, as status keeps it."""
    whole = now.replace(microsecond=0)
    tree = names(found.controllers)
    ending = frozenset(n.name for n in found.namespaces if n.ending)
    makers = _makers(found, ending)
    namespaces = tuple(_namespaces(found.namespaces, found.quotas, found.queues))
    return World(
        now=whole,
        pools=tuple(found.pools),
        nodes=tuple(found.nodes),
        namespaces=tuple(n for n in namespaces if n.name not in ending),
        pods=tuple(_owned(p, tree) for p in found.pods),
        requests=tuple(found.requests),
        demands=tuple(_demands(makers, tree, whole)),
        daemonsets=tuple(makers.daemonsets),
        exempt_namespaces=exempt,
        templates=tuple(templates(makers, tree)),
        ending=tuple(n for n in namespaces if n.name in ending),
        unreadable_pools=found.unreadable_pools,
        queues_known=found.queues_known,
        endpoints=tuple(found.endpoints),
    )


def _makers(found: Projections, ending: frozenset[str]) -> Projections:
    """What can still make pods: all but what stands in a namespace on its way out, where none can be made.

    Kubernetes deletes a namespace's pods first, so what made them stands for as long as one of them is stuck.
    """
    if not ending:
        return found
    return replace(
        found,
        pods=tuple(p for p in found.pods if p.key.namespace not in ending),
        controllers=tuple(c for c in found.controllers if c.namespace not in ending),
        daemonsets=tuple(d for d in found.daemonsets if d.namespace not in ending),
    )


def _namespaces(
    labels: Iterable[NamespaceLabels], quotas: Iterable[QuotaFacts], local_queues: Iterable[Key]
) -> Iterable[NamespaceFacts]:
    queues: dict[str, list[str]] = defaultdict(list)
    for queue in local_queues:
        queues[queue.namespace].append(queue.name)
    ours: dict[str, Quota] = {}
    foreign: dict[str, list[ForeignQuota]] = defaultdict(list)
    for quota in quotas:
        if quota.ours:
            ours[quota.namespace] = _our_quota(quota)
        else:
            foreign[quota.namespace].append(ForeignQuota(quota.name, quota.hard, quota.scoped))
    for namespace in labels:
        yield NamespaceFacts(
            name=namespace.name,
            labels=namespace.labels,
            quota=ours.get(namespace.name),
            foreign=tuple(foreign.get(namespace.name, ())),
            uid=namespace.uid,
            queues=tuple(sorted(queues.get(namespace.name, ()))),
            ours=namespace.ours,
        )


def _our_quota(facts: QuotaFacts) -> Quota:
    return Quota(
        hard=facts.hard,
        status_hard=facts.status_hard,
        used=facts.used,
        resource_version=facts.resource_version,
        timers=facts.timers,
        implicit=facts.implicit,
        created=facts.created,
        uid=facts.uid,
        pool=facts.pool,
        opening=facts.opening,
        owners=facts.owners,
        labelled=facts.labelled,
        left_out=facts.left_out,
        loans=facts.loans,
    )


Tree = Mapping[tuple[str, str, str], Controller]


def _owned(pod: Pod, tree: Tree) -> Pod:
    if pod.owner is None:
        return pod
    top = _top(pod.key.namespace, pod.owner, tree)
    return pod if top == pod.owner else replace(pod, owner=top)


def _top(namespace: str, ref: ObjectRef, tree: Tree) -> ObjectRef:
    """The highest owner that can be followed; an owner of a kind we do not watch is the top."""
    seen = set()
    while ref not in seen:
        seen.add(ref)
        found = tree.get((namespace, ref.kind, ref.name))
        if found is None or found.owner is None or found.ref != ref:  # a kind of that name in another group
            return ref
        ref = found.owner
    return ref


def templates(found: Projections, tree: Tree) -> Iterable[Template]:
    """Every template that GPU pods are still made from, once per top controller and text."""
    newest: dict[tuple[str, ObjectRef], int] = {}
    for c in found.controllers:
        where = _siblings(c)
        newest[where] = max(newest.get(where, 0), c.revision)
    rows: dict[Template, None] = {}
    for c in found.controllers:
        # An old revision makes pods only while it has replicas; one at rest waits for a rollback.
        if c.template and (c.wanted or c.revision == newest[_siblings(c)]):
            rows[Template(c.namespace, _top(c.namespace, c.ref, tree), c.template)] = None
    for pod in found.pods:
        if pod.template and not pod.terminating:
            owner = pod.owner and _top(pod.key.namespace, pod.owner, tree)
            bare = ObjectRef("v1", "Pod", pod.key.name)
            rows[Template(pod.key.namespace, owner or bare, pod.template, loose=owner is None)] = None
    return rows


def _siblings(controller: Controller) -> tuple[str, ObjectRef]:
    """Controllers that are revisions of the same thing share this; all others have their own."""
    same = controller.owner if controller.revision else None
    return controller.namespace, same or controller.ref


def _demands(found: Projections, tree: Tree, now: datetime) -> Iterable[Demand]:
    refused = {r.uid for r in found.refusals if now - r.at <= REFUSAL_HOLDS}
    for controller in found.controllers:
        lacking = controller.wanted - controller.existing
        current = controller.refused or controller.suspended or controller.uid in refused
        if lacking <= 0 or not current:
            continue
        for resource, gpus in controller.gpus.items():
            yield Demand(
                namespace=controller.namespace,
                owner=_top(controller.namespace, controller.ref, tree),
                labels=controller.labels,
                resource=resource,
                gpus=lacking * gpus,
                gpus_per_pod=gpus,
            )

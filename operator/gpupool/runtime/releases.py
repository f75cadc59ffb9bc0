"""Revisions of the endpoints' workloads, as ReplicaSets, StatefulSets and pods show them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from gpupool.collector.controllers import Controller
from gpupool.collector.rolling import revision_of
from gpupool.model.objects import Key, Pod
from gpupool.model.rollout import TEMPLATE_HASH, GuardMode, Population, Release
from gpupool.model.slo import Slo
from gpupool.model.steering import Target
from gpupool.runtime.workloads import Owned, Workload


def releases(
    slos: Iterable[Slo],
    owned: Owned,
    controllers: Iterable[Controller],
    deployments: Iterable[Target],
) -> Mapping[Key, Release]:
    """The revisions of every endpoint that is guarded.

    Args:
        slos: the promises.
        owned: pods by namespace and top owner.
        controllers: ReplicaSets and StatefulSets.
        deployments: those with GPUs.
    """
    wanted = {s.at: s.key for s in slos if s.guard is not GuardMode.OFF}
    failed = {(t.key.namespace, t.ref) for t in deployments if t.rollable is not None and t.rollable.failed}
    newest = _newest(controllers, wanted)
    return {
        s.key: Release(newest.get(s.at, ""), _populations(owned.get(s.at, ())), s.at in failed)
        for s in slos
        if s.at in wanted
    }


def _newest(controllers: Iterable[Controller], wanted: Mapping[Workload, Key]) -> Mapping[Workload, str]:
    """The revision that each workload's template makes."""
    found: dict[Workload, tuple[int, str]] = {}
    for made in controllers:
        if made.update and (made.namespace, made.ref) in wanted:
            found[made.namespace, made.ref] = (0, made.update)
        at = (made.namespace, made.owner) if made.owner is not None else None
        if at is not None and at in wanted and TEMPLATE_HASH in made.labels:
            found[at] = max(found.get(at, (-1, "")), (made.revision, made.labels[TEMPLATE_HASH]))
    return {at: name for at, (_, name) in found.items()}


def source(controllers: Iterable[Controller], workload: Workload, revision: str) -> str:
    """The ReplicaSet that keeps a revision's template; empty where there is none any more."""
    namespace, owner = workload
    return next(
        (
            c.ref.name
            for c in controllers
            if c.namespace == namespace and c.owner == owner and c.labels.get(TEMPLATE_HASH) == revision
        ),
        "",
    )


def _populations(pods: Sequence[Pod]) -> Mapping[str, Population]:
    found: dict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        if (name := revision_of(pod.labels)) and not pod.terminating:
            found[name].append(pod)
    return {name: _population(own) for name, own in found.items()}


def _population(pods: Sequence[Pod]) -> Population:
    return Population(
        pods=len(pods),
        bound=sum(p.node is not None for p in pods),
        ready=sum(p.ready for p in pods),
        started=tuple(
            (p.ready_at - p.created).total_seconds()
            for p in pods
            if p.ready and p.ready_at is not None and p.created is not None
        ),
    )

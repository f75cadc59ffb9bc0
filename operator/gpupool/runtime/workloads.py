"""What is scaled, and what of it sleeps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gpupool.collector.scaling import targets
from gpupool.model.objects import Key, ObjectRef, Pod
from gpupool.model.scalerwrites import Rescale
from gpupool.model.steering import Scaler, Target
from gpupool.runtime.mirror import Mirror

Workload = tuple[str, ObjectRef]
"""By namespace and reference."""
Targets = Mapping[Workload, Target]
Owned = Mapping[Workload, Sequence[Pod]]
"""Pods by namespace and top owner."""


def by_owner(pods: Iterable[Pod]) -> Owned:
    """Pods by namespace and top owner."""
    found: dict[Workload, list[Pod]] = defaultdict(list)
    for pod in pods:
        if pod.owner is not None:
            found[pod.key.namespace, pod.owner].append(pod)
    return found


def targets_of(mirror: Mirror) -> Targets:
    """The workloads that are scaled."""
    return targets(mirror.deployments.store.values(), mirror.statefulsets.store.values())


def bare(ref: ObjectRef) -> ObjectRef:
    """Group, kind and name: an HPA may name its target in another version."""
    return replace(ref, api_version=ref.api_version.rpartition("/")[0])


def sleepers(scalers: Iterable[Scaler], targets: Targets) -> Mapping[Key, Target]:
    """Workloads without a replica, by the HPA that is adopted."""
    without = _without(targets)
    found = ((s.key, without.get(_bed(s))) for s in scalers if s.originals is not None)
    return {key: target for key, target in found if target is not None}


class Beds:
    """Remembers who was let sleep: the note of it is gone with the HPA that it stands on."""

    def __init__(self) -> None:
        self._beds: dict[str, tuple[Workload, int]] = {}

    def deserted(self, scalers: Iterable[Scaler], targets: Targets) -> tuple[Rescale, ...]:
        """Workloads that we let sleep, and whose HPA is gone since: they get their replicas back."""
        present = {s.uid: s for s in scalers}
        noted = {
            uid: (_bed(s), s.originals.asleep)
            for uid, s in present.items()
            if s.originals is not None and s.originals.asleep
        }
        without = _without(targets)
        gone = {uid: bed for uid, bed in self._beds.items() if uid not in present and bed[0] in without}
        self._beds = gone | noted
        return tuple(Rescale(without[at].key, without[at].ref, 0, replicas) for at, replicas in gone.values())


def _bed(scaler: Scaler) -> Workload:
    return scaler.key.namespace, bare(scaler.target)


def _without(targets: Targets) -> Targets:
    return {(t.key.namespace, bare(t.ref)): t for t in targets.values() if not t.replicas}

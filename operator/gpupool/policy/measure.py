"""From samples of pods to what a request used: held, busy, efficiency, activity, coverage, data state.

Coverage is counted in held GPU-seconds, dead pods included, so that rolling pods every minute buys no
immunity. A request that holds nothing has coverage 100: that is an API fact, not a sample (law 1).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from gpupool.model.objects import Key, Pod
from gpupool.model.reasons import DataState
from gpupool.model.snapshot import Snapshot
from gpupool.model.usage import PodUsage
from gpupool.policy.attribution import Books

FRESH_SCRAPES = 3
"""A newest sample older than this many scrapes is stale."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What is known about a set of GPUs over the window. Percentages 0 to 100, None where unknown."""

    state: DataState = DataState.OK
    coverage: int = 100
    busy: int = 0
    busy_seconds: float = 0.0
    activity: int | None = None

    @property
    def known(self) -> bool:
        """Whether use can be told at all: without samples, or with contradicting ones, it cannot."""
        return self.state not in {DataState.MISSING, DataState.CONFLICTING}


NOTHING_HELD = Measure()


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures by request and by namespace (all GPUs the namespace held, unattributed ones included)."""

    requests: Mapping[Key, Measure]
    namespaces: Mapping[str, Measure]

    def of(self, key: Key) -> Measure:
        """A request's measure; holding nothing is known without telemetry."""
        return self.requests.get(key, NOTHING_HELD)

    def around(self, namespace: str) -> Measure:
        """The namespace's measure."""
        return self.namespaces.get(namespace, NOTHING_HELD)


def measure(snapshot: Snapshot, books: Books) -> Measures:
    """Book every pod's samples, dead pods by the request our own series remembers."""
    owners: dict[Key, list[tuple[Key, int]]] = defaultdict(list)
    nobodys = {Key(namespace, ""): pods for namespace, pods in books.unattributed.items()}
    for request, pods in (*books.pods.items(), *nobodys.items()):
        for pod in pods:
            owners[pod.key].append((request, sum(pod.gpus.values())))
    sampled = {s.key for s in snapshot.usage.pods}
    unsampled = (_unsampled(snapshot, p) for p in snapshot.pods if p.node and p.key not in sampled)
    by_request: dict[Key, list[PodUsage]] = defaultdict(list)
    by_namespace: dict[str, list[PodUsage]] = defaultdict(list)
    for sample in (*snapshot.usage.pods, *unsampled):
        namespace = sample.key.namespace
        by_namespace[namespace].append(sample)
        told = "" if sample.alive else sample.request or ""
        for key, gpus in owners.get(sample.key, [(Key(namespace, told), sample.gpus)]):
            by_request[key].append(_part(sample, gpus))
    floor = snapshot.pool.reclaim.coverage
    stale_after = FRESH_SCRAPES * snapshot.usage.scrape_interval
    requests = {k: _join(v, floor, stale_after) for k, v in by_request.items()}
    namespaces = {k: _join(v, floor, stale_after) for k, v in by_namespace.items()}
    for key, found in sorted(requests.items()):
        # A namespace is as good as the worst of its workloads: a large one hides no small one.
        if namespaces[key.namespace].state is DataState.OK:
            namespaces[key.namespace] = replace(namespaces[key.namespace], state=found.state)
    return Measures(requests, namespaces)


def _part(sample: PodUsage, gpus: int) -> PodUsage:
    """What of a pod's samples is one request's: which of its devices are whose, no sample tells."""
    if gpus >= sample.gpus:
        return sample
    part = gpus / sample.gpus
    return replace(
        sample,
        gpus=gpus,
        held_seconds=part * sample.held_seconds,
        seen_seconds=part * sample.seen_seconds,
        busy_seconds=min(part * sample.held_seconds, sample.busy_seconds),
        busy_gpus=min(gpus, sample.busy_gpus),
    )


def _unsampled(snapshot: Snapshot, pod: Pod) -> PodUsage:
    """A bound pod without any series: unseen, or, where no container of it runs, known to do nothing."""
    gpus = sum(pod.gpus.values())
    since = pod.started or pod.created or snapshot.now
    seconds = min(snapshot.pool.reclaim.window, max(timedelta(), snapshot.now - since)).total_seconds()
    return PodUsage(
        key=pod.key,
        gpus=gpus,
        held_seconds=seconds * gpus,
        seen_seconds=0.0 if pod.running else seconds * gpus,
        busy_seconds=0.0,
        busy_gpus=0,
        activity=0.0,
        age=None if pod.running else 0.0,
    )


def _join(samples: Iterable[PodUsage], floor: int, stale_after: float) -> Measure:
    found = tuple(samples)
    held = sum(s.held_seconds for s in found)
    seen = min(held, sum(min(s.held_seconds, s.seen_seconds) for s in found))
    coverage = 100 if held <= 0 else int(100 * seen / held)
    return Measure(
        state=_state(found, coverage, floor, stale_after),
        coverage=coverage,
        busy=sum(s.busy_gpus for s in found if s.alive),
        busy_seconds=sum(s.busy_seconds for s in found),
        activity=_mean(found),
    )


def _mean(samples: tuple[PodUsage, ...]) -> int | None:
    """Mean activity over all that was seen, in percent."""
    seen = sum(s.seen_seconds for s in samples)
    return None if seen <= 0 else round(sum(s.activity * s.seen_seconds for s in samples) / seen)


def _state(samples: tuple[PodUsage, ...], coverage: int, floor: int, stale_after: float) -> DataState:
    """The worst thing that can be said about the samples, most specific first."""
    alive = [s for s in samples if s.alive]
    if any(s.conflicting for s in samples):
        return DataState.CONFLICTING
    if any(s.age is not None and s.age > stale_after for s in alive):
        return DataState.STALE
    if samples and all(s.seen_seconds == 0 for s in samples if s.held_seconds > 0) and coverage < floor:
        return DataState.MISSING
    if coverage < floor or any(s.age is None and s.held_seconds > stale_after * s.gpus for s in alive):
        return DataState.PARTIAL
    return DataState.OK

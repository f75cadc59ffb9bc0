"""All that one reading shows, by pod: what the judgement of every endpoint looks at."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gpupool.collector.engines.meter import Events, PodName
from gpupool.collector.engines.names import ENGINES
from gpupool.collector.prometheus.answer import Sample

FRESH_SCRAPES: Final = 3
"""A pod whose newest sample is older than so many scrapes is not seen any more."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a reading shows.

    Attributes:
        seconds: since the reading before; 0 for the first.
        buckets, counts: events since then.
        shown: histograms that each pod exports now.
        loads: gauges by pod and name.
        ages: seconds of each pod's newest sample.
        broken: pods whose gauges are no numbers.
        up: pods with a target, and whether it answers.
        intervals: seconds between two scrapes, by pod; where it is not known yet, absent.
    """

    seconds: float = 0.0
    buckets: Events = field(default_factory=dict)
    counts: Events = field(default_factory=dict)
    shown: Mapping[PodName, frozenset[str]] = field(default_factory=dict)
    loads: Mapping[PodName, Mapping[str, float]] = field(default_factory=dict)
    ages: Mapping[PodName, float] = field(default_factory=dict)
    broken: frozenset[PodName] = frozenset()
    up: Mapping[PodName, bool] = field(default_factory=dict)
    intervals: Mapping[PodName, float] = field(default_factory=dict)

    def fresh(self, pod: PodName) -> bool:
        """Whether a pod is seen now."""
        age = self.ages.get(pod)
        return age is not None and age <= FRESH_SCRAPES * self.intervals.get(pod, age)

    def engine(self, pods: Iterable[PodName]) -> str:
        """The engine whose gauges most of the pods export; empty where none does."""
        votes: dict[str, int] = defaultdict(int)
        for pod in pods:
            own = self.loads.get(pod, {})
            for name, names in ENGINES.items():
                votes[name] += names.running in own
        best = max(votes, key=lambda name: votes[name], default="")
        return best if best and votes[best] else ""


def pod_of(sample: Sample) -> PodName:
    """The pod that a sample speaks of."""
    return PodName(sample.labels.get("namespace", ""), sample.labels.get("pod", ""))


def by_name(samples: Iterable[Sample]) -> Mapping[PodName, Mapping[str, float]]:
    """Gauges by pod and name."""
    found: dict[PodName, dict[str, float]] = defaultdict(dict)
    for sample in samples:
        found[pod_of(sample)][sample.labels.get("__name__", "")] = sample.value
    return dict(found)


def names_of(samples: Iterable[Sample]) -> Mapping[PodName, frozenset[str]]:
    """Names of the series of each pod."""
    return {pod: frozenset(own) for pod, own in by_name(samples).items()}


def by_pod(samples: Iterable[Sample]) -> Mapping[PodName, float]:
    """One value per pod, the highest."""
    found: dict[PodName, float] = {}
    for sample in samples:
        pod = pod_of(sample)
        found[pod] = max(sample.value, found.get(pod, sample.value))
    return found

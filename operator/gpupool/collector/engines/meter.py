"""Counters read as events: what each pod did since the reading before, exact to the request.

Differences of counters lose nothing to extrapolation, and add up for a month. A counter that fell was
reset, so all it shows is new; so is all that a pod shows which was not there before. Of a pod that nobody has
read before, only what comes from now on is known. A pod that is not seen for a while (its target is down, or
Prometheus is) goes on from where it was: its life is not counted twice.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from gpupool.collector.prometheus.answer import Sample


class PodName(NamedTuple):
    """A pod, as series name it."""

    namespace: str
    name: str


class Counter(NamedTuple):
    """A counter of a pod: its name, and the bound of its bucket or the status that it counts."""

    metric: str
    label: str = ""


Events: TypeAlias = Mapping[PodName, Mapping[Counter, float]]


class Meter:
    """Remembers the counters of the reading before.

    Attributes:
        at: unix seconds of that reading; 0 before the first.
    """

    def __init__(self) -> None:
        self.at = 0.0
        self._last: dict[PodName, dict[Counter, float]] = {}

    def read(
        self,
        samples: Iterable[Sample],
        at: float,
        strangers: Collection[PodName] = (),
        living: Collection[PodName] = (),
    ) -> Events:
        """Events since the reading before.

        Args:
            samples: of counters; of a pod that is gone, its last ones for a while.
            at: unix seconds of the reading.
            strangers: pods that were there before, and are read for the first time.
            living: pods that are remembered although they are not seen.
        """
        present = _by_pod(samples)
        first = self.at == 0
        found: dict[PodName, Mapping[Counter, float]] = {}
        for pod, counters in present.items():
            before = self._last.get(pod)
            if before is None and (first or pod in strangers):
                found[pod] = dict.fromkeys(counters, 0.0)
            else:
                found[pod] = _risen(before or {}, counters)
        unseen = {pod: own for pod, own in self._last.items() if pod in living}
        self.at, self._last = at, unseen | present
        return found


def _by_pod(samples: Iterable[Sample]) -> dict[PodName, dict[Counter, float]]:
    found: dict[PodName, dict[Counter, float]] = defaultdict(dict)
    for sample in samples:
        labels = sample.labels
        pod = PodName(labels.get("namespace", ""), labels.get("pod", ""))
        label = labels.get("le") or labels.get("status") or ""
        found[pod][Counter(labels.get("__name__", ""), label)] = sample.value
    return dict(found)


def _risen(before: Mapping[Counter, float], now: Mapping[Counter, float]) -> dict[Counter, float]:
    return {c: value - old if value >= (old := before.get(c, 0.0)) else value for c, value in now.items()}

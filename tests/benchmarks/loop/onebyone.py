"""Request by request: the plane's own engines and its way of spreading requests, in a time of their own."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from benchmarks.loop.hour import Play
from benchmarks.loop.simulated import LIMITS
from benchmarks.loop.steering import Felt, one
from benchmarks.slo.fluid import Fleet, Seen
from benchmarks.slo.trace import STEP
from localplane.engines.annotations import settings
from localplane.engines.objects import EnginePod
from localplane.engines.pod import Pod
from localplane.engines.workload import Workload

Counts = tuple[tuple[float, float], ...]
"""Good and all, by objective."""
NOTHING: Final[Counts] = ((0.0, 0.0),) * len(LIMITS)


class OneByOne:
    """Serves what it draws from the rates of a play.

    Args:
        play: the lead and the hour.
        annotations: of the pods.
        key: namespace and name of the workload: the seed.
        grace: seconds in which a replica that is stopped ends what it has.
    """

    def __init__(self, play: Play, annotations: Mapping[str, str], key: str, grace: float) -> None:
        rates = play.rates
        self._annotations = dict(annotations)
        self._said = settings(annotations)
        self._work = Workload(key, 0.0, lambda _, at: rates[min(int(at // STEP), len(rates) - 1)])
        self._grace = round(grace / STEP)
        self._made = 0
        self._leaving: dict[str, int] = {}
        self._gone, self._counted = NOTHING, NOTHING

    def serve(self, step: int, arrived: float, fleet: Fleet) -> Felt:
        """Arrivals are drawn here, from the same rates: `arrived` is not looked at."""
        del arrived
        self._change(int(fleet.ready[0]), step)
        asked = self._work.arrived
        self._work.advance(float((step + 1) * STEP))
        pods = self._work.pods.values()
        before, self._counted = self._counted, _sum(self._gone, *map(_counts, pods))
        since = [(good - g, total - t) for (good, total), (g, t) in zip(self._counted, before, strict=True)]
        good, total = zip(*since, strict=True)
        seen = Seen(
            step=step,
            arrived=one(float(self._work.arrived - asked)),
            good=one(min(good)),
            ready=fleet.ready.copy(),
            starting=fleet.starting.copy(),
            running=one(float(sum(p.replica.running for p in pods))),
            busy=one(0.0),
            waiting=one(float(sum(p.waiting for p in pods))),
        )
        return Felt(seen, good, total)

    @property
    def lost(self) -> int:
        """Requests that found nobody, or were under way when their replica ended."""
        return self._work.lost

    def _change(self, ready: int, step: int) -> None:
        """Replicas come at once and leave in peace; the youngest first."""
        pods = self._work.pods
        for uid in [uid for uid, until in self._leaving.items() if until <= step]:
            self._gone = _sum(self._gone, _counts(pods[uid]))
            self._work.drop(uid)
            del self._leaving[uid]
        serving = sorted(uid for uid in pods if uid not in self._leaving)
        for uid in serving[ready:]:
            self._leaving[uid] = step + self._grace
            self._work.put(self._fact(uid, ready=False), self._said)
        for _ in range(ready - len(serving)):
            self._made += 1
            self._work.put(self._fact(f"{self._made:06}", ready=True), self._said)

    def _fact(self, uid: str, *, ready: bool) -> EnginePod:
        return EnginePod(
            namespace="loop",
            name=uid,
            uid=uid,
            node="node",
            address="127.0.0.1:8000",
            container="main",
            created=uid,
            workload=self._work.key,
            said=tuple(sorted(self._annotations.items())),
            running=True,
            ready=ready,
            leaving=not ready,
            cpus=0.0,
        )


def _counts(pod: Pod) -> Counts:
    """As the pod's page has them: counts up to the bound of each objective."""
    found = []
    for sli, limit in LIMITS.items():
        histogram = pod.book.histograms[sli]
        counts = histogram.cumulative()
        found.append((float(counts[bisect_left(histogram.bounds, limit)]), float(counts[-1])))
    return tuple(found)


def _sum(*sides: Counts) -> Counts:
    columns = zip(*sides, strict=True)
    return tuple((sum(g for g, _ in column), sum(t for _, t in column)) for column in columns)

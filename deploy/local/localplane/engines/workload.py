"""One workload: the requests of a Deployment, spread over its Ready pods of all revisions."""

from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from typing import Final

from gpupool.simulator.replica import Ask
from localplane.engines.annotations import Load, Settings
from localplane.engines.causes import HEALTHY, PATIENCE, Cause
from localplane.engines.lengths import Arrivals, Mix
from localplane.engines.objects import EnginePod
from localplane.engines.pod import Pod, by_name

LOOK_AT_ALL: Final = 8
"""Up to so many pods a request goes to the least loaded; of more, to the least loaded of four."""

CHOICES: Final = 4


class Workload:
    """The pods of one workload and what arrives at them. Time only moves forward.

    Args:
        key: namespace/name: the seed of all that is drawn.
        time: now.
        traced: requests/s of a trace at a time.

    Attributes:
        load: what arrives: the newest pod's word, also after the last one is gone.
        lost: requests that found no Ready pod, or were under way when their pod went.
    """

    def __init__(self, key: str, time: float, traced: Callable[[str, float], float]) -> None:
        self.key = key
        self.pods: dict[str, Pod] = {}
        self.load = Load()
        self.time = time
        self.arrived = 0
        self.held_back = 0
        self.lost = 0
        self._traced = traced
        self._arrivals = Arrivals(key, self._rate, time)

    def put(self, fact: EnginePod, settings: Settings) -> None:
        """A pod is there, or has changed; `advance` first."""
        if fact.uid in self.pods:
            self.pods[fact.uid].change(fact, settings, self.time)
        else:
            self.pods[fact.uid] = Pod(fact, settings, self.time)
        newest = max(self.pods.values(), key=lambda pod: (pod.fact.created, pod.fact.name))
        self.load = newest.settings.load

    def drop(self, uid: str) -> None:
        """A pod is gone, with what it had; `advance` first."""
        if (pod := self.pods.pop(uid, None)) is not None:
            self.lost += pod.busy

    def advance(self, until: float) -> None:
        """Let requests arrive and be served until a moment."""
        if until <= self.time:
            return
        self._retune()
        ready = self.ready()
        for ask in self._arrivals.until(until, self._mix(ready)):
            self._dispatch(ask, ready)
        for pod in self.pods.values():
            pod.settle(until)
        self.time = until

    def skip(self, until: float) -> None:
        """Let time pass in which nothing arrives."""
        self._arrivals.skip(until)
        self.advance(until)

    def ready(self) -> list[Pod]:
        """The pods that requests are sent to, by name."""
        return by_name(pod for pod in self.pods.values() if pod.fact.ready)

    def _retune(self) -> None:
        for place, pod in enumerate(by_name(self.pods.values())):
            age = self.time - pod.since if pod.since is not None else 0.0
            cause = pod.settings.cause(age)
            if cause.first_only and place:
                cause = HEALTHY
            if cause is not pod.cause:
                pod.retune(cause)

    def _rate(self, time: float) -> float:
        load = self.load
        rate = self._traced(load.trace, time) if load.trace else load.rate
        return rate * min((pod.cause.heard for pod in self.pods.values()), default=1.0)

    def _mix(self, ready: list[Pod]) -> Mix:
        if not ready:
            return Mix()
        pod = ready[0]
        mix = pod.settings.mix_under(pod.cause)
        if pod.cause.skew:  # a prompt's kin lie in the caches of others
            return replace(mix, cached=mix.cached / len(ready))
        return mix

    def _dispatch(self, ask: Ask, ready: list[Pod]) -> None:
        self.arrived += 1
        if not ready:
            self.lost += 1
            return
        pod = self._choose(ask, ready)
        if pod.waiting >= pod.cause.patience < PATIENCE:
            self.held_back += 1
            return
        pod.offer(ask)

    def _choose(self, ask: Ask, ready: list[Pod]) -> Pod:
        cause: Cause = ready[0].cause
        if cause.skew:
            weights = [1 / place**cause.skew for place in range(1, len(ready) + 1)]
            drawn = self._arrivals.chance() * sum(weights)
            place = next((n for n, total in enumerate(accumulate(weights)) if drawn <= total), 0)
            ready[place].advance(ask.at)
            return ready[place]
        some = ready
        if len(ready) > LOOK_AT_ALL:
            some = [ready[int(self._arrivals.chance() * len(ready))] for _ in range(CHOICES)]
        for pod in some:
            pod.advance(ask.at)
        return min(some, key=lambda pod: pod.busy)

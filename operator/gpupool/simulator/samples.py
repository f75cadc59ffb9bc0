"""The Prometheus half of the model: what an exporter would have seen, and the operator's own peaks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gpupool.model.objects import Key
from gpupool.model.usage import Peak, PodUsage, Usage
from gpupool.simulator.workloads import Running, Samples

SEEN = {Samples.OK: 1.0, Samples.STALE: 1.0, Samples.CONFLICTING: 1.0, Samples.PARTIAL: 0.5}
"""Part of the samples that arrive; those that are missing have no series at all."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A pod that is gone, with what is remembered of it."""

    pod: Running
    request: str | None
    at: datetime


@dataclass(slots=True)
class Recorder:
    """Series over time. `works`: Prometheus answers freshly; `watched`: while the operator told of them."""

    works: bool = True
    ended: deque[Ended] = field(default_factory=deque)
    used: dict[Key, deque[tuple[datetime, int]]] = field(default_factory=dict)
    first: dict[Key, datetime] = field(default_factory=dict)
    watched: deque[tuple[datetime, datetime]] = field(default_factory=deque)

    def record(self, now: datetime, used: Mapping[Key, int], lookback: timedelta) -> None:
        """Keep what requests use now; a point that equals its neighbours tells nothing new."""
        for key, count in used.items():
            points = self.used.setdefault(key, deque())
            self.first.setdefault(key, now)
            points.append((now, count))
            while len(points) > 1 and points[1][0] <= now - lookback:
                points.popleft()

    def watch(self, began: datetime, until: datetime) -> None:
        """Note that the operator was there, and knew the pods."""
        if self.watched and self.watched[-1][1] == began:
            began, _ = self.watched.pop()
        self.watched.append((began, until))

    def bury(self, pods: Iterable[Running], owners: Mapping[Key, str], now: datetime) -> None:
        """Remember pods that ended, as far as they were ever seen."""
        last = self.watched[-1][1] if self.watched else now
        seen = (p for p in pods if p.started is not None and p.started < last)
        self.ended += [Ended(p, owners.get(p.key), now) for p in seen]

    def usage(self, pods: Iterable[Running], now: datetime, window: timedelta) -> Usage:
        """All that Prometheus would say now."""
        while self.ended and self.ended[0].at <= now - window:
            self.ended.popleft()
        alive = (_sample(p, now, now, window) for p in pods if p.node is not None)
        dead = (_sample(e.pod, e.at, now, window, e) for e in self.ended)
        return Usage(
            fresh=self.works,
            problem="" if self.works else "Prometheus does not answer",
            pods=tuple(s for s in (*alive, *dead) if s is not None),
            peaks={k: self._peak(k, now, window) for k in self.used},
            asked=now,
        )

    def _peak(self, key: Key, now: datetime, window: timedelta) -> Peak:
        first, used = self.first[key], max(count for _, count in self.used[key])
        return Peak(used, self._watched_since(first), self._watched_since(max(first, now - window)))

    def _watched_since(self, moment: datetime) -> float:
        spans = (until - max(began, moment) for began, until in self.watched if until > moment)
        return sum(spans, timedelta()).total_seconds()


def _sample(
    pod: Running, until: datetime, now: datetime, window: timedelta, ended: Ended | None = None
) -> PodUsage | None:
    kind = pod.template.samples
    if kind is Samples.MISSING or pod.started is None:
        return None
    gpus = pod.template.gpus
    seconds = max(timedelta(), until - max(pod.started, now - window)).total_seconds()
    seen = seconds * SEEN[kind]
    busy = pod.template.busy if pod.template.starts else 0.0
    return PodUsage(
        key=pod.key,
        gpus=gpus,
        held_seconds=seconds * gpus,
        seen_seconds=seen * gpus,
        busy_seconds=seen * gpus * busy,
        busy_gpus=gpus if busy > 0 else 0,
        activity=100 * busy,
        age=3600.0 if kind is Samples.STALE else 0.0,
        conflicting=kind is Samples.CONFLICTING,
        alive=ended is None,
        request=None if ended is None else ended.request,
    )

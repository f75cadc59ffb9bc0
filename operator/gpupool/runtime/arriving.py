"""What arrives at the endpoints: read once a step, kept for an hour, read again after a restart."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from gpupool.collector.engines.adapters import Adapter
from gpupool.collector.engines.arrivals import ArrivalReader, Grid, Words, count, requests
from gpupool.collector.engines.custom import adapter
from gpupool.collector.engines.meter import PodName
from gpupool.collector.prometheus.errors import PrometheusError
from gpupool.model.metrics import Metrics
from gpupool.model.objects import Key, ObjectRef
from gpupool.policy.slo.arrivals import STEPS, Record, begun, fold, with_peaks
from gpupool.policy.slo.demand import Peak, Tuning

log = logging.getLogger(__name__)

PATIENCE: Final = 20.0
"""Seconds that all questions of a look may take together; what was read by then is kept."""
CHUNK: Final = 10
"""Steps that one question asks for: of a thousand endpoints that is a hundred thousand numbers."""
SUFFIXES: Final = {
    "Deployment": re.compile(r"-[a-z0-9]{6,10}-[a-z0-9]{5}"),
    "StatefulSet": re.compile(r"-\d+"),
}
"""What controllers add to their names for those of their pods: pods that are gone are known by it."""
Identity = tuple[Key, str]
"""Of an InferenceSLO: key and uid."""


@dataclass(frozen=True, slots=True)
class Serving:
    """An endpoint as it serves now.

    Attributes:
        who: the promise.
        target: its workload.
        pods: names of its pods, those included that are gone a moment ago.
        born: unix seconds at which they began to serve.
        empty: it is known to have no pod, so that nothing can arrive at one.
        engine: of its pods; empty where it has none now.
        metrics: the names that its owner gives, in place of an engine's.
    """

    who: Identity
    target: ObjectRef
    pods: Sequence[str] = ()
    born: Mapping[str, float] = field(default_factory=dict)
    empty: bool = False
    engine: str = ""
    metrics: Metrics | None = None

    @property
    def own(self) -> Adapter | None:
        """Where to look by the names of its owner."""
        return None if self.metrics is None else adapter(self.metrics)

    @property
    def namespace(self) -> str:
        """Where it is."""
        return self.who[0].namespace


class Arriving:
    """Keeps the records of all endpoints.

    Args:
        reader: asks.
        tuning: of the rule that looks at them.
        grid: the steps.
        patience: seconds for all questions of one look.
    """

    def __init__(self, reader: ArrivalReader, tuning: Tuning, grid: Grid, patience: float = PATIENCE) -> None:
        self._reader = reader
        self._patience = patience
        self._tuning = tuning
        self._grid = grid
        self._engines: dict[Identity, str] = {}
        self._without_peaks: set[Identity] = set()
        self.records: dict[Identity, Record] = {}

    async def read(self, endpoints: Sequence[Serving], now: float) -> None:
        """Read the steps that ended since the last time; of a new endpoint the hour that is past.

        What cannot be read is read the next time; meanwhile the records grow old.

        Args:
            endpoints: all of them.
            now: unix seconds.
        """
        until = self._grid.number(now)
        self._remember(endpoints, until)
        behind: dict[int, list[Serving]] = defaultdict(list)
        for endpoint in endpoints:
            behind[max(self.records[endpoint.who].asked, until - STEPS - 1)].append(endpoint)
        try:
            async with asyncio.timeout(self._patience):
                for since, group in sorted(behind.items()):
                    for first in range(since, until, CHUNK):
                        await self._steps(group, first, min(first + CHUNK, until), until)
                if fresh := [e for e in endpoints if e.who in self._without_peaks]:
                    await self._peaks(fresh, until)
        except (PrometheusError, TimeoutError) as error:
            log.info("arrivals not read", extra={"error": str(error) or "it takes too long"})

    def _remember(self, endpoints: Sequence[Serving], until: int) -> None:
        """Begin with new endpoints and forget those that are gone; one without pods keeps its engine."""
        new = {e.who for e in endpoints} - self.records.keys()
        nothing = begun(self._grid.step, until - STEPS - 1)
        self._without_peaks = {e.who for e in endpoints} & self._without_peaks | new
        self.records = {e.who: self.records.get(e.who, nothing) for e in endpoints}
        self._engines = {e.who: e.engine or self._engines.get(e.who, "") for e in endpoints}

    async def _steps(self, group: Sequence[Serving], since: int, until: int, newest: int) -> None:
        moments = await self._reader.moments(_namespaces(group), self._grid, since, until, _own(group))
        whose = owners(group, {pod for shown in moments.values() for pod in shown})
        counted: dict[Identity, dict[int, dict[str, Words]]] = defaultdict(lambda: defaultdict(dict))
        for at, shown in moments.items():
            for pod, words in shown.items():
                for who in whose[pod]:
                    counted[who][at][pod.name] = words
        for endpoint in group:
            record, engine = self.records[endpoint.who], self._engines[endpoint.who]
            for at in range(since + 1, until + 1):
                own = counted[endpoint.who][at].items()
                counts = {
                    pod: c for pod, words in own if (c := count(engine, words, endpoint.own)) is not None
                }
                empty = endpoint.empty and at == newest
                record = fold(record, at, counts, endpoint.born, self._tuning, empty=empty)
            self.records[endpoint.who] = record

    async def _peaks(self, group: Sequence[Serving], until: int) -> None:
        """Peaks of the hours before the last, asked for once."""
        over, hour = self._tuning.peak_over, STEPS * self._grid.step
        per = round(over / self._grid.step)
        newest = (until - STEPS) // per * per
        found: dict[Identity, list[Peak]] = defaultdict(list)
        for back in reversed(range(ceil(self._tuning.peak_most / hour) - 1)):
            until = newest - back * STEPS
            sums = await self._reader.sums(_namespaces(group), self._grid, hour, over, until, _own(group))
            whose = owners(group, {pod for shown in sums.values() for pod in shown})
            for ended, shown in sorted(sums.items()):
                for who, total in self._totals(shown, whose, {e.who: e.own for e in group}).items():
                    found[who].append(Peak(ended, total / over))
        for endpoint in group:
            self.records[endpoint.who] = with_peaks(self.records[endpoint.who], found[endpoint.who])
        self._without_peaks -= {e.who for e in group}

    def _totals(
        self,
        shown: Mapping[PodName, Words],
        whose: Mapping[PodName, frozenset[Identity]],
        own: Mapping[Identity, Adapter | None],
    ) -> Mapping[Identity, float]:
        totals: dict[Identity, float] = defaultdict(float)
        for pod, words in shown.items():
            for who in whose[pod]:
                totals[who] += requests(self._engines[who], words, own[who])
        return totals


def owners(endpoints: Iterable[Serving], shown: Iterable[PodName]) -> Mapping[PodName, frozenset[Identity]]:
    """Whose pods these are: as the API says; of those that are gone, as their names say."""
    known: dict[PodName, set[Identity]] = defaultdict(set)
    by_target: dict[tuple[str, str], list[Serving]] = defaultdict(list)
    for endpoint in endpoints:
        for name in endpoint.pods:
            known[PodName(endpoint.namespace, name)].add(endpoint.who)
        by_target[endpoint.namespace, endpoint.target.name].append(endpoint)
    return {pod: frozenset(known[pod] if pod in known else _named(pod, by_target)) for pod in shown}


def _named(pod: PodName, by_target: Mapping[tuple[str, str], Sequence[Serving]]) -> Iterable[Identity]:
    parts = pod.name.split("-")
    for cut in (1, 2):
        target = "-".join(parts[:-cut])
        for endpoint in by_target.get((pod.namespace, target), ()):
            suffix = SUFFIXES.get(endpoint.target.kind)
            if suffix is not None and suffix.fullmatch(pod.name.removeprefix(target)):
                yield endpoint.who


def _own(endpoints: Iterable[Serving]) -> tuple[Adapter, ...]:
    """Where to look by the names of owners, each map once."""
    return tuple(adapter(m) for m in dict.fromkeys(e.metrics for e in endpoints) if m is not None)


def _namespaces(endpoints: Iterable[Serving]) -> list[str]:
    return sorted({e.namespace for e in endpoints})

"""Reads what the pods of all endpoints have counted, moment by moment: one question, however many.

A subquery gives the counters as they stood at the end of every step, so what was missed is read again
later, an hour back at most. Old peaks come from sums over ten minutes, each hour asked by itself.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gpupool.collector.engines.adapters import ADAPTERS, Adapter, Series
from gpupool.collector.engines.meter import PodName
from gpupool.collector.engines.questions import places
from gpupool.collector.engines.sight import pod_of
from gpupool.collector.engines.windows import NAME, SERIES
from gpupool.collector.prometheus.activity import duration, one_of
from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.policy.slo.arrivals import Count

PATIENCE: Final = 20.0
"""Seconds that one question may take."""
TYPE: Final = "request_type"
"""A label that TensorRT-LLM tells running and waiting requests apart by."""
COMING: Final = frozenset({"TGI"})
"""Engines that count requests as they come; all others do when they end."""
UNDER_WAY: Final = ("running", "waiting")

Words = Mapping[str, float]
Moments = Mapping[int, Mapping[PodName, Words]]
"""What pods show by the number of a moment; values by the word of their series."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Moments at whole steps: number n is at n steps since 1970, as subqueries have it."""

    step: float

    def at(self, number: int) -> float:
        """Unix seconds."""
        return number * self.step

    def number(self, seconds: float) -> int:
        """The last moment that has come."""
        return int(seconds / self.step + 1e-6)


class ArrivalReader:
    """Reads counters over time.

    Args:
        client: the connection.
        patience: seconds for one question.
    """

    def __init__(self, client: PrometheusClient, patience: float = PATIENCE) -> None:
        self._client = client
        self._patience = patience

    async def moments(
        self, namespaces: Sequence[str], grid: Grid, since: int, until: int, more: Sequence[Adapter] = ()
    ) -> Moments:
        """What pods showed at the moments after `since` up to `until`.

        `more` are engines whose names their owners give.

        Raises:
            PrometheusError: there is no whole answer.
            TimeoutError: it takes too long.
        """
        question = counts_query(namespaces, grid.step, (until - since) * grid.step, more)
        found: dict[int, dict[PodName, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
        for sample in await self._ask(question, grid.at(until)):
            if since < (number := grid.number(sample.timestamp)) <= until:
                found[number][pod_of(sample)][_word(sample)] = sample.value
        return found

    async def sums(  # noqa: PLR0917 - a grid, a span and its parts
        self,
        namespaces: Sequence[str],
        grid: Grid,
        span: float,
        over: float,
        until: int,
        more: Sequence[Adapter] = (),
    ) -> Mapping[float, Mapping[PodName, Words]]:
        """Requests that pods counted in each stretch of `over` seconds, by its end, of `span` seconds.

        Raises:
            PrometheusError: there is no whole answer.
            TimeoutError: it takes too long.
        """
        found: dict[float, dict[PodName, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
        for sample in await self._ask(sums_query(namespaces, span, over, more), grid.at(until)):
            found[sample.timestamp][pod_of(sample)][sample.labels.get(NAME, "")] = sample.value
        return found

    async def _ask(self, question: str, at: float) -> list[Sample]:
        async with asyncio.timeout(self._patience):
            return await self._client.query(question, at)


def counts_query(namespaces: Sequence[str], step: float, span: float, more: Sequence[Adapter] = ()) -> str:
    """Counters of requests and gauges of those under way, per pod, at every step of a span."""
    names = one_of("__name__", sorted({s.name for s in (*_requests(more), *_gauges(more))}))
    where = places(namespaces)
    kept = f"__name__, namespace, pod, {TYPE}"
    series = f"max by ({kept}, {', '.join(SERIES)}) ({{{names}{f',{where}' if where else ''}}})"
    return f"(sum by ({kept}) ({series}))[{duration(span)}:{duration(step)}]"


def sums_query(namespaces: Sequence[str], span: float, over: float, more: Sequence[Adapter] = ()) -> str:
    """Requests in each stretch of a span, per pod."""
    where = places(namespaces)
    each = " or ".join(
        f'label_replace(increase({s.name}{{{where}}}[{duration(over)}]), "{NAME}", "{s.word}", "", "")'
        for s in _requests(more)
    )
    series = f"max by (namespace, pod, {NAME}, {', '.join(SERIES)}) ({each})"
    return f"(sum by (namespace, pod, {NAME}) ({series}))[{duration(span)}:{duration(over)}]"


def count(engine: str, words: Words, own: Adapter | None = None) -> Count | None:
    """What a pod shows; None where nothing of its engine is there, or nobody says what counts its requests.

    A counter with labels is not there before its first request. `own` are names that its owner gives.
    """
    adapter = own or ADAPTERS.get(engine)
    if adapter is None or "requests" not in adapter.counters:
        return None
    requests = _first(adapter.counters["requests"], words)
    running, waiting = (_first(adapter.gauges.get(name, ()), words) for name in UNDER_WAY)
    if requests is None and running is None and waiting is None:
        return None
    return Count(requests or 0.0, running or 0.0, waiting or 0.0, coming=engine in COMING)


def requests(engine: str, words: Words, own: Adapter | None = None) -> float:
    """Requests of a pod in a stretch."""
    adapter = own or ADAPTERS.get(engine)
    return 0.0 if adapter is None else _first(adapter.counters.get("requests", ()), words) or 0.0


def _first(found: Iterable[Series], words: Words) -> float | None:
    return next((words[s.word] for s in found if s.word in words), None)


def _word(sample: Sample) -> str:
    name, kind = sample.labels.get("__name__", ""), sample.labels.get(TYPE, "")
    return Series(name, f'{TYPE}="{kind}"').word if kind else name


def _requests(more: Iterable[Adapter]) -> tuple[Series, ...]:
    return _distinct(s for a in (*ADAPTERS.values(), *more) for s in a.counters.get("requests", ()))


def _gauges(more: Iterable[Adapter]) -> tuple[Series, ...]:
    known = (*ADAPTERS.values(), *more)
    return _distinct(s for a in known for name in UNDER_WAY for s in a.gauges.get(name, ()))


def _distinct(found: Iterable[Series]) -> tuple[Series, ...]:
    return tuple(dict.fromkeys(found))

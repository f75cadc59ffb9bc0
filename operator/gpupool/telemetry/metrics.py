"""The operator's metrics: one typed helper each, on a registry of their own.

What speaks about objects of the cluster is replaced whole with every plan, so that series of vanished
objects vanish with them; what counts the operator's own doings only ever rises.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector
from typing_extensions import override

from gpupool.model.plan import Plan
from gpupool.model.snapshot import Snapshot
from gpupool.planner.endpoints import SloPlan
from gpupool.telemetry import catalog
from gpupool.telemetry.catalog import CATALOG, Kind, Metric
from gpupool.telemetry.exposition import exposition
from gpupool.telemetry.poolseries import Series, merged, pool_series
from gpupool.telemetry.sloseries import slo_series

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class ReflectorReading:
    """What one reflector says of itself when asked.

    Attributes:
        kind: resource it reflects, for example `pods`.
        lists: lists completed.
        events: changes told by watches.
        drifts: counts that differed from the server's.
        failures: attempts that ended in an error.
        age: seconds since the server was last heard.
    """

    kind: str
    lists: int
    events: int
    drifts: int
    failures: int
    age: float


Reflectors = Callable[[], Iterable[ReflectorReading]]


class Metrics:
    """All metrics of one process. Safe to render from another thread."""

    def __init__(self) -> None:
        # A `_created` series per counter would double them for nothing. (The function has no annotations.)
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry(auto_describe=False)
        self._pools: dict[str, Callable[[], Series]] = {}
        self._endpoints: Callable[[], Series] = dict
        self._cycle_seconds = self._histogram(catalog.CYCLE_SECONDS)
        self._cycles = self._counter(catalog.CYCLES)
        self._writes = self._counter(catalog.WRITES)
        self._refusals = self._counter(catalog.RECHECK_REFUSALS)
        self._queries = self._counter(catalog.PROMETHEUS_QUERIES)
        self._query_samples = self._counter(catalog.PROMETHEUS_SAMPLES)
        self._query_errors = self._counter(catalog.PROMETHEUS_ERRORS)
        self._query_seconds = self._histogram(catalog.PROMETHEUS_SECONDS)
        self._reflected = _Reflected()
        self._registry.register(self._reflected)
        self._leader = Gauge(catalog.LEADER.name, catalog.LEADER.help, registry=self._registry)

    def publish(self, plan: Plan, snapshot: Snapshot) -> None:
        """Replace all series of the plan's pool, at once; they are made when they are asked for."""
        self._pools = {**self._pools, plan.pool: cache(partial(pool_series, plan, snapshot))}

    def publish_endpoints(self, plan: SloPlan) -> None:
        """Replace all series of InferenceSLOs, at once; they are made when they are asked for."""
        self._endpoints = cache(partial(slo_series, plan))

    def forget(self, pool: str) -> None:
        """Drop all series of a pool that is gone."""
        self._pools = {name: series for name, series in self._pools.items() if name != pool}

    def render(self) -> bytes:
        """The page for Prometheus, in CONTENT_TYPE."""
        series = merged([made() for made in (*self._pools.values(), self._endpoints)])
        objects = exposition((metric, series[metric]) for metric in CATALOG if metric in series)
        return objects.encode() + generate_latest(self._registry)

    def watch_reflectors(self, ask: Reflectors) -> None:
        """Name who is asked for the reflectors' readings at every scrape."""
        self._reflected.ask = ask

    def watch_leadership(self, ask: Callable[[], bool]) -> None:
        """Name who is asked at every scrape whether this process leads."""
        self._leader.set_function(ask)

    def step_took(self, step: str, seconds: float) -> None:
        """One step of a cycle (collect, plan, recheck, apply, report) is done."""
        self._cycle_seconds.labels(step).observe(seconds)

    def cycle_ended(self, result: str) -> None:
        """A cycle is over: `ok`, `incomplete` where a write failed, `failed` where the cycle did."""
        self._cycles.labels(result).inc()

    def wrote(self, kind: str, verb: str, result: str, count: int = 1) -> None:
        """Writes to the API server were tried: `done` or `failed`."""
        self._writes.labels(kind, verb, result).inc(count)

    def recheck_refused(self, reason: str) -> None:
        """An action no longer held when it was checked again."""
        self._refusals.labels(reason).inc()

    def prometheus_asked(self, outcome: str, seconds: float, samples: int = 0) -> None:
        """A question to Prometheus ended (`ok`, or the kind of its error): an observer of its client."""
        self._queries.inc()
        self._query_samples.inc(samples)
        self._query_seconds.observe(seconds)
        if outcome != "ok":
            self._query_errors.labels(outcome).inc()

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.labels, registry=self._registry)

    def _histogram(self, metric: Metric) -> Histogram:
        return Histogram(
            metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=self._registry
        )


class _Reflected(Collector):
    """Readings of the reflectors, asked for when scraped."""

    def __init__(self) -> None:
        self.ask: Reflectors = tuple

    @override
    def collect(self) -> Iterable[Family]:
        readings = tuple(self.ask())
        yield _family(catalog.REFLECTOR_LISTS, ((r.kind, r.lists) for r in readings))
        yield _family(catalog.REFLECTOR_EVENTS, ((r.kind, r.events) for r in readings))
        yield _family(catalog.REFLECTOR_DRIFTS, ((r.kind, r.drifts) for r in readings))
        yield _family(catalog.REFLECTOR_FAILURES, ((r.kind, r.failures) for r in readings))
        yield _family(catalog.REFLECTOR_AGE, ((r.kind, r.age) for r in readings))


def _family(metric: Metric, values: Iterable[tuple[str, float]]) -> Family:
    made = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = made(metric.name, metric.help, labels=metric.labels)
    for kind, value in values:
        family.add_metric((kind,), value)
    return family

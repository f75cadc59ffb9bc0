"""An engine without an adapter: names that its owner gives, as the tables of the others have them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from gpupool.collector.engines.adapters import Adapter, Mean, Series
from gpupool.collector.engines.meter import PodName
from gpupool.collector.engines.names import HTTP, Histogram, Names, Ratio
from gpupool.collector.engines.questions import More
from gpupool.collector.engines.sight import Sight
from gpupool.model.metrics import Metrics, Resolved
from gpupool.model.slo import LATENCIES, Sli

CUSTOM: Final = "Custom"
"""What is told as the engine."""
KEPT: Final = 1024
"""Maps whose tables are kept; a cluster has few."""
_HISTOGRAMS: Final = tuple(sli.value for sli in LATENCIES)


def more(maps: Iterable[Metrics]) -> More:
    """The names of all maps together."""
    found = list(maps)
    return More(
        histograms=frozenset(name for m in found for of, name in m.named() if of in _HISTOGRAMS),
        counters=frozenset(
            name for m in found for name in (m.succeeded, m.failed, m.prompt_tokens, m.output_tokens) if name
        ),
        gauges=frozenset(name for m in found for name in (m.running, m.waiting, m.kv) if name),
        running=frozenset(m.running for m in found),
    )


@lru_cache(maxsize=KEPT)
def names(metrics: Metrics) -> Names:
    """The names of one map; throughput needs to know who waits."""
    latencies = {
        sli: (Histogram(name, metrics.unit),) for sli in LATENCIES if (name := getattr(metrics, sli.value))
    }
    throughput = bool(metrics.output_tokens and metrics.waiting)
    return Names(
        running=metrics.running,
        waiting=metrics.waiting or metrics.running,
        latencies=latencies,
        tokens=(metrics.output_tokens,) if throughput else (),
    )


def sources(metrics: Metrics) -> tuple[Ratio, ...]:
    """Where availability is counted: requests that failed, else the HTTP layer."""
    if metrics.succeeded and metrics.failed:
        return (Ratio((metrics.succeeded,), (metrics.failed,)), HTTP)
    return (HTTP,)


@lru_cache(maxsize=KEPT)
def adapter(metrics: Metrics) -> Adapter:
    """Where the diagnosis looks."""
    gauges = {"running": metrics.running, "waiting": metrics.waiting, "kv": metrics.kv}
    counters = {
        "requests": metrics.succeeded,
        "aborted": metrics.failed,
        "prompt_tokens": metrics.prompt_tokens,
        "output_tokens": metrics.output_tokens,
    }
    means = {"ttft": metrics.ttft, "itl": metrics.itl or metrics.tpot, "queue": metrics.queue}
    return Adapter(
        gauges={of: (Series(name),) for of, name in gauges.items() if name},
        counters={of: (Series(name),) for of, name in counters.items() if name},
        means={
            of: (Mean(Series(f"{name}_sum"), Series(f"{name}_count"), metrics.unit),)
            for of, name in means.items()
            if name
        },
    )


def resolved(metrics: Metrics, pods: Iterable[PodName], sight: Sight) -> tuple[Resolved, ...]:
    """What was looked for, and whether any of these pods shows it."""
    shown: set[str] = set()
    for pod in pods:
        shown |= set(sight.loads.get(pod, ()))
        shown |= {c.metric for c in sight.counts.get(pod, ())}
        shown |= {bucket.removesuffix("_bucket") for bucket in sight.shown.get(pod, ())}
    return tuple(Resolved(of, name, name in shown) for of, name in metrics.named())


def lacking(sli: Sli) -> str:
    """What to say where a map names nothing for an objective."""
    needs = {
        Sli.THROUGHPUT: "outputTokens and waiting",
        Sli.AVAILABILITY: "succeeded and failed",
    }
    return f"spec.metrics names no {needs.get(sli, f'histogram of {sli.value}')}: add it."

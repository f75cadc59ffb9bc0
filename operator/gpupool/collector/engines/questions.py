"""What Prometheus is asked about all endpoints together: as many questions for a thousand as for one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gpupool.collector.engines.names import ENGINES, counters, gauges, histograms
from gpupool.collector.prometheus.activity import duration, one_of, quoted

KEEP: Final = 120.0
"""Seconds that the last count of a pod that is gone is still read: what it did last must not be lost."""
MOST_NAMESPACES: Final = 200
"""Namespaces that a question names; of more it reads all engines."""
SERIES: Final = ("engine", "model_name", "model", "version")
"""Labels that tell counters of one pod apart; those of several ranks, or of two scrapers, count once."""
ALL: Final = "+Inf"
NO_PROBES: Final = 'handler!~"/(metrics|health|healthz|livez|readyz|ping|version|load)"'
"""Requests of kubelets and of Prometheus are nobody's: they would make every endpoint available."""


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions of one reading, all as of the same moment.

    Attributes:
        buckets: counts up to each bound, per pod: the thresholds in use, and all.
        shown: histograms that are there now, per pod: what was counted last is read longer.
        counts: counters of tokens and requests, per pod.
        loads: running and waiting requests, per pod.
        ages: seconds since the newest sample, per pod.
        broken: pods whose gauges are no numbers.
        up: targets, per pod.
    """

    buckets: str
    shown: str
    counts: str
    loads: str
    ages: str
    broken: str
    up: str


@dataclass(frozen=True, slots=True)
class More:
    """Names that are asked beside those of known engines; `running` are the gauges that tell of freshness."""

    histograms: frozenset[str] = frozenset()
    counters: frozenset[str] = frozenset()
    gauges: frozenset[str] = frozenset()
    running: frozenset[str] = frozenset()


def questions(namespaces: Sequence[str], thresholds: Iterable[float], more: More | None = None) -> Questions:
    """The questions for endpoints in these namespaces.

    Args:
        namespaces: of all endpoints.
        thresholds: bounds in the units of the histograms, those of all objectives.
        more: names that owners of endpoints give.
    """
    own = more or More()
    where = places(namespaces)
    comma = f",{where}" if where else ""
    bounds = "|".join((r"\\+Inf", *sorted({s for t in thresholds for s in spellings(t)})))
    kept = duration(KEEP)
    names = one_of("__name__", [f"{name}_bucket" for name in sorted({*histograms(), *own.histograms})])
    series = ", ".join(SERIES)
    bucket = (
        f"max by (__name__, namespace, pod, le, {series})"
        f' (last_over_time({{{names},le=~"{bounds}"{comma}}}[{kept}]))'
    )
    counted = one_of("__name__", sorted({*counters(), *own.counters}))
    count = (
        f"max by (__name__, namespace, pod, status, reason, handler, method, {series})"
        f" (last_over_time({{{counted},{NO_PROBES}{comma}}}[{kept}]))"
    )
    gauge = f"{{{one_of('__name__', sorted({*gauges(), *own.gauges}))}{comma}}}"
    return Questions(
        buckets=f"sum by (__name__, namespace, pod, le) ({bucket})",
        shown=f'count by (__name__, namespace, pod) ({{{names},le="{ALL}"{comma}}})',
        counts=f"sum by (__name__, namespace, pod, status) ({count})",
        loads=f"sum by (__name__, namespace, pod) (max by (__name__, namespace, pod, {series}) ({gauge}))",
        ages=f"min by (namespace, pod) (time() - ({_any('timestamp(%s)', where, own.running)}))",
        broken=f"min by (namespace, pod) ({_any('(%s < bool Inf)', where, own.running)}) == 0",
        up=f"max by (job, instance, namespace, pod) (up{{{where}}})" if where else "up",
    )


def _any(form: str, where: str, more: Iterable[str]) -> str:
    """An expression over each engine's gauge of running requests: what drops names takes one at a time."""
    names = sorted({*(names.running for names in ENGINES.values()), *more})
    return " or ".join(form % f"{name}{{{where}}}" for name in names)


def bounds_of(name: str, namespace: str, pods: Sequence[str]) -> str:
    """The bucket bounds that some pods have, asked only where a threshold is none of them."""
    where = f"{one_of('namespace', [namespace])},{one_of('pod', list(pods))}"
    return f"count by (le) ({{__name__={quoted(f'{name}_bucket')},{where}}})"


def places(namespaces: Sequence[str]) -> str:
    """A matcher of the namespaces; empty where there are too many to name."""
    found = sorted(set(namespaces))
    return one_of("namespace", found) if 0 < len(found) <= MOST_NAMESPACES else ""


def spellings(bound: float) -> tuple[str, ...]:
    """How a bound may be written, as RE2 in a PromQL string: Prometheus 3 writes 1.0, others 1."""
    text = repr(bound)
    whole = text.removesuffix(".0")
    escaped = {t.replace("+", r"\\+").replace(".", r"\\.") for t in {text, whole, f"{bound:g}"}}
    return tuple(sorted(escaped))

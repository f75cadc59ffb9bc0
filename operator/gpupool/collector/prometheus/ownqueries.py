"""The questions about our own series: pods that died within the window, and the peaks of requests."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from gpupool.collector.prometheus.activity import duration, labels, one_of, quoted
from gpupool.collector.prometheus.queries import RAW_LIMIT, RESOLUTION, Ranged, is_long

OWN_STEPS: Final = 240
"""Steps of a range of our own series: quarter minutes of an hour."""

RECENT: Final = timedelta(minutes=15)
"""What a recording rule may not have told yet, with room for a missed evaluation."""

LIVING: Final = timedelta(minutes=5)
"""A request that no scrape of this time told of is gone: for so long Prometheus itself looks back."""

WEEK: Final = timedelta(days=7)
"""The least time whose peak is kept for an endpoint that users were promised something of."""

MOST_NAMESPACES: Final = 200
"""Namespaces that a question names; of more it reads all."""

RECENT_STEP: Final = 15.0
"""Seconds between two looks at it."""

RAW: Final = "raw"
"""Label of samples that tell how long our own series exist, so that missing rules are noticed."""

POD_GPUS: Final = "gpupool_pod_gpus"
USED_GPUS: Final = "gpupool_request_used_gpus"

POD_LABELS: Final = (
    "job",
    "namespace",
    "exported_namespace",
    "pod",
    "exported_pod",
    "node",
    "request",
    "pool",
    "resource",
)
REQUEST_LABELS: Final = ("job", "namespace", "exported_namespace", "request", "pool", "resource")
WHOSE: Final = tuple(name for name in REQUEST_LABELS if name != "job")
"""What tells requests apart, whoever scraped us."""


@dataclass(frozen=True, slots=True)
class OwnQueries:
    """What is asked about our own series of one pool.

    Attributes:
        held: GPUs summed over steps, per pod.
        size: GPUs of a pod.
        peak: the most GPUs a request used.
        history: counts of steps in which a request was recorded; those labelled RAW are counts of RECENT_STEP
            and tell only whether there was anything to record.
        recent: counts of steps of the last window in which a request was recorded.
    """

    held: Ranged
    size: str
    peak: str
    history: Ranged
    recent: Ranged


def own_queries(pool: str, window: timedelta, lookback: timedelta, jobs: Sequence[str] = ()) -> OwnQueries:
    """The questions about our own series.

    Args:
        pool: name of the pool.
        window: over which use is measured.
        lookback: whose peak is kept.
        jobs: under which the operator itself is scraped; empty believes any.
    """
    matcher = ",".join([f"pool={quoted(pool)}", *([one_of("job", jobs)] if jobs else [])])
    held, size = (_recorded_pods if is_long(window) else _sampled_pods)(matcher, window)
    peak, history = (_recorded_requests if is_long(lookback) else _sampled_requests)(
        matcher, window, lookback
    )
    recent = _recent(matcher, window)
    return OwnQueries(
        held,
        size,
        peak=_living(peak, matcher),
        history=replace(history, promql=_living(history.promql, matcher)),
        recent=replace(recent, promql=_living(recent.promql, matcher)),
    )


def _living(promql: str, matcher: str) -> str:
    """Only of requests that were told of lately: those that are gone would fill answers for all the lookback.

    After a longer silence of ours nothing is known until we were scraped again, and nothing is taken.
    """
    lately = f"max_over_time({USED_GPUS}{{{matcher}}}[{duration(LIVING.total_seconds())}])"
    return f"(({promql}) and on {labels(WHOSE)} {lately})"


def week_query(pool: str, namespaces: Sequence[str], jobs: Sequence[str] = ()) -> str:
    """The most GPUs that requests of some namespaces used in a week, from what the rules kept of it.

    Args:
        pool: name of the pool.
        namespaces: those with endpoints that users were promised something of.
        jobs: as in `own_queries`.
    """
    named = sorted(set(namespaces))
    where = [one_of(label, named) for label in ("namespace", "exported_namespace")]
    matcher = ",".join([f"pool={quoted(pool)}", *([one_of("job", jobs)] if jobs else [])])
    over, by = duration(WEEK.total_seconds()), f"max by {labels(REQUEST_LABELS)}"
    found = " or ".join(
        f"{by} (max_over_time(gpupool:request_used_gpus:max5m{{{matcher}{more}}}[{over}]))"
        for more in ([f",{w}" for w in where] if len(named) <= MOST_NAMESPACES else [""])
    )
    return _living(found, matcher)


def _recent(matcher: str, window: timedelta) -> Ranged:
    """What the lookback tells of older windows is no word about this one: we may have been away."""
    over = duration(window.total_seconds())
    if is_long(window):
        kept = f"gpupool:request_used_gpus:max5m{{{matcher}}}[{over}]"
        return Ranged(f"count_over_time({kept})", RESOLUTION)
    step = own_step(window)
    series = f"max by {labels(REQUEST_LABELS)} ({USED_GPUS}{{{matcher}}})"
    return Ranged(f"count_over_time(({series})[{over}:{duration(step)}])", step)


def own_step(span: timedelta) -> float:
    """Seconds between two looks at our own series over a range; whole steps fill it."""
    seconds = span.total_seconds()
    return seconds / max(1, min(OWN_STEPS, int(seconds)))


def _sampled_pods(matcher: str, window: timedelta) -> tuple[Ranged, str]:
    step = own_step(window)
    by = f"max by {labels(POD_LABELS)}"
    over = f"[{duration(window.total_seconds())}:{duration(step)}]"
    held = f"sum_over_time(({by} ({POD_GPUS}{{{matcher}}})){over})"
    size = f"{by} (max_over_time({POD_GPUS}{{{matcher}}}[{duration(window.total_seconds())}]))"
    return Ranged(held, step), size


def _recorded_pods(matcher: str, window: timedelta) -> tuple[Ranged, str]:
    rest = f"{{{matcher}}}[{duration(window.total_seconds())}]"
    return (
        Ranged(f"sum_over_time(gpupool:pod_gpus:mean5m{rest})", RESOLUTION),
        f"max_over_time(gpupool:pod_gpus:max5m{rest})",
    )


def _sampled_requests(matcher: str, window: timedelta, lookback: timedelta) -> tuple[str, Ranged]:
    """The history reaches further than a short lookback: one missed scrape must not count for a window."""
    series, by = f"{USED_GPUS}{{{matcher}}}", f"max by {labels(REQUEST_LABELS)}"
    reach = min(RAW_LIMIT, max(lookback, 2 * window))
    step = own_step(reach)
    over = f"[{duration(reach.total_seconds())}:{duration(step)}]"
    return (
        f"{by} (max_over_time({series}[{duration(lookback.total_seconds())}]))",
        Ranged(f"count_over_time(({by} ({series})){over})", step),
    )


def _recorded_requests(matcher: str, _window: timedelta, lookback: timedelta) -> tuple[str, Ranged]:
    """The rule's last value may be minutes old: the peak looks at what came since, too."""
    series, by = f"{USED_GPUS}{{{matcher}}}", f"max by {labels(REQUEST_LABELS)}"
    kept = f"gpupool:request_used_gpus:max5m{{{matcher}}}[{duration(lookback.total_seconds())}]"
    recent = duration(RECENT.total_seconds())
    evidence = f"count_over_time(({by} ({series}))[{recent}:{duration(RECENT_STEP)}])"
    return (
        f"{by} (max_over_time({kept}) or max_over_time({series}[{recent}]))",
        Ranged(f'count_over_time({kept}) or label_replace({evidence}, "{RAW}", "yes", "", "")', RESOLUTION),
    )

"""From what a reading shows to what is known of one objective: the table of facts/inference.md 5.1. Pure.

Nothing is made up: an absent series is Missing and never zero, an old one is Stale, a threshold between two
bounds is Invalid and never interpolated. Rules are asked in their order; the first that answers counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gpupool.collector.engines import custom
from gpupool.collector.engines.meter import Counter, PodName
from gpupool.collector.engines.names import AVAILABILITY, ENGINES, Histogram, Names, Ratio
from gpupool.collector.engines.questions import ALL
from gpupool.collector.engines.sight import Sight
from gpupool.collector.prometheus.problem import over, some
from gpupool.model.metrics import Metrics
from gpupool.model.slo import Objective, Reading, Sli, SloState

TOLERANCE = 1e-9
"""Bounds are compared as numbers: 1 is 1.0."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The pods of one endpoint.

    Attributes:
        ready: pods that serve, as the API says.
        others: its other pods.
        gone: those that were its own a moment ago: what they did counts.
        engine: as the spec names it, or as it was found; empty where neither.
        bounds: bucket bounds of a histogram, where they had to be asked for.
        metrics: the names that its owner gives, in place of an engine's.
    """

    ready: Sequence[PodName]
    others: Sequence[PodName] = ()
    gone: Sequence[PodName] = ()
    engine: str = ""
    bounds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    metrics: Metrics | None = None

    @property
    def names(self) -> Names | None:
        """The metrics of its engine; None where it is not known."""
        return ENGINES.get(self.engine) if self.metrics is None else custom.names(self.metrics)

    @property
    def sources(self) -> tuple[Ratio, ...]:
        """Where its availability is counted, the first that a pod exports."""
        return AVAILABILITY if self.metrics is None else custom.sources(self.metrics)

    @property
    def pods(self) -> tuple[PodName, ...]:
        """All of them."""
        return (*self.ready, *self.others, *self.gone)


def judge(objective: Objective, workload: Workload, sight: Sight) -> Reading:
    """What is known of an objective now."""
    if blind := _blind(workload, sight):
        return blind
    match objective.sli:
        case Sli.AVAILABILITY:
            found = _availability(workload, sight)
        case Sli.THROUGHPUT:
            found = _throughput(objective, workload, sight)
        case _:
            found = _latency(objective, workload, sight)
    return _with_gaps(found, workload, sight)


def histogram_of(objective: Objective, workload: Workload, sight: Sight) -> Histogram | None:
    """The histogram that answers for a latency: the newest name that any pod exports, else the newest."""
    names = workload.names
    choices = names.latencies.get(objective.sli, ()) if names else ()
    seen = {c.metric for pod in workload.pods for c in sight.buckets.get(pod, ())}
    return next((h for h in choices if f"{h.name}_bucket" in seen), choices[0] if choices else None)


def unmatched(objective: Objective, workload: Workload, sight: Sight) -> Histogram | None:
    """The histogram whose bounds must be asked for: it is there, and the threshold is none of its bounds."""
    histogram = histogram_of(objective, workload, sight)
    if histogram is None or objective.threshold is None:
        return None
    with_all, with_bound = _with_bucket(histogram, objective.threshold, workload, sight)
    return histogram if with_all - with_bound else None


# ------------------------------------------------------------------ what stands before every objective


def _blind(workload: Workload, sight: Sight) -> Reading | None:
    """Why nothing of the endpoint can be seen."""
    return _nobody(workload, sight) or _no_target(workload, sight) or _no_numbers(workload, sight)


def _nobody(workload: Workload, sight: Sight) -> Reading | None:
    if workload.ready:
        return None
    if workload.others:
        return _missing("No pod of the workload is Ready yet.")
    return Reading(SloState.NO_TRAFFIC, message="The workload has no pods.", seconds=sight.seconds)


def _no_target(workload: Workload, sight: Sight) -> Reading | None:
    targets = [pod for pod in workload.ready if pod in sight.up]
    if not targets:
        return _missing(
            "Prometheus has no target with the labels namespace and pod of these pods: make a PodMonitor."
        )
    if not any(sight.up[pod] for pod in targets):
        return _missing(f"The targets of {_names(targets)} are down: see the engine's /metrics and its port.")
    return None


def _no_numbers(workload: Workload, sight: Sight) -> Reading | None:
    if broken := [pod for pod in workload.ready if pod in sight.broken]:
        return Reading(SloState.INVALID, message=f"{_names(broken)} shows NaN where numbers belong.")
    names = workload.names
    if names is None:
        known = ", ".join(ENGINES)
        return _missing(
            f"The pods export metrics of no engine that is known ({known}): name it in spec.engine."
        )
    ages = [sight.ages[pod] for pod in workload.ready if pod in sight.ages]
    if not ages:
        named = f"spec.engine {workload.engine}" if workload.metrics is None else "spec.metrics.running"
        return _missing(f"No pod exports {names.running}: is {named} right?")
    if not any(sight.fresh(pod) for pod in workload.ready):
        text = f"The newest sample is {over(min(ages))} old: the engine hangs, or is scraped no more."
        return Reading(SloState.STALE, message=text)
    return None


def _with_gaps(found: Reading, workload: Workload, sight: Sight) -> Reading:
    """An answer of some pods only says so."""
    unseen = [pod for pod in workload.ready if not sight.fresh(pod)]
    if not unseen or found.state not in {SloState.OK, SloState.NO_TRAFFIC}:
        return found
    text = f"{len(unseen)} of {len(workload.ready)} Ready pods are not seen: {_names(unseen)}."
    return Reading(SloState.PARTIAL, found.good, found.total, found.seconds, found.metric, found.bucket, text)


# ------------------------------------------------------------------ one kind of objective each


def _latency(objective: Objective, workload: Workload, sight: Sight) -> Reading:
    names, histogram = workload.names, histogram_of(objective, workload, sight)
    if names is None or histogram is None:
        return _unsupported(objective, workload)
    threshold = objective.threshold or 0.0
    with_all, with_bound = _with_bucket(histogram, threshold, workload, sight)
    if not any(f"{histogram.name}_bucket" in sight.shown.get(pod, ()) for pod in workload.ready):
        if _idle(workload, sight, names):
            return Reading(SloState.NO_TRAFFIC, seconds=sight.seconds, metric=histogram.name)
        how = names.how.get(objective.sli, "")
        return _missing(f"No pod exports {histogram.name}{f': {how}' if how else ''}.", histogram.name)
    if without := with_all - with_bound:
        return _no_bound(objective, histogram, workload, mixed=sorted(without) if with_bound else [])
    wanted = Counter(f"{histogram.name}_bucket", _spelling(histogram, threshold, workload, sight))
    good = sum(_matching(histogram, threshold, sight.buckets.get(pod, {})) for pod in workload.pods)
    total = sum(
        sight.buckets.get(pod, {}).get(Counter(f"{histogram.name}_bucket", ALL), 0.0) for pod in workload.pods
    )
    if total < good:
        return Reading(
            SloState.INVALID, metric=histogram.name, message="More requests are good than there are."
        )
    state = SloState.NO_TRAFFIC if total == 0 and _idle(workload, sight, names) else SloState.OK
    return Reading(state, good, total, sight.seconds, histogram.name, wanted.label)


def _availability(workload: Workload, sight: Sight) -> Reading:
    for source in workload.sources:
        counted = [_requests(source, sight.counts.get(pod, {})) for pod in workload.pods]
        known = [c for c in counted if c is not None]
        if known:
            good, total = sum(c[0] for c in known), sum(c[1] for c in known)
            state = SloState.OK if total else SloState.NO_TRAFFIC
            return Reading(state, good, total, sight.seconds, source.good[0])
    return Reading(
        SloState.UNSUPPORTED,
        message="The pods count no refused requests (http_requests_total by status, or failures of the"
        " engine): what the engine never saw cannot be told from what succeeded.",
    )


def _throughput(objective: Objective, workload: Workload, sight: Sight) -> Reading:
    names = workload.names
    if names is None or not names.tokens:
        return _unsupported(objective, workload)
    if sight.seconds <= 0:
        return Reading(SloState.OK, metric=names.tokens[0])
    tokens = sum(
        sight.counts.get(pod, {}).get(Counter(name), 0.0) for pod in workload.pods for name in names.tokens
    )
    waiting = sum(sight.loads.get(pod, {}).get(names.waiting, 0.0) for pod in workload.ready)
    reached = tokens / sight.seconds >= (objective.tokens_per_second or 0.0)
    minutes = sight.seconds / 60
    good = minutes if reached or waiting == 0 else 0.0
    return Reading(SloState.OK, good, minutes, sight.seconds, names.tokens[0])


# ------------------------------------------------------------------ small


def _with_bucket(
    histogram: Histogram, threshold: float, workload: Workload, sight: Sight
) -> tuple[set[PodName], set[PodName]]:
    """Pods that export the histogram, and those of them that have the bound."""
    having: set[PodName] = set()
    bound: set[PodName] = set()
    for pod in workload.pods:
        own = [c for c in sight.buckets.get(pod, ()) if c.metric == f"{histogram.name}_bucket"]
        if own:
            having.add(pod)
        if any(_is(c.label, histogram, threshold) for c in own):
            bound.add(pod)
    return having, bound


def _is(label: str, histogram: Histogram, threshold: float) -> bool:
    if label == ALL:
        return False
    return abs(float(label) * histogram.unit - threshold) <= TOLERANCE * max(1.0, threshold)


def _matching(histogram: Histogram, threshold: float, events: Mapping[Counter, float]) -> float:
    name = f"{histogram.name}_bucket"
    return sum(n for c, n in events.items() if c.metric == name and _is(c.label, histogram, threshold))


def _spelling(histogram: Histogram, threshold: float, workload: Workload, sight: Sight) -> str:
    """The bound as the engine writes it."""
    name = f"{histogram.name}_bucket"
    labels = (c.label for pod in workload.pods for c in sight.buckets.get(pod, ()) if c.metric == name)
    return next((label for label in labels if _is(label, histogram, threshold)), "")


def _no_bound(
    objective: Objective, histogram: Histogram, workload: Workload, mixed: Sequence[PodName]
) -> Reading:
    threshold = objective.threshold or 0.0
    if mixed:
        text = (
            f"NotABucketBound: {threshold:g}s is a bound of {histogram.name} on some pods and not on"
            f" {_names(mixed)}, which run another version: choose a bound that all have."
        )
        return Reading(SloState.INVALID, metric=histogram.name, message=text)
    bounds = sorted(b * histogram.unit for b in workload.bounds.get(histogram.name, ()))
    below = [b for b in bounds if b < threshold][-1:]
    above = [b for b in bounds if b > threshold][:1]
    nearest = " and ".join(f"{b:g}s" for b in (*below, *above)) or "not known yet"
    text = (
        f"NotABucketBound: {threshold:g}s is no bucket bound of {histogram.name}, and what lies between two"
        f" bounds is not counted: the nearest are {nearest}."
    )
    return Reading(SloState.INVALID, metric=histogram.name, message=text)


def _requests(source: Ratio, events: Mapping[Counter, float]) -> tuple[float, float] | None:
    """Good and all requests of a pod; None where it has none of the source's counters."""
    own = [(c, n) for c, n in events.items() if c.metric in {*source.good, *source.bad}]
    if not own:
        return None
    total = sum(n for _, n in own)
    if source.label:
        bad = sum(n for c, n in own if c.label.startswith(source.bad_values))
    else:
        bad = sum(n for c, n in own if c.metric in source.bad)
    return total - bad, total


def _idle(workload: Workload, sight: Sight, names: Names) -> bool:
    gauges = (names.running, names.waiting)
    return all(sight.loads.get(pod, {}).get(g, 0.0) == 0 for pod in workload.ready for g in gauges)


def _unsupported(objective: Objective, workload: Workload) -> Reading:
    if workload.metrics is not None:
        return Reading(SloState.UNSUPPORTED, message=custom.lacking(objective.sli))
    has = ", ".join(sorted(workload.names.latencies if workload.names else ())) or "no latency"
    text = f"{workload.engine} exports no histogram of {objective.sli.value}: it has {has}."
    return Reading(SloState.UNSUPPORTED, message=text)


def _missing(text: str, metric: str = "") -> Reading:
    return Reading(SloState.MISSING, message=text, metric=metric)


def _names(pods: Iterable[PodName]) -> str:
    return some(pod.name for pod in pods)

"""Whether telemetry may be rested on in this cycle, and if not, one sentence on what to mend. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median, median_high
from typing import Final

from gpupool.collector.prometheus.activity import ENGINE, UTILISATION
from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.combine import believed, bound
from gpupool.collector.prometheus.devices import FRESH_SCRAPES, Readings
from gpupool.collector.prometheus.own import Own, Past
from gpupool.collector.prometheus.problem import Problem, jobs, over, some
from gpupool.collector.prometheus.queries import WITNESSES, is_long
from gpupool.collector.prometheus.targets import Rhythm, Targets
from gpupool.model.objects import Key, Pod
from gpupool.model.pool import Pool
from gpupool.model.usage import PodUsage

CLOCK_TOLERANCE: Final = 60.0
"""Seconds by which the clocks of Prometheus and of the API server may differ at least."""

MIN_SCRAPES: Final = 3
"""A window must hold so many scrapes, or nothing can be measured in it."""

OWN_OVERDUE: Final = 120.0
"""Seconds without any series of our own about a pod: we are not scraped, or under another name."""

RULES_OVERDUE: Final = 600.0
"""Seconds of our own series without a value of a recording rule: the rules are not loaded."""


def witnesses(up: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A few targets of every job, whose scrapes tell the interval."""
    return tuple(sorted({i for instances in up.values() for i in instances[:WITNESSES]}))


def intervals(scrapes: Iterable[Sample]) -> dict[str, float]:
    """Scrape interval per job in seconds: the higher median over its witnesses of their scrapes' distance.

    Two targets under one name halve the distance of that witness alone, and so cannot hide behind it.
    """
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for sample in scrapes:
        times[sample.labels.get("job", ""), sample.labels.get("instance", "")].append(sample.timestamp)
    gaps: dict[str, list[float]] = defaultdict(list)
    for (job, _), found in times.items():
        if own := [later - earlier for earlier, later in pairwise(sorted(found)) if later > earlier]:
            gaps[job].append(median(own))
    return {job: round(median_high(found), 3) for job, found in sorted(gaps.items())}


def no_targets(pool: Pool, targets: Targets) -> Problem | None:
    """What is wrong with the believed jobs themselves; None when at least one target is up."""
    names, up = jobs(pool.jobs), targets.working()
    if not up and targets.exporters:
        found = some({t.namespace or "(none)" for t in targets.exporters})
        return Problem(
            "NoTargets",
            f"Targets of {names} are in namespaces {found}, and prometheus.exporterNamespaces allows"
            f" {some(targets.allowed)}: correct one of them",
        )
    if not up:
        return Problem(
            "NoTargets",
            f"Prometheus has no target of {names}: scrape the GPU exporter under that name,"
            " or name its job in spec.telemetry.jobs",
        )
    if not any(up.values()):
        message = f"All targets of {names} are down: see the exporter's pods and its page in Prometheus"
        return Problem("TargetsDown", message)
    return targets.contested()


def other_time(at: float, now: datetime, slowest: float) -> Problem | None:
    """What is wrong with Prometheus' time: an old answer, or a wrong clock.

    Args:
        at: Prometheus' time of evaluation, unix seconds.
        now: the API server's time.
        slowest: the longest scrape interval, seconds.
    """
    off = abs(now.timestamp() - at)
    if off <= max(CLOCK_TOLERANCE, FRESH_SCRAPES * slowest):
        return None
    message = (
        f"Prometheus' time differs from the API server's by {over(off)}: set the clocks, cache no answers"
    )
    return Problem("OtherTime", message)


def not_scraped(at: float, rhythm: Rhythm) -> Problem | None:
    """What is wrong with targets that are shown but scraped no more."""
    age = at - max(s.timestamp for s in rhythm.scrapes)
    if age <= FRESH_SCRAPES * rhythm.slowest:
        return None
    return Problem(
        "ScrapesStopped",
        f"The last scrape is {over(age)} old, and there should be one every {rhythm.slowest:g}s:"
        " see Prometheus itself, its load and its configuration",
    )


def no_interval(pool: Pool, found: Mapping[str, float]) -> Problem | None:
    """What is wrong with the scrapes' rhythm, where measuring makes no sense yet."""
    if not found:
        message = f"{jobs(pool.jobs, 'J')} has been scraped less than twice: wait for the next scrape"
        return Problem("FirstScrapes", message)
    slowest = max(found.values())
    window = pool.reclaim.window.total_seconds()
    if window >= MIN_SCRAPES * slowest:
        return None
    return Problem(
        "WindowTooShort",
        f"spec.reclaim.window {window:g}s holds less than {MIN_SCRAPES} scrapes of {slowest:g}s:"
        " lengthen it, or scrape more often",
    )


def rules_missing(pool: Pool, past: Past) -> Problem | None:
    """Say that windows longer than an hour have nothing to read."""
    spans = {"spec.reclaim.window": pool.reclaim.window, "spec.reclaim.lookback": pool.reclaim.lookback}
    long = [name for name, span in spans.items() if is_long(span)]
    if past.kept or not long or past.recorded < RULES_OVERDUE:
        return None
    return Problem(
        "RulesMissing",
        f"The recording rules gpupool:*, which spans above 1h need ({', '.join(long)}), are not evaluated:"
        " load the chart's files/recording-rules.yaml in Prometheus",
    )


def own_missing(
    pool: Pool, pods: Sequence[Pod], own: Own, now: datetime, names: Sequence[str]
) -> Problem | None:
    """Say that our own series cannot be read back, long after they should be there.

    Args:
        pool: the pool.
        pods: its pods.
        own: what was read back.
        now: the API server's time.
        names: jobs under which the operator is scraped; empty where they are not known.
    """
    since = [p.started or now for p in bound(pool, pods).values() if p.running]
    due = [s for s in since if (now - max(s, pool.created)).total_seconds() > OWN_OVERDUE]
    if not names or not due or own.pods or own.past.peaks:
        return None
    return Problem(
        "OwnSeriesMissing",
        f"Prometheus has no gpupool_* series of {jobs(tuple(names))}, which tell the peak of use: scrape the"
        " operator, or name its job in prometheus.ownJobs",
    )


def not_fresh(
    pool: Pool, pods: Sequence[Pod], usage: Iterable[PodUsage], readings: Readings
) -> Problem | None:
    """What is wrong with the newest samples; None when the pool's use can be seen now."""
    alive = bound(pool, pods)
    due = {u.key for u in usage if u.alive and u.held_seconds > 0 and alive[u.key].running}
    if not due:
        return None
    series = believed(readings, alive)
    if not due & series.keys():
        return _unattributed(pool, alive, readings)
    ages = (s.age for key in alive for s in series.get(key, ()))
    age = min((a for a in ages if a is not None), default=None)
    if age is None:
        message = f"{jobs(pool.jobs, 'J')} stopped to show the pool's GPUs: see the exporter's log"
        return Problem("SamplesStopped", message)
    if age > readings.fresh_within:
        return Problem(
            "SamplesStopped",
            f"Samples are {over(age)} old, scraped every {readings.interval:g}s: see the exporter's log",
        )
    return None


def _unattributed(pool: Pool, alive: Mapping[Key, Pod], readings: Readings) -> Problem:
    """Why no series could be given to any pod of the pool."""
    names = jobs(pool.jobs)
    nodes = {pod.node for pod in alive.values()}
    named = [s for s in readings.series if s.pod in alive]
    if named:
        host = named[0].host or "no host"
        text = f"Series of {names} name host {host}, where {named[0].pod} is not bound"
        return Problem("NotAttributed", f"{text}: set NODE_NAME of the exporter")
    if any(s.host in nodes for s in readings.series):
        text = f"Series of {names} do not name the pods that hold GPUs: set DCGM_EXPORTER_KUBERNETES=true"
        return Problem("NotAttributed", text)
    return Problem(
        "NoSeries",
        f"{jobs(pool.jobs, 'J')} shows neither {ENGINE} nor {UTILISATION} of the pool's nodes with a usable"
        " value: run the exporter there, set its NODE_NAME, and keep one of the two names",
    )

"""Whether telemetry may be rested on in this cycle, and if not, one sentence on what to mend. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Final

from gpupool.collector.prometheus.activity import ENGINE, UTILISATION
from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.combine import believed, bound
from gpupool.collector.prometheus.devices import FRESH_SCRAPES, Readings
from gpupool.collector.prometheus.queries import WITNESSES, is_long
from gpupool.model.pool import Pool
from gpupool.model.snapshot import Key, Pod, PodUsage

CLOCK_TOLERANCE: Final = 60.0
"""Seconds by which the clocks of Prometheus and of the API server may differ at least."""

MIN_SCRAPES: Final = 3
"""A window must hold so many scrapes, or nothing can be measured in it."""

RULES_OVERDUE: Final = 600.0
"""Seconds of our own series without a value of a recording rule: the rules are not loaded."""


def working(up: Iterable[Sample]) -> dict[str, list[str]]:
    """Targets that are up, by job; a job with targets of which none is up has an empty list."""
    found: dict[str, list[str]] = defaultdict(list)
    for sample in up:
        instances = found[sample.labels.get("job", "")]
        if sample.value > 0:
            instances.append(sample.labels.get("instance", ""))
    return {job: sorted(found[job]) for job in sorted(found)}


def witnesses(up: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A few targets of every job, whose scrapes tell the interval."""
    return tuple(sorted({i for instances in up.values() for i in instances[:WITNESSES]}))


def intervals(scrapes: Iterable[Sample]) -> dict[str, float]:
    """Scrape interval per job in seconds: the median distance of its witnesses' scrapes."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for sample in scrapes:
        times[sample.labels.get("job", ""), sample.labels.get("instance", "")].append(sample.timestamp)
    gaps: dict[str, list[float]] = defaultdict(list)
    for (job, _), found in times.items():
        gaps[job] += [later - earlier for earlier, later in pairwise(sorted(found)) if later > earlier]
    return {job: round(median(found), 3) for job, found in sorted(gaps.items()) if found}


def no_targets(pool: Pool, up: Mapping[str, Sequence[str]]) -> str:
    """What is wrong with the believed jobs themselves; empty when at least one target is up."""
    names = _jobs(pool.jobs)
    if not up:
        return (
            f"Prometheus has no target of {names}: scrape the GPU exporter under that name,"
            " or name its job in spec.telemetry.jobs"
        )
    if not any(up.values()):
        return f"All targets of {names} are down: see the exporter's pods and its page in Prometheus"
    return ""


def not_now(at: float, now: datetime, scrapes: Iterable[Sample], slowest: float) -> str:
    """What is wrong with Prometheus' time: an old answer, or targets that are shown but scraped no more.

    Args:
        at: Prometheus' time of evaluation, unix seconds.
        now: the API server's time.
        scrapes: of the witnesses.
        slowest: the longest scrape interval, seconds.
    """
    off = abs(now.timestamp() - at)
    if off > max(CLOCK_TOLERANCE, FRESH_SCRAPES * slowest):
        return (
            f"Prometheus' time differs from the API server's by {off:.0f}s: set the clocks, cache no answers"
        )
    last = max(s.timestamp for s in scrapes)
    if at - last > FRESH_SCRAPES * slowest:
        return f"The last scrape is {at - last:.0f}s old, the interval is {slowest:g}s: see Prometheus itself"
    return ""


def no_interval(pool: Pool, found: Mapping[str, float]) -> str:
    """What is wrong with the scrapes' rhythm, where measuring makes no sense yet."""
    if not found:
        return f"{_jobs(pool.jobs, 'J')} has been scraped less than twice: wait for the next scrape"
    slowest = max(found.values())
    window = pool.reclaim.window.total_seconds()
    if window < MIN_SCRAPES * slowest:
        return (
            f"spec.reclaim.window {window:g}s holds less than {MIN_SCRAPES} scrapes of {slowest:g}s:"
            " lengthen it, or scrape more often"
        )
    return ""


def rules_missing(pool: Pool, recorded: float, *, kept: bool) -> str:
    """Say that windows longer than an hour have nothing to read.

    Args:
        pool: the pool.
        recorded: seconds of the last quarter hour in which there was something to record.
        kept: any value of a recording rule was found.
    """
    spans = {"spec.reclaim.window": pool.reclaim.window, "spec.reclaim.lookback": pool.reclaim.lookback}
    long = [name for name, span in spans.items() if is_long(span)]
    if kept or not long or recorded < RULES_OVERDUE:
        return ""
    return (
        f"The recording rules gpupool:*, which spans above 1h need ({', '.join(long)}), are not evaluated:"
        " load the chart's files/recording-rules.yaml in Prometheus"
    )


def not_fresh(pool: Pool, pods: Sequence[Pod], usage: Iterable[PodUsage], readings: Readings) -> str:
    """What is wrong with the newest samples; empty when the pool's use can be seen now."""
    alive = bound(pool, pods)
    due = {u.key for u in usage if u.alive and u.held_seconds > 0 and alive[u.key].running}
    if not due:
        return ""
    series = believed(readings, alive)
    if not due & series.keys():
        return _unattributed(pool, alive, readings)
    ages = (s.age for key in alive for s in series.get(key, ()))
    age = min((a for a in ages if a is not None), default=None)
    if age is None:
        return f"{_jobs(pool.jobs, 'J')} stopped to show the pool's GPUs: see the exporter's log"
    if age > readings.fresh_within:
        return f"Samples are {age:.0f}s old, scraped every {readings.interval:g}s: see the exporter's log"
    return ""


def _unattributed(pool: Pool, alive: Mapping[Key, Pod], readings: Readings) -> str:
    """Why no series could be given to any pod of the pool."""
    names = _jobs(pool.jobs)
    hosts = {pod.node for pod in alive.values()}
    named = [s for s in readings.series if s.pod in alive]
    if named:
        host = named[0].host or "no host"
        text = f"Series of {names} name host {host}, where {named[0].pod} is not bound"
        return f"{text}: set NODE_NAME of the exporter"
    if any(s.host in hosts for s in readings.series):
        return f"Series of {names} do not name the pods that hold GPUs: set DCGM_EXPORTER_KUBERNETES=true"
    metrics = f"{ENGINE} nor {UTILISATION}"
    return f"{_jobs(pool.jobs, 'J')} shows neither {metrics} of the pool's nodes: run the exporter there"


def _jobs(jobs: Sequence[str], first: str = "j") -> str:
    return f"{first}ob {jobs[0]}" if len(jobs) == 1 else f"{first}obs {', '.join(jobs)}"

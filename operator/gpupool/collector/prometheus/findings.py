"""What is wrong with single nodes, pods and targets, though the rest can be seen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gpupool.collector.prometheus.combine import believed, bound
from gpupool.collector.prometheus.devices import Readings, devices_of
from gpupool.collector.prometheus.problem import jobs, some
from gpupool.collector.prometheus.series import GpuSeries, Source
from gpupool.collector.prometheus.targets import Targets
from gpupool.model.objects import Key, Pod
from gpupool.model.pool import Pool
from gpupool.model.usage import PodUsage


def findings(
    pool: Pool, pods: Sequence[Pod], usage: Sequence[PodUsage], readings: Readings, targets: Targets
) -> tuple[str, ...]:
    """One sentence for each kind of thing that is wrong, with what to do; what can be mended first, first."""
    alive = bound(pool, pods)
    series = believed(readings, alive)
    found = (
        _unseen(alive, usage, series, readings),
        _down(pool, targets),
        _conflicts(pool, usage, series, readings),
        _still(alive, series),
        _of_the_past(alive, series, readings),
        _strangers(pool, targets),
    )
    return tuple(sentence for sentence in found if sentence)


def _unseen(
    alive: Mapping[Key, Pod],
    usage: Iterable[PodUsage],
    series: Mapping[Key, Sequence[GpuSeries]],
    readings: Readings,
) -> str:
    """Nodes whose pods should be seen and are not."""
    due = {u.key for u in usage if u.alive and u.held_seconds > readings.fresh_within * u.gpus}
    dark = {alive[k].node for k in due if alive[k].running and not _now(series.get(k, ()), readings)}
    if not dark:
        return ""
    seen = {s.host for s in readings.series if _fresh(s, readings)}
    unscraped = dark - seen
    if unscraped:
        return f"No usable samples from nodes {some(unscraped)}: run the exporter there and scrape it"
    return f"Some GPUs of nodes {some(dark)} have no usable samples: see the exporter's log and its label pod"


def _down(pool: Pool, targets: Targets) -> str:
    down = targets.down()
    if not down:
        return ""
    names = some(t.source.instance for t in down)
    return f"{len(down)} targets of {jobs(pool.jobs)} are down ({names}): see their pods"


def _conflicts(
    pool: Pool,
    usage: Iterable[PodUsage],
    series: Mapping[Key, Sequence[GpuSeries]],
    readings: Readings,
) -> str:
    """Who contradicts whom."""
    disputed = [u.key for u in usage if u.conflicting]
    if not disputed:
        return ""
    about = [s for key in disputed for s in series.get(key, ())]
    if any(s.crowded for s in about):
        told = "Two exporters write the same series"
        return (
            f"{told} of {some(disputed)}: remove one, and set honorLabels to false where tenants are scraped"
        )
    sources = {s.source for s in _speaking(pool, about, readings)}
    return (
        f"Exporters contradict each other about {some(disputed)} ({some(map(_named, sources))}):"
        " remove the one that is wrong"
    )


def _speaking(pool: Pool, about: Sequence[GpuSeries], readings: Readings) -> Iterable[GpuSeries]:
    """The series that make a dispute, or all where none of them stands out."""
    devices = devices_of(about, pool.reclaim.window, readings)
    loud = [s for s in about if devices[s.device].conflicting]
    return loud or about


def _still(alive: Mapping[Key, Pod], series: Mapping[Key, Sequence[GpuSeries]]) -> str:
    nodes = {s.host for key in alive for s in series.get(key, ()) if s.still}
    return f"Values from nodes {some(nodes)} do not move at all: restart the exporter there" if nodes else ""


def _of_the_past(
    alive: Mapping[Key, Pod], series: Mapping[Key, Sequence[GpuSeries]], readings: Readings
) -> str:
    """Exporters that go on naming pods that are gone."""
    nodes = {
        s.host
        for key, pod in alive.items()
        for s in series.get(key, ())
        if _fresh(s, readings) and s.uid not in {"", pod.uid}
    }
    return f"The exporter on nodes {some(nodes)} names pods of the past: restart it" if nodes else ""


def _strangers(pool: Pool, targets: Targets) -> str:
    if not targets.strangers:
        return ""
    names = some(map(_named, targets.strangers))
    return f"Targets that call themselves {jobs(pool.jobs)} elsewhere are ignored ({names})"


def _now(series: Iterable[GpuSeries], readings: Readings) -> bool:
    return any(_fresh(s, readings) for s in series)


def _fresh(series: GpuSeries, readings: Readings) -> bool:
    return series.age is not None and series.age <= readings.fresh_within


def _named(source: Source) -> str:
    return f"{source.job} {source.instance}"

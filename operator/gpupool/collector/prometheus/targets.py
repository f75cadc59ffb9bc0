"""Who is scraped under the believed jobs, and whom of them to believe. Pure.

A job is only a name: with Prometheus' operator whoever may create a Service and a ServiceMonitor gives it.
What Prometheus itself says of a target is its namespace; it stands on `up`, which no exporter can write.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.problem import Problem, jobs, some
from gpupool.collector.prometheus.series import GpuSeries, Source, source_of


@dataclass(frozen=True, slots=True)
class Target:
    """One target of a job; `namespace` is empty where Prometheus was not told one."""

    source: Source
    namespace: str
    up: bool


def read_targets(samples: Iterable[Sample]) -> tuple[Target, ...]:
    """Targets from samples of `up`."""
    found = (Target(source_of(s.labels), s.labels.get("namespace", ""), s.value > 0) for s in samples)
    return tuple(sorted(found, key=lambda t: (t.source.job, t.source.instance, t.namespace)))


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets of the believed jobs and of our own.

    Attributes:
        exporters: of believed jobs, now.
        past: of believed jobs, within the last hour, the present ones among them.
        own: of the jobs under which the operator itself is scraped, now.
        allowed: namespaces whose targets are believed; empty for any one.
    """

    exporters: tuple[Target, ...] = ()
    past: tuple[Target, ...] = ()
    own: tuple[Target, ...] = ()
    allowed: frozenset[str] = frozenset()

    def working(self) -> dict[str, list[str]]:
        """Instances that are believed and up, by job; a job without any has an empty list."""
        found: dict[str, list[str]] = {t.source.job: [] for t in self._believed()}
        for target in self._believed():
            if target.up:
                found[target.source.job].append(target.source.instance)
        return found

    def down(self) -> tuple[Target, ...]:
        """Believed targets that are down."""
        return tuple(t for t in self._believed() if not t.up)

    def _believed(self) -> Iterable[Target]:
        return (t for t in self.exporters if not self.allowed or t.namespace in self.allowed)

    @property
    def strangers(self) -> frozenset[Source]:
        """Targets of the last hour that call themselves a believed job in a namespace that is not allowed."""
        if not self.allowed:
            return frozenset()
        known = (*self.exporters, *self.past)
        trusted = {t.source for t in known if t.namespace in self.allowed}
        return frozenset({t.source for t in known} - trusted)

    def contested(self) -> Problem | None:
        """Targets that nobody can tell from an impostor."""
        return _in_two_namespaces(self.exporters, self.allowed) or _own_in_two_namespaces(self.own)

    def believed(self, series: Sequence[GpuSeries]) -> tuple[GpuSeries, ...]:
        """Series without those of strangers and of targets that do not exist.

        Where Prometheus keeps what an exporter says (`honorLabels`), a series may claim any job and
        instance. It is not believed when the others do come from targets; where none does, an install
        renames instances, and nothing can be told from them.
        """
        strangers = self.strangers
        known = {t.source for t in (*self.exporters, *self.past)}
        kept = [s for s in series if s.source not in strangers and self._at_home(s)]
        if not any(s.source in known for s in kept):
            return tuple(kept)
        return tuple(s for s in kept if s.age is None or s.source in known)

    def _at_home(self, series: GpuSeries) -> bool:
        """Whether the target's own namespace, where the series still shows it, may be an exporter's."""
        return not self.allowed or not series.home or series.home in self.allowed


def _in_two_namespaces(exporters: Iterable[Target], allowed: frozenset[str]) -> Problem | None:
    places: dict[str, set[str]] = defaultdict(set)
    homes: dict[Source, set[str]] = defaultdict(set)
    for target in exporters:
        places[target.source.job].add(target.namespace)
        homes[target.source].add(target.namespace)
    twins = [source for source, found in homes.items() if len(found) > 1]
    for job, found in sorted(places.items()):
        if len(found) > 1 and (not allowed or any(source.job == job for source in twins)):
            return Problem(
                "ForeignTargets",
                f"Targets of {jobs((job,))} are in namespaces {_places(found)}, and one may be an impostor:"
                " name the exporter's own in prometheus.exporterNamespaces, and look who made the other",
            )
    return None


def _own_in_two_namespaces(own: Iterable[Target]) -> Problem | None:
    found = {t.namespace for t in own}
    if len(found) < 2:  # noqa: PLR2004 - two of them
        return None
    names = tuple(sorted({t.source.job for t in own}))
    return Problem(
        "ForeignTargets",
        f"Targets of {jobs(names)}, the operator's own, are in namespaces {_places(found)}: remove the"
        " ServiceMonitor that is not gpupool's",
    )


def _places(namespaces: Iterable[str]) -> str:
    return some(n or "(none)" for n in namespaces)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often the believed targets are scraped.

    Attributes:
        scrapes: of a few targets per job.
        intervals: seconds, by job.
    """

    scrapes: Sequence[Sample] = ()
    intervals: Mapping[str, float] = field(default_factory=dict)

    @property
    def slowest(self) -> float:
        """The longest interval, seconds."""
        return max(self.intervals.values())

    @property
    def fastest(self) -> float:
        """The shortest interval, seconds."""
        return min(self.intervals.values())

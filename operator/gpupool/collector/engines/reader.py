"""Reads all endpoints in one go: eight questions however many there are, more where a bound is missing."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from gpupool.collector.engines import custom
from gpupool.collector.engines import questions as ask
from gpupool.collector.engines.judge import Workload, judge, unmatched
from gpupool.collector.engines.meter import Counter, Meter, PodName
from gpupool.collector.engines.names import ENGINES
from gpupool.collector.engines.revisions import by_revision
from gpupool.collector.engines.sight import Sight, by_name, by_pod, names_of, pod_of
from gpupool.collector.engines.strangers import Strangers
from gpupool.collector.engines.subject import Subject
from gpupool.collector.prometheus import health, queries
from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.errors import PrometheusError
from gpupool.model.objects import Key
from gpupool.model.slo import Endpoint, SloState
from gpupool.model.slo import Reading as SloReading

PATIENCE: Final = 20.0
"""Seconds that all questions of a reading may take together."""
MOST_BOUNDS: Final = 5
"""Histograms whose bounds are asked for in one reading; the others wait for the next."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reading came to: the endpoints, or why there are none."""

    endpoints: Mapping[Key, Endpoint]
    problem: str = ""
    at: float = 0.0


class EndpointReader:
    """Reads endpoints. Never raises for what Prometheus does: it is said in `problem`.

    Args:
        client: the connection.
        patience: seconds for all questions of one reading.
    """

    def __init__(self, client: PrometheusClient, patience: float = PATIENCE) -> None:
        self._client = client
        self._patience = patience
        self._buckets, self._counts = Meter(), Meter()
        self._strangers = Strangers()

    async def read(self, subjects: Sequence[Subject], at: float | None = None) -> Reading:
        """Read what happened since the reading before.

        Args:
            subjects: the endpoints.
            at: unix seconds of a moment that is past; None for now.
        """
        if not subjects:
            return Reading({})
        try:
            async with asyncio.timeout(self._patience):
                moment, sight = await self._look(subjects, at)
        except TimeoutError:
            return Reading({}, f"Prometheus at {self._client.url} needs more than {self._patience:g}s")
        except PrometheusError as error:
            return Reading({}, str(error))
        return await self._read(subjects, moment, sight)

    async def _read(self, subjects: Sequence[Subject], at: float, sight: Sight) -> Reading:
        """What events come to. They are taken: nothing that fails from here on may lose them."""
        workloads = {s.slo.key: _workload(s, sight) for s in subjects}
        bounds: Mapping[Key, Mapping[str, Sequence[float]]] = {}
        with suppress(TimeoutError, PrometheusError):  # said without the nearest bounds
            async with asyncio.timeout(self._patience):
                bounds = await self._bounds(subjects, workloads, sight, at)
        return Reading(
            {
                s.slo.key: _endpoint(
                    s, replace(workloads[s.slo.key], bounds=bounds.get(s.slo.key, {})), sight
                )
                for s in subjects
            },
            at=at,
        )

    async def _look(self, subjects: Sequence[Subject], moment: float | None) -> tuple[float, Sight]:
        """Ask everything as of one moment."""
        namespaces = sorted({s.slo.key.namespace for s in subjects})
        maps = {s.slo.metrics for s in subjects if s.slo.metrics is not None}
        asked = ask.questions(namespaces, _thresholds(subjects), custom.more(maps))
        up = await self._client.query(asked.up, moment)
        at = max((sample.timestamp for sample in up), default=0.0)
        if not at:
            return 0.0, Sight()
        buckets, shown, counts, loads, ages, broken = await self._all(
            (asked.buckets, asked.shown, asked.counts, asked.loads, asked.ages, asked.broken), at
        )
        intervals = await self._intervals(up, at)
        # Events are taken from here on: nothing is asked any more that could fail and lose them.
        seconds = at - self._buckets.at if self._buckets.at else 0.0
        targets = {pod: value > 0 for pod, value in by_pod(up).items()}
        strangers = self._strangers.meet(subjects, at, targets)
        living = frozenset(pod for s in subjects for pod in s.pods)
        return at, Sight(
            seconds=max(0.0, seconds),
            buckets=self._buckets.read(buckets, at, strangers, living),
            counts=self._counts.read(counts, at, strangers, living),
            shown=names_of(shown),
            loads=by_name(loads),
            ages=by_pod(ages),
            broken=frozenset(pod_of(s) for s in broken),
            up=targets,
            intervals=intervals,
        )

    async def _intervals(self, up: Sequence[Sample], at: float) -> Mapping[PodName, float]:
        """Seconds between two scrapes of each pod, as its job has them."""
        jobs: dict[str, list[str]] = {}
        for sample in up:
            jobs.setdefault(sample.labels.get("job", ""), []).append(sample.labels.get("instance", ""))
        scrapes = await self._client.query(queries.scrapes(tuple(jobs), health.witnesses(jobs)), at)
        found = health.intervals(scrapes)
        return {pod_of(s): found[job] for s in up if (job := s.labels.get("job", "")) in found}

    async def _bounds(
        self, subjects: Sequence[Subject], workloads: Mapping[Key, Workload], sight: Sight, at: float
    ) -> Mapping[Key, Mapping[str, Sequence[float]]]:
        """The bounds of histograms that a threshold does not fit, of a few endpoints at a time."""
        wanted: dict[tuple[Key, str], Workload] = {}
        for subject in subjects:
            for objective in subject.slo.objectives:
                workload = workloads[subject.slo.key]
                if histogram := unmatched(objective, workload, sight):
                    wanted[subject.slo.key, histogram.name] = workload
        found: dict[Key, dict[str, Sequence[float]]] = {}
        for (key, name), workload in list(wanted.items())[:MOST_BOUNDS]:
            pods = [pod.name for pod in workload.ready]
            answer = await self._client.query(ask.bounds_of(name, key.namespace, pods), at)
            labels = (s.labels.get("le", "") for s in answer)
            found.setdefault(key, {})[name] = sorted(float(le) for le in labels if le and le != ask.ALL)
        return found

    async def _all(self, asked: Sequence[str], at: float) -> list[list[Sample]]:
        return list(await asyncio.gather(*(self._client.query(q, at) for q in asked)))


def _workload(subject: Subject, sight: Sight) -> Workload:
    ready, others, gone = (subject.named(n) for n in (subject.ready, subject.others, subject.gone))
    metrics = subject.slo.metrics
    engine = custom.CUSTOM if metrics else subject.slo.engine or sight.engine((*ready, *others))
    return Workload(ready, others, gone, engine, metrics=metrics)


def _endpoint(subject: Subject, workload: Workload, sight: Sight) -> Endpoint:
    if subject.asleep:
        nobody = SloReading(
            SloState.NO_TRAFFIC, seconds=sight.seconds, message="It sleeps: nobody asks for it."
        )
        return Endpoint((nobody,) * len(subject.slo.objectives), workload.engine)
    objectives = subject.slo.objectives
    readings = tuple(judge(objective, workload, sight) for objective in objectives)
    return Endpoint(
        readings=readings,
        engine=workload.engine,
        pods=len(workload.ready) + len(workload.others),
        ready=len(workload.ready),
        interval=max((sight.intervals.get(pod, 0.0) for pod in workload.ready), default=0.0),
        resolved=() if workload.metrics is None else custom.resolved(workload.metrics, workload.ready, sight),
        revisions=by_revision(objectives, readings, workload, subject.revisions, sight),
        tokens=_tokens(workload, sight),
        seconds=sight.seconds,
    )


def _tokens(workload: Workload, sight: Sight) -> float | None:
    """Tokens written since the reading before; None where nobody tells."""
    names = _written(workload)
    counts = [sight.counts.get(pod, {}) for pod in workload.pods]
    told = [own[Counter(name)] for own in counts for name in names if Counter(name) in own]
    return sum(told) if told else None


def _written(workload: Workload) -> tuple[str, ...]:
    """Counters of the tokens that are written."""
    if workload.metrics is not None:
        return (workload.metrics.output_tokens,) if workload.metrics.output_tokens else ()
    return ENGINES[workload.engine].tokens if workload.engine in ENGINES else ()


def _thresholds(subjects: Iterable[Subject]) -> set[float]:
    """All thresholds, in the units of every histogram."""
    units = {h.unit for names in ENGINES.values() for own in names.latencies.values() for h in own}
    units |= {s.slo.metrics.unit for s in subjects if s.slo.metrics is not None}
    asked = {o.threshold for s in subjects for o in s.slo.objectives if o.threshold is not None}
    return {round(threshold / unit, 9) for threshold in asked for unit in units}

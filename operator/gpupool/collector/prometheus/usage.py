"""Use of a pool's GPUs, read in one go: fifteen questions at most, whatever the pool holds."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gpupool.collector.prometheus import health, queries
from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.combine import combine
from gpupool.collector.prometheus.devices import Readings
from gpupool.collector.prometheus.errors import PrometheusError
from gpupool.collector.prometheus.findings import findings
from gpupool.collector.prometheus.own import Own, most_used, own_pods, past
from gpupool.collector.prometheus.ownqueries import WEEK, own_queries, week_query
from gpupool.collector.prometheus.problem import Problem
from gpupool.collector.prometheus.series import Answers, gpu_series
from gpupool.collector.prometheus.targets import Rhythm, Target, Targets, read_targets
from gpupool.model.objects import Pod
from gpupool.model.pool import Pool
from gpupool.model.usage import Usage

PATIENCE: Final = 20.0
"""Seconds that all questions of a cycle may take together."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose use is asked for.

    Attributes:
        pool: whose window, lookback and believed jobs count.
        pods: non-terminal pods on the pool's nodes or in its namespaces.
        now: the API server's time.
        nodes: names of the pool's nodes; questions are narrowed to them where it pays.
        promised: namespaces with endpoints under an InferenceSLO: of their requests a week's peak is asked.
    """

    pool: Pool
    pods: Sequence[Pod]
    now: datetime
    nodes: Sequence[str] = ()
    promised: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """What the first questions told.

    Attributes:
        at: Prometheus' time; all other questions are evaluated there.
        targets: who is scraped.
        rhythm: how often.
    """

    at: float
    targets: Targets
    rhythm: Rhythm

    def blind(self, subject: Subject) -> Problem | None:
        """Why nothing at all can be measured here."""
        pool = subject.pool
        return (
            health.no_targets(pool, self.targets)
            or health.no_interval(pool, self.rhythm.intervals)
            or health.other_time(self.at, subject.now, self.rhythm.slowest)
        )


class UsageReader:
    """Reads the use of pools. Never raises for what Prometheus does: it is said in `Usage.problem`.

    Args:
        client: the connection.
        own_jobs: under which the operator itself is scraped; empty believes any.
        exporter_namespaces: whose targets are believed; empty believes any one namespace.
        patience: seconds for all questions of one read.
    """

    def __init__(
        self,
        client: PrometheusClient,
        *,
        own_jobs: Sequence[str] = (),
        exporter_namespaces: Sequence[str] = (),
        patience: float = PATIENCE,
    ) -> None:
        self._client = client
        self._own_jobs = tuple(own_jobs)
        self._allowed = frozenset(exporter_namespaces)
        self._patience = patience

    async def read(
        self,
        pool: Pool,
        pods: Sequence[Pod],
        now: datetime,
        nodes: Sequence[str] = (),
        *,
        promised: Sequence[str] = (),
    ) -> Usage:
        """Ask for the use of a pool; the arguments are those of Subject."""
        try:
            async with asyncio.timeout(self._patience):
                return await self._read(Subject(pool, pods, now, nodes, promised))
        except TimeoutError:
            silence = (
                f"Prometheus at {self._client.url} needs more than {self._patience:g}s: it is overloaded"
            )
            return Usage(problem=silence, reason="PrometheusSlow")
        except PrometheusError as error:
            return Usage(problem=str(error), reason=error.reason)

    async def _read(self, subject: Subject) -> Usage:
        scene = await self._scene(subject.pool)
        if problem := scene.blind(subject):
            return Usage(problem=problem.message, reason=problem.reason)
        answers, own = await asyncio.gather(self._use(subject, scene), self._own(subject, scene.at))
        pool, pods, now, slowest = subject.pool, subject.pods, subject.now, scene.rhythm.slowest
        lag = queries.RESOLUTION if queries.is_long(pool.reclaim.window) else 0.0
        readings = Readings(slowest, scene.targets.believed(gpu_series(answers)), own.pods, lag)
        found = combine(pool, pods, now, readings)
        problem = (
            health.not_scraped(scene.at, scene.rhythm)
            or health.not_fresh(pool, pods, found, readings)
            or health.own_missing(pool, pods, own, now, self._own_jobs)
            or health.rules_missing(pool, own.past)
        )
        return Usage(
            fresh=problem is None,
            problem=problem.message if problem else "",
            scrape_interval=slowest,
            pods=found,
            peaks=own.past.peaks,
            week=own.week,
            reason=problem.reason if problem else "Fresh",
            findings=findings(pool, pods, found, readings, scene.targets),
            asked=now,
        )

    async def _scene(self, pool: Pool) -> Scene:
        jobs = tuple(dict.fromkeys((*pool.jobs, *self._own_jobs)))
        answer = await self._client.query(queries.targets(jobs))
        at = max((sample.timestamp for sample in answer), default=0.0)
        targets = Targets(allowed=self._allowed)
        if not answer:
            return Scene(at, targets, Rhythm())
        past = await self._client.query(queries.past_targets(pool.jobs, pool.reclaim.window), at)
        found = read_targets(answer)
        targets = Targets(
            exporters=_of(found, pool.jobs),
            past=read_targets(past),
            own=_of(found, self._own_jobs),
            allowed=self._allowed,
        )
        up = targets.working()
        if not any(up.values()):
            return Scene(at, targets, Rhythm())
        scrapes = await self._client.query(queries.scrapes(tuple(up), health.witnesses(up)), at)
        return Scene(at, targets, Rhythm(scrapes, health.intervals(scrapes)))

    async def _use(self, subject: Subject, scene: Scene) -> Answers:
        pool, rhythm = subject.pool, scene.rhythm
        matcher = queries.narrowed(pool.jobs, subject.nodes, len(scene.targets.exporters))
        ask = queries.use_queries(matcher, pool.reclaim.window, rhythm.fastest, rhythm.slowest)
        answers = await self._all(
            (ask.seen.promql, ask.busy.promql, ask.mean.promql, ask.age, ask.crowded, ask.still), scene.at
        )
        seen, busy, mean, age, crowded, still = answers
        return Answers(seen, busy, mean, age, crowded, still, ask.seen.unit)

    async def _own(self, subject: Subject, at: float) -> Own:
        pool, reclaim = subject.pool, subject.pool.reclaim
        ask = own_queries(pool.name, reclaim.window, reclaim.lookback, self._own_jobs)
        wanted = subject.promised and reclaim.lookback < WEEK
        week = [week_query(pool.name, subject.promised, self._own_jobs)] if wanted else []
        held, size, peak, history, recent, *kept = await self._all(
            (ask.held.promql, ask.size, ask.peak, ask.history.promql, ask.recent.promql, *week), at
        )
        told = past(peak, history, recent, unit=ask.history.unit, step=ask.recent.unit)
        return Own(own_pods(held, size, ask.held.unit), told, most_used(s for found in kept for s in found))

    async def _all(self, questions: Sequence[str], at: float) -> list[list[Sample]]:
        return list(await asyncio.gather(*(self._client.query(q, at) for q in questions)))


def _of(targets: Sequence[Target], jobs: Sequence[str]) -> tuple[Target, ...]:
    return tuple(t for t in targets if t.source.job in jobs)

"""Use of a pool's GPUs, read in one go: ten questions, whatever the pool holds."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gpupool.collector.prometheus import health, queries
from gpupool.collector.prometheus.answer import Sample
from gpupool.collector.prometheus.client import PrometheusClient
from gpupool.collector.prometheus.combine import combine
from gpupool.collector.prometheus.devices import Readings
from gpupool.collector.prometheus.errors import PrometheusError
from gpupool.collector.prometheus.own import OwnPod, Past, own_pods, past
from gpupool.collector.prometheus.ownqueries import own_queries
from gpupool.collector.prometheus.series import Answers, gpu_series
from gpupool.model.pool import Pool
from gpupool.model.snapshot import Key, Pod, Usage

PATIENCE: Final = 20.0
"""Seconds that all questions of a cycle may take together."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the first two questions told.

    Attributes:
        at: Prometheus' time; all other questions are evaluated there.
        up: targets that are up, by job.
        scrapes: of a few targets per job.
        intervals: scrape interval per job, seconds.
    """

    at: float | None
    up: Mapping[str, Sequence[str]]
    scrapes: Sequence[Sample] = ()
    intervals: Mapping[str, float] = field(default_factory=dict)

    def problem(self, pool: Pool, now: datetime) -> str:
        """Why nothing can be measured here; empty when it can."""
        found = health.no_targets(pool, self.up) or health.no_interval(pool, self.intervals)
        if found or self.at is None:
            return found
        return health.not_now(self.at, now, self.scrapes, max(self.intervals.values()))


@dataclass(frozen=True, slots=True)
class Own:
    """What our own series remember of a pool."""

    pods: Mapping[Key, OwnPod]
    past: Past


class UsageReader:
    """Reads the use of pools. Never raises for what Prometheus does: it is said in `Usage.problem`.

    Args:
        client: the connection.
        own_jobs: under which the operator itself is scraped; empty believes any.
        patience: seconds for all questions of one read.
    """

    def __init__(
        self, client: PrometheusClient, *, own_jobs: Sequence[str] = (), patience: float = PATIENCE
    ) -> None:
        self._client = client
        self._own_jobs = tuple(own_jobs)
        self._patience = patience

    async def read(self, pool: Pool, pods: Sequence[Pod], now: datetime) -> Usage:
        """Ask for the use of a pool.

        Args:
            pool: whose window, lookback and believed jobs count.
            pods: non-terminal pods on the pool's nodes or in its namespaces.
            now: the API server's time.
        """
        try:
            async with asyncio.timeout(self._patience):
                return await self._read(pool, pods, now)
        except TimeoutError:
            silence = (
                f"Prometheus at {self._client.url} needs more than {self._patience:g}s: it is overloaded"
            )
            return Usage(problem=silence)
        except PrometheusError as error:
            return Usage(problem=str(error))

    async def _read(self, pool: Pool, pods: Sequence[Pod], now: datetime) -> Usage:
        scene = await self._scene(pool)
        if problem := scene.problem(pool, now):
            return Usage(problem=problem)
        answers, own = await asyncio.gather(self._use(pool, scene), self._own(pool, scene.at))
        slowest = max(scene.intervals.values())
        lag = queries.RESOLUTION if queries.is_long(pool.reclaim.window) else 0.0
        readings = Readings(slowest, gpu_series(answers), own.pods, lag)
        found = combine(pool, pods, now, readings)
        problem = health.not_fresh(pool, pods, found, readings) or health.rules_missing(
            pool, own.past.recorded, kept=own.past.kept
        )
        return Usage(not problem, problem, slowest, found, own.past.peaks)

    async def _scene(self, pool: Pool) -> Scene:
        targets = await self._client.query(queries.targets(pool.jobs))
        up = health.working(targets)
        at = max((t.timestamp for t in targets), default=None)
        if not any(up.values()):
            return Scene(at, up)
        scrapes = await self._client.query(queries.scrapes(tuple(up), health.witnesses(up)), at)
        return Scene(at, up, scrapes, health.intervals(scrapes))

    async def _use(self, pool: Pool, scene: Scene) -> Answers:
        rhythm = scene.intervals.values()
        ask = queries.use_queries(pool.jobs, pool.reclaim.window, min(rhythm), max(rhythm))
        seen, busy, mean, age = await self._all(
            (ask.seen.promql, ask.busy.promql, ask.mean.promql, ask.age), scene.at
        )
        return Answers(seen, busy, mean, age, ask.seen.unit)

    async def _own(self, pool: Pool, at: float | None) -> Own:
        reclaim = pool.reclaim
        ask = own_queries(pool.name, reclaim.window, reclaim.lookback, self._own_jobs)
        held, size, peak, history = await self._all(
            (ask.held.promql, ask.size, ask.peak, ask.history.promql), at
        )
        return Own(own_pods(held, size, ask.held.unit), past(peak, history, ask.history.unit))

    async def _all(self, questions: Sequence[str], at: float | None) -> list[list[Sample]]:
        return list(await asyncio.gather(*(self._client.query(q, at) for q in questions)))

"""Tells people and machines what a cycle did: Events, metrics, one log line."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gpupool.applier.execute import Results
from gpupool.errors import AlreadyExists, KubeError
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import EVENTS, Json
from gpupool.model.plan import Action, Evict, Notice, Plan, SetPolicies
from gpupool.model.snapshot import Snapshot
from gpupool.telemetry.events import Said, event
from gpupool.telemetry.logs import CycleLine, cycle_line
from gpupool.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

MOST_EVENTS = 10_000
"""Events kept while the API server does not take them; the oldest are dropped first."""
EVENTS_AT_ONCE = 4
"""Events written at the same time, beside the cycles: decisions do not wait for what is said about them."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """What a cycle came to: statuses written, seconds per step, actions the recheck refused."""

    number: int
    written: int
    steps: Mapping[str, float]
    refused: int = 0


class Publisher:
    """One per process.

    Args:
        client: where Events go.
        metrics: the process's metrics.
        instance: name of this process, shown in Events.
        leads: whether we may write still.
    """

    def __init__(
        self,
        client: KubeClient,
        metrics: Metrics,
        instance: str = "",
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._metrics = metrics
        self._instance = instance
        self._leads = leads
        self._said = Said()
        self._backlog: deque[tuple[Notice, Json]] = deque(maxlen=MOST_EVENTS)
        self._workers: set[asyncio.Task[None]] = set()
        self._quiet_until = 0.0

    def notices(self, plan: Plan, results: Results) -> None:
        """Publish the plan's notices in the background, except those of evictions that did not happen."""
        missed = {a.uid for a in _missed(results) if isinstance(a, Evict)}
        self.say(n for n in plan.notices if n.once.rpartition("/")[2] not in missed)

    def say(self, due: Iterable[Notice]) -> None:
        """Publish notices in the background, each once."""
        now = self._client.server_time()
        news = self._said.news(due, now)
        self._backlog.extend((notice, event(notice, now, instance=self._instance)) for notice in news)
        for _ in range(min(len(self._backlog), EVENTS_AT_ONCE - len(self._workers))):
            worker = asyncio.create_task(self._tell(), name="events")
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def told(self) -> None:
        """Wait until what is to be said was said, or refused."""
        await asyncio.gather(*self._workers)

    async def _tell(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._backlog and self._leads() and clock() >= self._quiet_until:
            notice, body = self._backlog.popleft()
            if not await self._publish(notice, body):
                # Kept for the next cycle: a deadline must stand in an Event too before anything is taken.
                self._backlog.append((notice, body))
                return

    async def _publish(self, notice: Notice, body: Json) -> bool:
        """Publish one Event; False when trying again may help."""
        try:
            await self._client.create(EVENTS, body)
        except AlreadyExists:
            return True
        except KubeError as error:
            self._metrics.wrote("Event", "create", "failed")
            log.debug("event not published", extra={"error": str(error), "object": str(notice.key)})
            if error.retry:
                # Who asks for time gets it for all Events: they are many, and nothing waits for them.
                pause = asyncio.get_running_loop().time() + (error.retry_after or 0.0)
                self._quiet_until = max(self._quiet_until, pause)
                return False
            self._said.unsay(notice)
            return True
        self._metrics.wrote("Event", "create", "done")
        return True

    def refused(self, refusals: Iterable[tuple[Action, str]]) -> None:
        """Count what the recheck refused."""
        for action, reason in refusals:
            log.info("refused by recheck", extra={"action": str(action), "reason": reason})
            self._metrics.recheck_refused(reason)

    def failed(self) -> None:
        """Count a cycle that ended in an error."""
        self._metrics.cycle_ended("failed")

    def cycle(self, snapshot: Snapshot, plan: Plan, results: Results, cycle: Cycle) -> None:
        """Metrics, and the canonical line of a cycle."""
        self._metrics.publish(plan, snapshot)
        self._metrics.cycle_ended("ok")
        for step, seconds in cycle.steps.items():
            self._metrics.step_took(step, seconds)
        for action, error in results.failed:
            self._metrics.wrote(type(action).__name__, "apply", "failed")
            log.warning("action failed", extra={"action": str(action), "error": str(error)})
        for action in results.done:
            self._metrics.wrote(type(action).__name__, "apply", "done")
            if not isinstance(action, SetPolicies):
                log.info("action done", extra={"pool": plan.pool, "action": str(action)})
        if cycle.written:
            self._metrics.wrote("Status", "apply", "done", cycle.written)
        cycle_line(_line(snapshot, plan, results, cycle))

    def forget(self, pool: str) -> None:
        """A pool is gone, and with it its series."""
        self._metrics.forget(pool)


def _missed(results: Results) -> list[Action]:
    return [*results.blocked, *results.refused, *(action for action, _ in results.failed)]


def _line(snapshot: Snapshot, plan: Plan, results: Results, cycle: Cycle) -> CycleLine:
    return CycleLine(
        pool=plan.pool,
        cycle=str(cycle.number),
        result="incomplete" if results.failed else "ok",
        durations=cycle.steps,
        counts={
            "nodes": len(snapshot.nodes),
            "pods": len(snapshot.pods),
            "requests": len(snapshot.requests),
            "done": len(results.done),
            "failed": len(results.failed),
            "blocked": len(results.blocked),
            "refused": cycle.refused,
            "statuses": cycle.written,
        },
        fresh=snapshot.usage.fresh,
        problem="" if snapshot.usage.fresh else snapshot.usage.problem,
    )

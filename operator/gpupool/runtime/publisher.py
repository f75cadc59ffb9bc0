"""Tells people and machines what a cycle did: Events, metrics, one log line."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gpupool.applier.execute import Results
from gpupool.errors import KubeError
from gpupool.kube.client import KubeClient
from gpupool.kube.resources import EVENTS
from gpupool.model.plan import Action, Evict, Plan, SetPolicies
from gpupool.model.snapshot import Snapshot
from gpupool.telemetry.events import EventBook
from gpupool.telemetry.metrics import Metrics

log = logging.getLogger("gpupool.cycle")


class Publisher:
    """One per process.

    Args:
        client: where Events go; losing one is not worth a retry.
        metrics: the process's metrics.
        events: says which notices are new, and what their Events look like.
    """

    def __init__(self, client: KubeClient, metrics: Metrics, events: EventBook) -> None:
        self._client = client
        self._metrics = metrics
        self._events = events

    async def notices(self, plan: Plan, results: Results) -> None:
        """Publish the plan's notices, except of evictions that did not happen."""
        missed = {
            (a.pod.namespace, a.request)
            for a in (*results.blocked, *_failed(results))
            if isinstance(a, Evict)
        }
        due = [
            n
            for n in plan.notices
            if n.reason not in {"Recalled", "PDBOverridden"} or (n.key.namespace, n.key.name) not in missed
        ]
        bodies = self._events.due(due, self._client.server_time())
        await asyncio.gather(*(self._publish(body) for body in bodies))

    async def _publish(self, body: dict[str, object]) -> None:
        try:
            await self._client.create(EVENTS, body)
        except KubeError as error:
            log.debug("event not published", extra={"error": str(error)})

    def forget(self, pool: str) -> None:
        """A pool is gone, and with it its series."""
        self._metrics.forget(pool)

    def refused(self, refusals: Iterable[tuple[Action, str]]) -> None:
        """Count what the recheck refused."""
        for action, reason in refusals:
            log.info("refused by recheck", extra={"action": str(action), "reason": reason})
            self._metrics.recheck_refused(reason)

    def cycle(
        self, snapshot: Snapshot, plan: Plan, results: Results, *, written: int, steps: Mapping[str, float]
    ) -> None:
        """Metrics, and the canonical line of a cycle."""
        self._metrics.publish(plan, snapshot)
        self._metrics.cycle(plan.pool, steps)
        for action, error in results.failed:
            self._metrics.write(type(action).__name__, "failed")
            log.warning("action failed", extra={"action": str(action), "error": str(error)})
        for action in results.done:
            self._metrics.write(type(action).__name__, "done")
        done = [a for a in results.done if not isinstance(a, SetPolicies)]
        if done or results.failed or written:
            log.info("cycle", extra=_keys(plan, done, results, written, steps))
        else:
            log.debug("cycle", extra=_keys(plan, done, results, written, steps))


def _failed(results: Results) -> list[Action]:
    return [a for a, _ in results.failed]


def _keys(
    plan: Plan, done: Sequence[Action], results: Results, written: int, steps: Mapping[str, float]
) -> dict[str, object]:
    return {
        "pool": plan.pool,
        "actions": [str(a) for a in done[:20]],
        "done": len(done),
        "failed": len(results.failed),
        "blocked": len(results.blocked),
        "statuses": written,
        "phases": dict(Counter(r.phase.value for r in plan.requests)),
        "milliseconds": {name: round(1000 * seconds, 1) for name, seconds in steps.items()},
    }

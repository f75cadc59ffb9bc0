"""Prometheus asked beside a pool's cycles: at a pace of its own, so that giving never waits for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from gpupool.collector.prometheus.usage import UsageReader
from gpupool.model.snapshot import Snapshot
from gpupool.model.usage import Usage
from gpupool.runtime.clockwork import Alarm

log = logging.getLogger(__name__)

FASTEST = 1.0
"""Seconds between two looks at Prometheus, at least."""
ANSWERING = 4.0
"""Seconds by which Prometheus may take longer than last time before its last answer counts no more."""


class Measuring:
    """Keeps what Prometheus says of one pool's use.

    Args:
        pool: its name.
        reader: asks; None where no Prometheus is named.
        look: the pool as it is now; None when it is gone.
        interval: seconds between two looks, at most.
        answered: called after every answer.
    """

    def __init__(
        self,
        pool: str,
        reader: UsageReader | None,
        *,
        look: Callable[[], Snapshot | None],
        interval: float,
        answered: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._reader = reader
        self._look = look
        self._longest = interval
        self._answered = answered
        self._hurry = Alarm()
        self._pause = FASTEST
        self._said: tuple[float, Usage] | None = None
        self._took = 0.0

    def hurry(self) -> None:
        """Ask at once: a taking has fallen due, and rests on what is said from now on."""
        self._hurry.ring()

    def usage(self) -> Usage:
        """What was said last; too old an answer is no answer (law 1)."""
        if self._reader is None:
            return Usage()
        if self._said is None:
            return Usage(problem="Prometheus has not been asked yet", reason="NotAskedYet")
        at, usage = self._said
        if time.monotonic() - at <= 2 * (self._pause + self._took) + ANSWERING:
            return usage
        problem = "Prometheus takes too long to answer: what it said last is too old to rest on"
        return replace(usage, fresh=False, problem=problem, reason="PrometheusSlow")

    async def run(self) -> None:
        """Ask until cancelled."""
        while self._reader is not None:
            try:
                await self._ask(self._reader)
            except Exception:
                log.exception("use not measured", extra={"pool": self._pool})  # unknown meanwhile: not idle
            await self._hurry.wait(self._pause)

    async def _ask(self, reader: UsageReader) -> None:
        snapshot = self._look()
        if snapshot is None:
            return
        self._pause = pause(snapshot.pool.reclaim.window.total_seconds(), self._longest)
        asked = time.monotonic()  # what is told in the end was so when it was asked
        nodes = [node.name for node in snapshot.nodes]
        promised = sorted({e.key.namespace for e in snapshot.endpoints})
        usage = await reader.read(snapshot.pool, snapshot.pods, snapshot.now, nodes, promised=promised)
        self._said, self._took = (asked, usage), time.monotonic() - asked
        self._answered()


def pause(window: float, longest: float) -> float:
    """Seconds between two looks: ten of them in a window, within reason."""
    return max(FASTEST, min(longest, window / 10))

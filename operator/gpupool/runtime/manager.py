"""A loop for every pool, and what belongs to none: orphaned requests, labels of pools that are gone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from gpupool.errors import Conflict, FencedError, NotFound
from gpupool.model.world import World
from gpupool.planner.orphans import plan_orphans
from gpupool.planner.sweep import sweep
from gpupool.policy.membership import Membership
from gpupool.runtime.clockwork import Alarm
from gpupool.runtime.concern import Concerned
from gpupool.runtime.context import Context
from gpupool.runtime.cycle import PoolLoop
from gpupool.runtime.publisher import Publisher
from gpupool.runtime.statuswriter import StatusWriter

log = logging.getLogger(__name__)

STUCK = 300.0
"""Seconds beyond two intervals after which a loop without a turn counts as stuck; writes may take long."""
REST = 4.0
"""What tidying took, it rests for so many times: under load it is a fifth of the work at most."""
LONGEST_REST = 10.0
"""Seconds that it rests, at most."""
LOOK = 0.2
"""Seconds between two looks for pools that are new or gone, meanwhile."""
LAST_WRITES = 5.0
"""Seconds that cycles under way get at the end."""

Part: TypeAlias = Callable[[World, Membership], Awaitable[None]]


@dataclass(slots=True)
class _Running:
    loop: PoolLoop
    task: asyncio.Task[None]


class Manager:
    """Starts and ends pool loops as pools come and go.

    Args:
        context: the process's parts.
        publisher: Events and metrics.
        alarm: rung by every change of the mirrors.
    """

    def __init__(self, context: Context, publisher: Publisher, alarm: Alarm) -> None:
        self._context = context
        self._publisher = publisher
        self._alarm = alarm
        self._running: dict[str, _Running] = {}
        self._statuses = StatusWriter(context.writer, context.mirror, context.settings.cycle_interval)
        self._swept = False
        self._unread = False
        self._turned: float | None = None

    def wake(self, pools: Concerned = None) -> None:
        """Something changed: for some pools, or for all."""
        self._alarm.ring()
        for name in self._running if pools is None else pools & self._running.keys():
            self._running[name].loop.alarm.ring()

    @property
    def ready(self) -> bool:
        """Every pool was decided once."""
        return self._swept and all(r.loop.decided.is_set() for r in self._running.values())

    def wrong(self) -> str:
        """What is wrong with governing: a loop that ended, or has not turned for long; else empty."""
        ended = [name for name, r in self._running.items() if r.task.done()]
        limit = STUCK + 2 * self._context.settings.cycle_interval
        stuck = [name for name, r in self._running.items() if r.loop.idle_for() > limit]
        if ended or stuck:
            return f"no cycles of pool {', '.join(sorted({*ended, *stuck}))}"
        own = self._turned is not None and time.monotonic() - self._turned > limit
        return "pools are not looked for any more" if own else ""

    async def run(self) -> None:
        """Govern until cancelled.

        Raises:
            FencedError: another one leads, or has led at a higher epoch than ours.
        """
        try:
            while True:
                self._turned = time.monotonic()
                self._check_epoch()
                self._match_pools()
                began = time.monotonic()
                self._publisher.say(self._context.mirror.complaints())
                await self._tidy()
                self._swept = True
                await self._rest(time.monotonic() - began)
                await self._alarm.wait(self._context.outsiders.pause(self._context.settings.cycle_interval))
        finally:
            await self._drain()

    async def _rest(self, took: float) -> None:
        """Leave the time to the pools' own cycles; new pools are looked for meanwhile."""
        until = time.monotonic() + min(LONGEST_REST, REST * took)
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, LOOK))
            self._match_pools()

    def _check_epoch(self) -> None:
        """A quota restored from a backup may carry an epoch above ours; the next leader goes above it."""
        highest = self._context.mirror.highest_epoch
        if highest > self._context.epoch:
            raise FencedError(
                f"leadership lost: a quota carries epoch {highest}, ours is {self._context.epoch}"
            )

    def _match_pools(self) -> None:
        present = {t.value.name for t in self._context.mirror.pools.store.values()}
        for name in present - set(self._running):
            loop = PoolLoop(name, self._context, self._publisher)
            self._running[name] = _Running(loop, asyncio.create_task(loop.run(), name=f"pool {name}"))
        for name in set(self._running) - present:
            self._running.pop(name).task.cancel()
            self._publisher.forget(name)

    async def _tidy(self) -> None:
        """What belongs to no single pool, each part for itself: none stops the pools, or another part."""
        for part in self._parts():
            try:
                await part(*self._context.mirror.mapped())
            except FencedError:
                raise
            except Exception:
                log.exception("tidying failed")

    def _parts(self) -> tuple[Part, ...]:
        """A pool that cannot be read is no pool that is gone: nothing of it is taken back or denied."""
        pools = self._context.mirror.pools.store
        unread = len(pools) < pools.objects
        if unread and not self._unread:
            log.warning("a pool cannot be read: nothing outside the pools is changed")
        self._unread = unread
        return () if unread else (self._answer_orphans, self._take_back, self._keep_out)

    async def _answer_orphans(self, world: World, found: Membership) -> None:
        await self._statuses.requests(plan_orphans(world, found), world.now, self._context.epoch)

    async def _take_back(self, world: World, found: Membership) -> None:
        for action in sweep(world, found):
            log.info("a pool is gone", extra={"action": str(action)})
            try:
                await self._context.executor.mark(action, epoch=self._context.epoch)
            except (Conflict, NotFound) as error:
                # What is gone too, or was changed just now, is looked at again in the next turn.
                log.info("not taken back yet", extra={"action": str(action), "error": str(error)})

    async def _keep_out(self, world: World, found: Membership) -> None:
        if await self._context.outsiders.turn(world, found, epoch=self._context.epoch):
            self.wake()

    async def _drain(self) -> None:
        """Let the cycles under way finish what they may write; those that take too long are cancelled."""
        tasks = [r.task for r in self._running.values()]
        for running in self._running.values():
            running.loop.end()
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_WRITES if self._context.elector.leads() else 0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

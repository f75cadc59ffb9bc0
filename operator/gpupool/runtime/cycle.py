"""One pool's life: collect, plan, recheck, apply, report; again when something changes."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from datetime import datetime

from gpupool.applier.execute import SEEN_TOO_LONG_AGO, Results
from gpupool.errors import FencedError
from gpupool.kube.resources import ObjectKey
from gpupool.model.enforcement import Enforcement
from gpupool.model.plan import Action, Plan
from gpupool.model.pool import Pool
from gpupool.model.snapshot import Snapshot
from gpupool.model.world import Template, World
from gpupool.planner.planner import make_plan
from gpupool.planner.recheck import recheck
from gpupool.policy.isolation import policies_of
from gpupool.policy.readiness import hold
from gpupool.policy.reclaim import awaits_proof
from gpupool.policy.view import view
from gpupool.runtime.clockwork import Alarm, Continuity, Laps
from gpupool.runtime.context import Context
from gpupool.runtime.grantgate import GrantGate
from gpupool.runtime.guardnews import GuardNews
from gpupool.runtime.measuring import Measuring
from gpupool.runtime.mending import Mending
from gpupool.runtime.proof import Proof
from gpupool.runtime.publisher import Cycle, Publisher
from gpupool.runtime.rehearsal import Rehearsal, scene
from gpupool.runtime.statuswriter import StatusWriter

log = logging.getLogger(__name__)

SOONEST = 0.5
"""Seconds between two cycles that only time brought about, at least."""
FIRST_PAUSE = 1.0
"""Seconds after a cycle that failed; each further failure in a row doubles them."""
LONGEST_PAUSE = 30.0
"""Seconds after a cycle that failed, at most."""


class PoolLoop:
    """Governs one pool until it is gone.

    Args:
        name: the pool.
        context: the process's parts.
        publisher: Events and metrics.
    """

    def __init__(self, name: str, context: Context, publisher: Publisher) -> None:
        self.name = name
        self.alarm = Alarm()
        self.decided = asyncio.Event()
        self._context = context
        self._publisher = publisher
        self._statuses = StatusWriter(context.writer, context.mirror, context.settings.cycle_interval)
        self._cycles = 0
        self._turned = time.monotonic()
        self._ending = False
        self._due: datetime | None = None
        self._gate = GrantGate(context.mirror.quota)
        self._continuity = Continuity(context.settings.cycle_interval)
        self._proof = Proof()
        self._templates: tuple[Template, ...] = ()
        self._mending = Mending()
        self._guard_news = GuardNews()
        self._rehearsal = Rehearsal(self.alarm.ring)
        self._measuring = Measuring(
            name,
            context.usage,
            look=self._collect,
            interval=context.settings.cycle_interval,
            answered=self.alarm.ring,
        )

    async def run(self) -> None:
        """Cycle until ended or cancelled; what goes wrong is logged, counted and tried again."""
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(self._measuring.run()), group.create_task(self._rehearsal.run())]
            pause = FIRST_PAUSE
            while not self._ending:
                self._turned = time.monotonic()
                try:
                    await self.cycle()
                except FencedError:
                    self._ending = True  # who leads no more is told by the lease, and the process ends
                except Exception:
                    # A bug or an outage of one pool must not end the others, nor this one for good.
                    log.exception("cycle failed", extra={"pool": self.name})
                    self._publisher.failed()
                    await asyncio.sleep(pause)
                    pause = min(LONGEST_PAUSE, 2 * pause)
                else:
                    pause = FIRST_PAUSE
                    await self.alarm.wait(self._until_due())
            for task in beside:
                task.cancel()

    def end(self) -> None:
        """Finish the cycle under way, if there is one, and begin no other."""
        self._ending = True
        self.alarm.ring()

    def idle_for(self) -> float:
        """Seconds since the last turn of the loop began."""
        return time.monotonic() - self._turned

    async def cycle(self) -> Plan | None:
        """One cycle; None when the pool is not there any more."""
        steps = Laps()
        if self._cycles == 0:
            self._go_on_in_time()
        self._continuity.tick(self._context.client.server_time().replace(microsecond=0))
        seen = self._context.mirror.disturbances
        # 1 collect
        snapshot = self._collect()
        if snapshot is None:
            return None
        steps.lap("collect")
        # 2 plan
        plan = make_plan(snapshot)
        steps.lap("plan")
        # 3 recheck
        await asyncio.sleep(0)  # what arrived meanwhile reaches the stores
        plan, refused = self._recheck(plan, seen)
        plan = replace(plan, actions=self._mending.sift(snapshot, plan.actions))
        steps.lap("recheck")
        # 4 apply and 5 report, walls first: requests are told as soon as they stand
        results = Results(refused=list(refused))
        executor, epoch = self._context.executor, self._context.epoch
        await executor.walls(snapshot.pool, plan.actions, results, epoch=epoch)
        self._publisher.refused([(a, SEEN_TOO_LONG_AGO) for a in results.refused[len(refused) :]])
        steps.lap("apply")
        written = await self._tell(plan, snapshot, results)
        steps.lap("report")
        await executor.marks(snapshot.pool, plan.actions, results, epoch=epoch)
        steps.lap("apply")
        written += await self._report(plan, snapshot, results)
        steps.lap("report")
        self.decided.set()
        self._cycles += 1
        self._due = _next_deadline(plan, snapshot.now)
        if any(r.timer is not None and awaits_proof(snapshot, r.timer) for r in plan.requests):
            self._measuring.hurry()
        self._publisher.cycle(
            snapshot, plan, results, Cycle(self._cycles, written, steps.seconds, len(results.refused))
        )
        return plan

    def _go_on_in_time(self) -> None:
        """The pool's time goes on where an earlier process left it, also if the server's was set back."""
        tracked = self._context.mirror.pools.store.get(ObjectKey("", self.name))
        if tracked is not None and (written := tracked.memo.written):
            self._continuity.not_before(datetime.fromisoformat(written))

    def _until_due(self) -> float:
        """Seconds to sleep when nothing happens: to the next deadline, at most one interval."""
        interval = self._proof.wait(self._context.settings.cycle_interval)
        if self._due is None:
            return interval
        left = (self._due - self._context.client.server_time()).total_seconds()
        return max(SOONEST, min(interval, left + SOONEST))

    # ------------------------------------------------------------------ 1 collect

    def _collect(self) -> Snapshot | None:
        pool = self._pool()
        if pool is None:
            return None
        world, found = self._context.mirror.mapped()
        now = self._continuity.monotone(world.now)
        world = replace(world, now=now)
        since = self._continuity.since(now)
        snapshot = view(world, found, pool, uninterrupted_since=since, usage=self._measuring.usage())
        return self._admitted(world, snapshot)

    def _pool(self) -> Pool | None:
        tracked = self._context.mirror.pools.store.get(ObjectKey("", self.name))
        return tracked.value if tracked is not None else None

    def _admitted(self, world: World, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the modes that may act now, and what stands of the policies they ask for."""
        shared = {n.name for n in snapshot.namespaces if n.team is not None}
        self._templates = tuple(t for t in world.templates if t.namespace in shared)
        plain = Enforcement(
            mutate=self._context.mutate,
            bound=self._context.policies.bound(snapshot.pool.name),
            replays=self._rehearsal.replays(self._templates),
            contested=self._mending.contested(),
            outsiders=self._context.outsiders.facts,
            guards=self._context.mirror.chart_guards(),
        )
        held = hold(replace(snapshot, enforcement=plain))
        if not self._context.policies.current(held.pool, policies_of(held)):
            self._proof.forget()
            return held
        return replace(held, enforcement=replace(plain, policies_current=True, probe=self._proof.found))

    # ------------------------------------------------------------------ 3 recheck

    def _recheck(self, plan: Plan, seen: int) -> tuple[Plan, list[Action]]:
        """Keep only what a plan of the present still wants."""
        if self._context.mirror.disturbances == seen:
            return plan, []
        fresh = self._collect()
        if fresh is None:
            return replace(plan, actions=()), list(plan.actions)
        kept, refused = recheck(plan, fresh)
        self._publisher.refused(refused)
        return kept, [action for action, _ in refused]

    # ------------------------------------------------------------------ 5 report

    async def _tell(self, plan: Plan, snapshot: Snapshot, results: Results) -> int:
        """The requests' statuses, as soon as their quotas stand: marking many nodes takes long."""
        await self._gate.settle(results)
        told = self._gate.tellable(plan.requests, snapshot, results)
        return await self._statuses.requests(told, snapshot.now, self._context.epoch)

    async def _report(self, plan: Plan, snapshot: Snapshot, results: Results) -> int:
        written = await self._statuses.pool(plan, snapshot, self._context.epoch)
        notices = self._gate.tellable_notices(plan.notices)
        self._publisher.notices(replace(plan, notices=notices), results)
        mended = self._context.policies.mended(self.name)
        self._publisher.say(self._mending.done(snapshot.pool, results.done, mended))
        self._publisher.say(self._guard_news.of(snapshot))
        await self._prove(snapshot)
        await self._rehearse(snapshot)
        return written

    async def _prove(self, snapshot: Snapshot) -> None:
        """Probe the policies when they are new, and now and then."""
        asked = policies_of(snapshot)
        if not asked.judges or not self._context.policies.current(snapshot.pool, asked):
            self._proof.forget()
        elif self._proof.due() and self._proof.note(await self._context.policies.probe(snapshot.pool, asked)):
            self.alarm.ring()

    async def _rehearse(self, snapshot: Snapshot) -> None:
        """Have live templates tried under policies that stand, beside the cycles."""
        asked = policies_of(snapshot)
        if self._context.policies.current(snapshot.pool, asked):
            rehearse = self._context.policies.rehearse
            stands = scene(snapshot.pool, asked, rehearse, proved=self._proof.complete)
            self._rehearsal.look(stands, self._templates)


def _next_deadline(plan: Plan, now: datetime) -> datetime | None:
    """The earliest moment at which a taking falls due."""
    moments = [m for r in plan.requests if r.timer for m in (r.timer.deadline, r.timer.forced_at) if m]
    return min((m for m in moments if m > now), default=None)

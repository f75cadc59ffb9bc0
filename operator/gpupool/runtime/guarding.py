"""Guarding rollouts, beside the judging: what is bad is paused or turned back where its owner asks it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from gpupool.applier.rollouts import pause, resume, roll_back
from gpupool.model.objects import Key
from gpupool.model.plan import Notice
from gpupool.model.rollout import GuardMode, PauseRollout, ResumeRollout, Rollout, RolloutWrite, Verdict
from gpupool.model.slo import Slo
from gpupool.planner.endpoints import SloPlan, SloStatus
from gpupool.planner.guarding import GuardScene, GuardSnapshot, plan_guard
from gpupool.planner.rollouts import ROLLOUT_HEALTHY, conditions
from gpupool.runtime.carrying import About, carry_out
from gpupool.runtime.context import Context
from gpupool.runtime.releases import source
from gpupool.runtime.surroundings import NEEDED, Surroundings

log = logging.getLogger(__name__)


class Guarding:
    """Decides and writes for all endpoints at once.

    Args:
        context: the process's parts.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def turn(self, plan: SloPlan, slos: Sequence[Slo], around: Surroundings) -> SloPlan:
        """The plan with what was done about rollouts, after it was done.

        Args:
            plan: what was judged.
            slos: the promises.
            around: the cluster.
        """
        snapshot = self._snapshot(plan, slos, around)
        made = plan_guard(snapshot, plan.statuses)
        by_key = {s.key: s for s in slos}
        failed, notices = await carry_out(made.writes, partial(self._do, by_key), _about)
        statuses = tuple(_failed(s, failed[s.key]) if s.key in failed else s for s in made.statuses)
        return replace(plan, statuses=statuses, notices=(*plan.notices, *notices))

    def _snapshot(self, plan: SloPlan, slos: Sequence[Slo], around: Surroundings) -> GuardSnapshot:
        mirror = self._context.mirror
        targets = {(t.key.namespace, t.ref): t for t in mirror.deployments.store.values()}
        stable = {s.key: name for s in plan.statuses if (name := _stable(s))}
        scenes = {
            slo.key: GuardScene(
                slo=slo,
                target=targets.get(slo.at),
                place=around.place(slo.key.namespace),
                source=self._source(slo, stable.get(slo.key, "")) if slo.guard is GuardMode.ROLLBACK else "",
            )
            for slo in slos
        }
        return GuardSnapshot(
            scenes=scenes,
            noted=tuple(t for t in targets.values() if t.rollable is not None and t.rollable.noted),
            blind=around.blind(NEEDED | {"replicasets"}),
            disputed=around.disputed,
            unread=len(mirror.slos.store) < mirror.slos.store.objects,
        )

    def _source(self, slo: Slo, revision: str) -> str:
        """The ReplicaSet of the good revision; looked up only for what is bad."""
        if not revision:
            return ""
        sets = self._context.mirror.replicasets.store.values()
        return source(sets, slo.at, revision)

    # ------------------------------------------------------------------ what is done

    async def _do(self, slos: Mapping[Key, Slo], action: RolloutWrite) -> Iterable[Notice]:
        writer, epoch = self._context.writer, self._context.epoch
        if isinstance(action, PauseRollout):
            await pause(writer, action, epoch=epoch)
        elif isinstance(action, ResumeRollout):
            await resume(writer, action, epoch=epoch)
            log.info("rollout let go", extra={"of": str(action.target), "why": action.why})
        else:
            await roll_back(self._context.client, writer, action, epoch=epoch)
        return _told(action, slos)


def _about(action: RolloutWrite) -> About:
    return About(f"Deployment {action.target.name}", action.target, action.slo)


def _stable(status: SloStatus) -> str:
    """The revision to go back to; empty where nothing is bad."""
    memory = Rollout() if status.guarded is None else status.guarded.memory
    return memory.stable.name if memory.stable is not None and memory.verdict is Verdict.BAD else ""


def _told(action: RolloutWrite, slos: Mapping[Key, Slo]) -> Iterable[Notice]:
    slo = None if action.slo is None else slos.get(action.slo)
    if slo is None:
        return
    name = action.target.name
    if isinstance(action, PauseRollout):
        text = f"The rollout of Deployment {name} is paused: revision {action.acted[-1].revision} is bad."
        yield Notice("InferenceSLO", slo.key, slo.uid, "RolloutPaused", text, warning=True)
    elif isinstance(action, ResumeRollout):
        text = f"The rollout of Deployment {name} goes on: {action.why}."
        yield Notice("InferenceSLO", slo.key, slo.uid, "RolloutResumed", text)
    else:
        deed = action.acted[-1]
        text = f"Deployment {name} goes back from revision {deed.revision} to the template of {deed.to}."
        yield Notice("InferenceSLO", slo.key, slo.uid, "RolledBack", text, warning=True)


def _failed(status: SloStatus, message: str) -> SloStatus:
    """What was decided could not be written."""
    if status.guarded is None:
        return status
    found = replace(status.guarded, action="WriteFailed", said=message)
    others = tuple(c for c in status.conditions if c.type != ROLLOUT_HEALTHY)
    return replace(status, guarded=found, conditions=(*others, *conditions(found)))

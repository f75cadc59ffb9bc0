"""Steering, beside the judging: what is scaled and by what, decided and written, look by look."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

from gpupool.applier.autoscalers import adopt, give_back, make, remove
from gpupool.applier.rescaling import rescale
from gpupool.errors import KubeError, NotFound
from gpupool.model.objects import Key
from gpupool.model.plan import Notice
from gpupool.model.scalerwrites import Adopt, GiveBack, Make, Remove, Rescale, ScalerWrite
from gpupool.model.slo import Slo
from gpupool.model.steering import HpaMode, Needed, Originals, Scaler, ScalerKind, Wake
from gpupool.planner.endpoints import SloPlan
from gpupool.planner.scenes import Scene, SteeringSnapshot
from gpupool.planner.steering import plan_steering
from gpupool.planner.steeringnotices import name, told, unwritten
from gpupool.policy.slo import required
from gpupool.policy.slo.creating import name_of
from gpupool.runtime.carrying import About, carry_out
from gpupool.runtime.context import Context
from gpupool.runtime.surroundings import Surroundings
from gpupool.runtime.workloads import Beds, Owned, Targets, Workload, bare, sleepers, targets_of

log = logging.getLogger(__name__)

READY: Final = 60.0
"""Seconds for which a replica that was Ready counts as one that is: a probe that fails once ends nobody."""
METRIC: Final = ("external.metrics.k8s.io", "v1beta1", required.METRIC)
LOOK: Final = 60.0
"""Seconds between two questions whether that metric is served, where it was."""
AGAIN: Final = 5.0
"""The same, where it was not."""
PATIENCE: Final = 5.0
"""Seconds for an answer: who serves other people's metrics may hang."""
Needs = Mapping[Key, Needed]
NOTHING: Final[Needs] = {}
Wakes = Mapping[Key, Wake]
NOBODY: Final[Wakes] = {}


class Steering:
    """Decides and writes for all endpoints at once.

    Args:
        context: the process's parts.
        monotonic: seconds that never run backwards.
    """

    def __init__(self, context: Context, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._monotonic = monotonic
        self._notes: dict[str, Originals] = {}
        self._beds = Beds()
        self._ready: dict[Key, list[tuple[float, int]]] = {}
        self._metric = (float("-inf"), False)

    async def turn(
        self,
        plan: SloPlan,
        slos: Sequence[Slo],
        around: Surroundings,
        needs: Needs = NOTHING,
        *,
        wakes: Wakes = NOBODY,
    ) -> SloPlan:
        """The plan with its decisions, after what they ask for was written.

        Args:
            plan: what was judged.
            slos: the promises.
            around: the cluster.
            needs: replicas that the objectives need, with the arithmetic, where a profile is learned.
            wakes: whether somebody asks for those that may sleep.
        """
        snapshot = await self._snapshot(slos, around, needs, wakes)
        made = plan_steering(snapshot, plan.statuses)
        failed, notices = await carry_out(made.writes, partial(self._do, snapshot), _about)
        statuses = tuple(unwritten(s, failed[s.key]) if s.key in failed else s for s in made.statuses)
        return replace(plan, statuses=statuses, notices=(*plan.notices, *notices))

    # ------------------------------------------------------------------ what there is

    async def _snapshot(
        self, slos: Sequence[Slo], around: Surroundings, needs: Needs, wakes: Wakes
    ) -> SteeringSnapshot:
        mirror, targets, scalers = (
            self._context.mirror.slos,
            targets_of(self._context.mirror),
            self._scalers(),
        )
        by_target: dict[Workload, list[Scaler]] = defaultdict(list)
        made = {scaler.made: scaler for scaler in scalers if scaler.made}
        present = {scaler.key: scaler.made for scaler in scalers if scaler.kind is ScalerKind.HPA}
        for scaler in _writable(scalers):
            if scaler.made:
                continue
            by_target[scaler.key.namespace, bare(scaler.target)].append(scaler)
        ready = self._kept(slos, around.owned, targets)
        scenes = {
            slo.key: Scene(
                slo=slo,
                target=targets.get(slo.at),
                scalers=tuple(by_target.get((slo.key.namespace, bare(slo.target)), ())),
                made=made.get(slo.uid),
                taken=present.get(Key(slo.key.namespace, name_of(slo)), slo.uid) != slo.uid,
                place=around.place(slo.key.namespace),
                kept=ready[slo.key],
                wake=wakes.get(slo.key),
                **_needed(needs.get(slo.key)),
            )
            for slo in slos
        }
        return SteeringSnapshot(
            now=around.world.now,
            scenes=scenes,
            adopted=tuple(s for s in scalers if s.originals is not None or s.made),
            metric=await self._served(slos),
            unserved=self._context.metrics_api.problem,
            blind=around.blind(),
            disputed=around.disputed,
            unread=len(mirror.store) < mirror.store.objects,
            keda=self._context.mirror.scaled_objects.heard,
            sleepers=sleepers(scalers, targets),
            deserted=self._beds.deserted(scalers, targets),
        )

    def _scalers(self) -> list[Scaler]:
        """The HPAs and ScaledObjects; where our note was taken off one, it is remembered."""
        mirror = self._context.mirror
        present: list[Scaler] = [*mirror.autoscalers.store.values(), *mirror.scaled_objects.values()]
        self._notes = {s.uid: note for s in present if (note := s.originals or self._notes.get(s.uid))}
        return [
            replace(s, originals=self._notes[s.uid], noted=False)
            if s.originals is None and s.uid in self._notes
            else s
            for s in present
        ]

    def _kept(self, slos: Iterable[Slo], owned: Owned, targets: Targets) -> Mapping[Key, int]:
        """Most replicas that were Ready within the last minute, or since before a rollout that goes on.

        A rollout that ends a pod before it makes the next one would else cost the endpoint that replica.
        """
        rolling = {at for at, target in targets.items() if target.rolling}
        now, before, self._ready = self._monotonic(), self._ready, {}
        for slo in slos:
            at = slo.at
            recent = [row for row in before.get(slo.key, ()) if now - row[0] <= READY]
            most = max((n for _, n in recent), default=0) if at in rolling else 0
            living = (p for p in owned.get(at, ()) if not p.terminating)
            serving = sum(1 for p in living if p.ready or (at in rolling and p.node))
            self._ready[slo.key] = [*recent, (now, max(most, serving))]
        return {key: max(n for _, n in rows) for key, rows in self._ready.items()}

    async def _served(self, slos: Iterable[Slo]) -> bool:
        """Whether the metric of created HPAs is served; asked only where somebody wants one created."""
        asked, served = self._metric
        wanted = any(s.scaling.hpa is HpaMode.CREATE for s in slos)
        sure = served and not self._context.metrics_api.problem
        if wanted and self._monotonic() - asked > (LOOK if sure else AGAIN):
            try:
                served = await asyncio.wait_for(self._context.client.has_resource(*METRIC), PATIENCE)
            except (KubeError, TimeoutError):  # the API behind it does not answer
                served = False
            self._metric = (self._monotonic(), served)
        return served

    # ------------------------------------------------------------------ what is done

    async def _do(self, snapshot: SteeringSnapshot, action: ScalerWrite) -> Iterable[Notice]:
        writer, epoch = self._context.writer, self._context.epoch
        if isinstance(action, Rescale):
            if not await self._rescale(action):  # somebody was faster
                return ()
        elif isinstance(action, Adopt):
            await adopt(writer, action, epoch=epoch)
            self._notes[action.uid] = action.note
        elif isinstance(action, Make):
            await make(writer, action, epoch=epoch)
        elif isinstance(action, Remove):
            await remove(writer, action, epoch=epoch)
            log.info("HPA removed", extra={"hpa": str(action.scaler)})
        else:
            self._notes.pop(action.uid, None)
            if action.wake is not None:
                with suppress(NotFound):  # what is gone needs no replica
                    await self._rescale(action.wake)
            await give_back(writer, action, epoch=epoch)
            log.info("scaler given back", extra={"scaler": name(action)})
        return told(action, snapshot)

    async def _rescale(self, action: Rescale) -> bool:
        context = self._context
        done = await rescale(context.client, context.writer, action, epoch=context.epoch)
        if done:
            log.info("rescaled", extra={"object": name(action), "replicas": action.after})
        return done


def _about(action: ScalerWrite) -> About:
    key = action.key if isinstance(action, Rescale) else action.scaler
    return About(name(action), key, None if isinstance(action, GiveBack | Remove) else action.slo)


def _writable(scalers: Sequence[Scaler]) -> Iterable[Scaler]:
    """What may be written: of an HPA of KEDA's the ScaledObject that owns it, where it is there."""
    own = {s.key for s in scalers if s.kind is ScalerKind.SCALED_OBJECT}
    return (s for s in scalers if not s.keda or replace(s.key, name=s.keda) not in own)


def _needed(found: Needed | None) -> dict[str, Any]:
    """Fields of a scene; nothing while the profile is not learned."""
    return {} if found is None else {"needed": found.replicas, "why": found.why, "term": found.term}

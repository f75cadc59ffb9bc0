"""CPU and memory of endpoints: what was used is remembered, VPAs are written and given back, look by look."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from gpupool.applier.vpas import leave, write
from gpupool.model.objects import Container, Key, ObjectRef, Pod
from gpupool.model.plan import Condition, Notice, Status
from gpupool.model.resources import Use, Vpa, VpaMode, VpaNote, VpaWrite, WriteVpa
from gpupool.model.signals import Signals
from gpupool.model.slo import Slo
from gpupool.planner.endpoints import SloPlan, SloStatus
from gpupool.planner.resources import ResourceScene, ResourceSnapshot, plan_resources
from gpupool.policy.slo.containers import learn
from gpupool.runtime.carrying import About, carry_out
from gpupool.runtime.context import Context
from gpupool.runtime.surroundings import Surroundings
from gpupool.runtime.workloads import Workload, bare

log = logging.getLogger(__name__)
T = TypeVar("T")


class Resourcing:
    """Decides and writes for all endpoints at once.

    Args:
        context: the process's parts.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._notes: dict[str, VpaNote] = {}
        self._uses: dict[tuple[Key, str], Use] = {}

    async def turn(
        self,
        plan: SloPlan,
        slos: Sequence[Slo],
        around: Surroundings,
        signals: Mapping[Key, Signals],
    ) -> SloPlan:
        """The plan with what is said of CPU and memory, after what it asks for was written.

        Args:
            plan: what was judged and steered.
            slos: the promises.
            around: the cluster.
            signals: what the endpoints show.
        """
        snapshot = self._snapshot(plan, slos, around, signals)
        made = plan_resources(snapshot, plan.statuses)
        failed, notices = await carry_out(made.writes, partial(self._do, snapshot), _about)
        statuses = tuple(_failed(s, failed[s.key]) if s.key in failed else s for s in made.statuses)
        return replace(plan, statuses=statuses, notices=(*plan.notices, *notices))

    # ------------------------------------------------------------------ what there is

    def _snapshot(
        self,
        plan: SloPlan,
        slos: Sequence[Slo],
        around: Surroundings,
        signals: Mapping[Key, Signals],
    ) -> ResourceSnapshot:
        mirror, vpas = self._context.mirror, self._vpas()
        wanted = [s for s in slos if s.scaling.vpa is not VpaMode.OFF]
        containers = {s.key: _containers(around.owned.get(s.at, ())) for s in slos}
        self._remember(plan, slos, containers, signals, around.world.now.timestamp())
        by_target = _by_target((v.key, v.target, v) for v in vpas)
        scalers = [*mirror.autoscalers.store.values(), *mirror.scaled_objects.values()]
        shared = _by_target((s.key, s.target, s.on) for s in scalers)
        strangers = {v.key for v in vpas if v.note is None or not v.note.made}
        scenes = {
            slo.key: ResourceScene(
                slo=slo,
                containers=containers[slo.key],
                use=self._uses[slo.key, slo.uid],
                vpas=tuple(by_target.get((slo.key.namespace, bare(slo.target)), ())),
                place=around.place(slo.key.namespace),
                shared=frozenset[str]().union(*shared.get((slo.key.namespace, bare(slo.target)), ())),
                namesake=slo.key in strangers,
            )
            for slo in wanted
        }
        return ResourceSnapshot(
            now=around.world.now,
            window=self._context.settings.evaluation_window,
            scenes=scenes,
            noted=tuple(v for v in vpas if v.note is not None),
            served=mirror.vpas.served,
            blind=around.blind(),
            disputed=around.disputed,
            unread=len(mirror.slos.store) < mirror.slos.store.objects,
        )

    def _vpas(self) -> list[Vpa]:
        """The VPAs; where our note was taken off one, it is remembered."""
        present: list[Vpa] = list(self._context.mirror.vpas.values())
        self._notes = {v.uid: note for v in present if (note := v.note or self._notes.get(v.uid))}
        return [
            replace(v, note=self._notes[v.uid], noted=False) if v.note is None and v.uid in self._notes else v
            for v in present
        ]

    def _remember(
        self,
        plan: SloPlan,
        slos: Iterable[Slo],
        containers: Mapping[Key, tuple[Container, ...]],
        signals: Mapping[Key, Signals],
        now: float,
    ) -> None:
        """What was used, after one more look; of an endpoint that is new what its status kept."""
        diagnoses = {s.key: s.findings.diagnosis for s in plan.statuses}
        before, self._uses = self._uses, {}
        for slo in slos:
            identity = (slo.key, slo.uid)
            use = before.get(identity, slo.use)
            own, shown = containers[slo.key], signals.get(slo.key)
            if len(own) == 1 and shown is not None:
                use = learn(use, own[0].name, shown, diagnoses.get(slo.key), now)
            self._uses[identity] = use

    # ------------------------------------------------------------------ what is done

    async def _do(self, snapshot: ResourceSnapshot, action: VpaWrite) -> Iterable[Notice]:
        writer, epoch = self._context.writer, self._context.epoch
        if isinstance(action, WriteVpa):
            made = await write(writer, action, epoch=epoch)
            self._notes[made["metadata"]["uid"]] = action.note
        else:
            self._notes.pop(action.uid, None)
            await leave(writer, action, epoch=epoch)
            log.info("VPA given back", extra={"vpa": str(action.vpa)})
        return _told(action, snapshot)


def _about(action: VpaWrite) -> About:
    slo = action.slo if isinstance(action, WriteVpa) else None
    return About(f"VerticalPodAutoscaler {action.vpa.name}", action.vpa, slo)


def _by_target(found: Iterable[tuple[Key, ObjectRef, T]]) -> Mapping[Workload, list[T]]:
    made: dict[Workload, list[T]] = defaultdict(list)
    for key, target, value in found:
        made[key.namespace, bare(target)].append(value)
    return made


def _containers(pods: Iterable[Pod]) -> tuple[Container, ...]:
    """The inference containers of a workload: those of its newest pod."""
    newest = max((p for p in pods if not p.terminating), key=_age, default=None)
    return () if newest is None else newest.containers


def _age(pod: Pod) -> tuple[float, Key]:
    return (pod.created.timestamp() if pod.created else 0.0, pod.key)


def _told(action: VpaWrite, snapshot: ResourceSnapshot) -> Iterable[Notice]:
    if not isinstance(action, WriteVpa) or (action.uid and not action.force):
        return
    slo, name = snapshot.scenes[action.slo].slo, action.vpa.name
    if action.note.rewrites:
        text = f"VerticalPodAutoscaler {name} was rewritten and is set again."
        yield Notice("InferenceSLO", slo.key, slo.uid, "VpaRewritten", text, warning=True)
        return
    word = "made" if not action.uid else "adopted"
    text = f"VerticalPodAutoscaler {name} is {word}: its policies steer the inference container alone."
    yield Notice("InferenceSLO", slo.key, slo.uid, f"Vpa{word.title()}", text, warning=False)


def _failed(status: SloStatus, message: str) -> SloStatus:
    """What was decided could not be written."""
    return status.saying(Condition("Resources", Status.FALSE, "WriteFailed", message))

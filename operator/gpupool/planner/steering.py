"""What every endpoint's HPA should say, and which HPAs are given back. Same snapshot, same plan (law 9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from gpupool.model.plan import Condition, Status
from gpupool.model.scalerwrites import Remove, ScalerWrite
from gpupool.model.slo import SloState
from gpupool.model.steering import DataPolicy, Decision, HpaMode, Limits, Pace, Scaler, ScalerKind
from gpupool.planner.creating import created, fought, idle_told, unheard
from gpupool.planner.endpoints import SloStatus
from gpupool.planner.obstacles import Obstacle, obstacle
from gpupool.planner.scenes import Scene, SteeringSnapshot
from gpupool.planner.sleeping import asleep, rest, roused, wake_told
from gpupool.policy.slo.adoption import Fight, adopt, give_back
from gpupool.policy.slo.grant import Grant, grant, resource_of
from gpupool.policy.slo.keda import fewest, idle_too_high, idles
from gpupool.policy.slo.pace import behaviour, pace
from gpupool.policy.slo.rollout import deadlock, loan_name
from gpupool.policy.slo.steering import Situation, decide


@dataclass(frozen=True, slots=True)
class SteeringPlan:
    """The statuses with their decisions, and what is written."""

    statuses: tuple[SloStatus, ...] = ()
    writes: tuple[ScalerWrite, ...] = ()


def plan_steering(snapshot: SteeringSnapshot, statuses: Iterable[SloStatus]) -> SteeringPlan:
    """Decide for every endpoint; whoever was adopted and is no longer steered gets its own back."""
    told: list[SloStatus] = []
    writes: list[ScalerWrite] = []
    steered: set[str] = set()
    for status in statuses:
        scene = snapshot.scenes.get(status.key)
        if scene is None:
            told.append(status)
            continue
        found = _endpoint(snapshot, scene, status)
        told.append(found.status)
        writes += found.writes
        steered |= found.steered
    if not (snapshot.blind or snapshot.unread):
        writes += _given_back(snapshot, steered)
    return SteeringPlan(tuple(told), tuple(writes))


def _given_back(snapshot: SteeringSnapshot, steered: set[str]) -> Iterable[ScalerWrite]:
    for scaler in snapshot.adopted:
        if scaler.uid in steered or scaler.paused:
            continue
        if scaler.made:
            yield Remove(scaler.key, scaler.uid)
        elif scaler.originals is not None:
            yield give_back(scaler, scaler.originals, snapshot.sleepers.get(scaler.key))
    yield from snapshot.deserted


class _Found(NamedTuple):
    """What one endpoint comes to; `steered` are scalers, by uid, that keep what we wrote."""

    status: SloStatus
    writes: tuple[ScalerWrite, ...] = ()
    steered: frozenset[str] = frozenset()


def _endpoint(snapshot: SteeringSnapshot, scene: Scene, status: SloStatus) -> _Found:
    creating = scene.slo.scaling.hpa is HpaMode.CREATE
    own = scene.made if creating else None
    scaler = own or (scene.scalers[0] if len(scene.scalers) == 1 else None)
    granted = _grant(scene, snapshot.now)
    decision = decide(_situation(scene, status, scaler, granted))
    conditions = tuple(_conditions(scene, decision, granted))
    hindrance = obstacle(snapshot, scene, status, granted)
    told = replace(status, conditions=status.conditions + conditions)
    if hindrance is None and creating:
        made = created(scene.slo, own, told, decision, _wanted(decision, ""), now=snapshot.now)
        return _Found(made.status if snapshot.metric else unheard(made.status, snapshot.unserved), *made[1:])
    if hindrance is None and scaler is not None:
        return _written(snapshot, told, scaler, decision)
    reason, message, holds = hindrance or Obstacle("NoHpa", "")
    consented = scene.slo.scaling.hpa is not HpaMode.ADVISE
    if consented:
        decision = replace(decision, reason=reason, message=f"{decision.message} {message}")
    steering = Condition("Steering", Status.FALSE, reason, message)
    held = frozenset(s.uid for s in (own, *scene.scalers) if s is not None and holds)
    conditions = (*status.conditions, *conditions, steering)
    asked = holds and reason != "NotKnown" and decision.needed > 0
    woken = roused(status.key, scene.target, scene.scalers) if asked else ()
    return _Found(replace(status, decision=decision, conditions=conditions), woken, held)


def _grant(scene: Scene, now: datetime) -> Grant | None:
    if scene.target is None:
        return None
    return grant(scene.target, scene.place, scene.slo.request, now)


def _situation(scene: Scene, status: SloStatus, scaler: Scaler | None, granted: Grant | None) -> Situation:
    note = None if scaler is None else scaler.originals
    theirs = None if scaler is None or scaler.made else scaler.limits
    judged = (o.budget for o in status.objectives if o.budget.events >= status.min_events)
    return Situation(
        scaling=scene.slo.scaling,
        target=scene.target,
        gpus=_gpus(scene),
        grant=granted,
        kind=ScalerKind.HPA if scaler is None else scaler.kind,
        theirs=theirs if note is None or theirs is None else note.theirs,
        written=None if note is None else note.written,
        kept=scene.kept if scene.target is None else min(scene.kept, scene.target.replicas),
        pace=Pace.STEADY if asleep(scene.target, scene.scalers) else pace(status.state, judged),
        needed=scene.needed,
        why=scene.why,
        term=scene.term,
        policy=DataPolicy.UP_ONLY if status.state is SloState.PARTIAL else scene.slo.data_policy,
        known=status.findings.upward,
        pressed=status.findings.pressed,
    )


def _gpus(scene: Scene) -> int:
    if scene.target is None:
        return 1
    return scene.target.gpus[resource_of(scene.target, scene.place.pool)]


def _written(snapshot: SteeringSnapshot, status: SloStatus, scaler: Scaler, decision: Decision) -> _Found:
    theirs = scaler.limits if scaler.originals is None else scaler.originals.theirs
    kind, steered = scaler.kind, frozenset({scaler.uid})
    wanted = replace(_wanted(decision, theirs.behavior), low=fewest(scaler, theirs, max(1, decision.floor)))
    target = snapshot.scenes[status.key].target
    if text := idle_too_high(scaler, wanted):
        return _Found(idle_told(status, decision, text), steered=steered)
    noted, acts = rest(status.key, target, scaler, decision)
    found = adopt(status.key, scaler, wanted, snapshot.now, noted)
    if isinstance(found, Fight):
        woken = roused(status.key, target, (scaler,))
        return _Found(fought(status, decision, found, kind), woken, steered)
    text = f"{kind.value} {scaler.key.name}: {kind.low} {wanted.low}, {kind.high} {wanted.high}."
    adopted = Condition("Steering", Status.TRUE, "Adopted", f"{text}{idles(scaler, wanted)}")
    told_status = replace(status, decision=decision, conditions=(*status.conditions, adopted))
    return _Found(told_status, (*(() if found is None else (found,)), *acts), steered)


def _wanted(decision: Decision, theirs: str) -> Limits:
    low, high = max(1, decision.floor), max(1, decision.ceiling)
    return Limits(low, high, behaviour(decision.pace, theirs))


# ------------------------------------------------------------------ what is told besides


def _conditions(scene: Scene, decision: Decision, granted: Grant | None) -> Iterable[Condition]:
    if scene.wake is not None:
        yield wake_told(scene.wake)
    if decision.lack is not None:
        yield Condition("WantsMoreGPUs", Status.TRUE, decision.reason, decision.lack.message)
    if scene.target is None or granted is None:
        return
    quota = scene.place.quota
    loan = None if quota is None else quota.loans.get(loan_name(scene.target.ref, granted.resource))
    if loan is not None and loan.gpus:
        text = (
            f"{loan.gpus} GPUs are lent to the rollout of {scene.target.ref} beside its grant, until"
            f" {loan.until.isoformat()} unless it comes further."
        )
        yield Condition("SurgeLoan", Status.TRUE, "Lent", text)
    stuck = deadlock(scene.target, _gpus(scene), granted.room)
    if stuck is not None:
        what = f"CapacityRequest {granted.request}" if granted.request else "a CapacityRequest"
        text = (
            f"A rollout of {scene.target.ref} would wait for ever: maxUnavailable is 0, so that no pod may go"
            f" first, a new one needs {stuck.needed} GPUs, and {stuck.free} are free or could be lent to it."
            f" Set maxUnavailable: 1, run a replica less, or ask for {stuck.needed - stuck.free} more GPUs in"
            f" {what}."
        )
        yield Condition("RolloutWouldDeadlock", Status.TRUE, "NoRoomForSurge", text)

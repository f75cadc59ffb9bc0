"""What every endpoint's HPA should say, and which HPAs are given back. Same snapshot, same plan (law 9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from gpupool.model.objects import Key
from gpupool.model.plan import Condition, Status
from gpupool.model.pool import Mode
from gpupool.model.slo import Slo
from gpupool.model.steering import (
    Adopt,
    Decision,
    GiveBack,
    HpaMode,
    Limits,
    Scaler,
    ScalerKind,
    ScalerWrite,
    Target,
)
from gpupool.planner.endpoints import SloStatus
from gpupool.policy.naming import some
from gpupool.policy.slo.adoption import Fight, adopt, give_back
from gpupool.policy.slo.grant import NOWHERE, Grant, Place, grant, resource_of
from gpupool.policy.slo.keda import asleep, fewest, idle_too_high, in_the_way
from gpupool.policy.slo.pace import behaviour, pace
from gpupool.policy.slo.rollout import deadlock
from gpupool.policy.slo.steering import Situation, decide


@dataclass(frozen=True, slots=True)
class Scene:
    """One endpoint and what steers it.

    Attributes:
        slo: the promise.
        target: its workload; None where it is not there, or asks for no GPUs.
        scalers: the HPAs of the workload; of KEDA's HPAs the ScaledObjects that own them.
        place: what surrounds it.
        kept: replicas that run and are Ready, now or a moment ago.
        needed: replicas that the objectives need; None while the profile is not learned.
        why: the arithmetic of it.
    """

    slo: Slo
    target: Target | None = None
    scalers: tuple[Scaler, ...] = ()
    place: Place = NOWHERE
    kept: int = 0
    needed: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class SteeringSnapshot:
    """All that one turn of steering is made of.

    Attributes:
        now: the server's time.
        scenes: the endpoints.
        adopted: HPAs and ScaledObjects that carry a note of ours.
        metric: whether a metrics API serves what a created HPA would scale on.
        blind: why nothing may be written now; else empty.
        disputed: namespaces that two pools claim.
        unread: an InferenceSLO cannot be read, so an HPA without one may have one: nothing is given back.
        keda: it is known which ScaledObjects there are.
    """

    now: datetime
    scenes: Mapping[Key, Scene] = field(default_factory=dict)
    adopted: tuple[Scaler, ...] = ()
    metric: bool = False
    blind: str = ""
    disputed: frozenset[str] = frozenset()
    unread: bool = False
    keda: bool = True


@dataclass(frozen=True, slots=True)
class SteeringPlan:
    """The statuses with their decisions, and what is written."""

    statuses: tuple[SloStatus, ...] = ()
    writes: tuple[ScalerWrite, ...] = ()


class _Obstacle(NamedTuple):
    """Why an HPA is not written; `holds`: what stands on it stays, else it is given back."""

    reason: str
    message: str
    holds: bool = False


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


def _given_back(snapshot: SteeringSnapshot, steered: set[str]) -> Iterable[GiveBack]:
    for scaler in snapshot.adopted:
        if scaler.uid not in steered and scaler.originals is not None and not scaler.paused:
            yield give_back(scaler, scaler.originals)


class _Found(NamedTuple):
    """What one endpoint comes to; `steered` are scalers, by uid, that keep what we wrote."""

    status: SloStatus
    writes: tuple[Adopt, ...] = ()
    steered: frozenset[str] = frozenset()


def _endpoint(snapshot: SteeringSnapshot, scene: Scene, status: SloStatus) -> _Found:
    scaler = scene.scalers[0] if len(scene.scalers) == 1 else None
    granted = _grant(scene, snapshot.now)
    decision = decide(_situation(scene, status, scaler, granted))
    conditions = tuple(_conditions(scene, decision, granted))
    obstacle = _obstacle(snapshot, scene, status, granted)
    if obstacle is None and scaler is not None:
        told = replace(status, conditions=status.conditions + conditions)
        return _written(snapshot, told, scaler, decision)
    reason, message, holds = obstacle or _Obstacle("NoHpa", "")
    consented = scene.slo.scaling.hpa is not HpaMode.ADVISE
    if consented:
        decision = replace(decision, reason=reason, message=f"{decision.message} {message}")
    steering = Condition("Steering", Status.FALSE, reason, message)
    held = frozenset(s.uid for s in scene.scalers) if holds else frozenset[str]()
    conditions = (*status.conditions, *conditions, steering)
    return _Found(replace(status, decision=decision, conditions=conditions), steered=held)


def _grant(scene: Scene, now: datetime) -> Grant | None:
    if scene.target is None:
        return None
    return grant(scene.target, scene.place, scene.slo.request, now)


def _situation(scene: Scene, status: SloStatus, scaler: Scaler | None, granted: Grant | None) -> Situation:
    note = None if scaler is None else scaler.originals
    theirs = None if scaler is None else scaler.limits
    judged = (o.budget for o in status.objectives if o.budget.events >= status.min_events)
    return Situation(
        scaling=scene.slo.scaling,
        target=scene.target,
        gpus=_gpus(scene),
        grant=granted,
        kind=ScalerKind.HPA if scaler is None else scaler.kind,
        theirs=theirs if note is None else note.theirs,
        written=None if note is None else note.written,
        kept=scene.kept if scene.target is None else min(scene.kept, scene.target.replicas),
        pace=pace(status.state, judged),
        needed=scene.needed,
        why=scene.why,
    )


def _gpus(scene: Scene) -> int:
    if scene.target is None:
        return 1
    return scene.target.gpus[resource_of(scene.target, scene.place.pool)]


# ------------------------------------------------------------------ may it be written?


def _obstacle(
    snapshot: SteeringSnapshot, scene: Scene, status: SloStatus, granted: Grant | None
) -> _Obstacle | None:
    """Why the HPA is not written: first what was not consented to, then what is missing."""
    asked, place = scene.slo.scaling.hpa, scene.place
    if asked is HpaMode.ADVISE:
        return _Obstacle("Advise", "scaling.hpa is Advise: nothing is written.")
    if any(c.type == "Conflict" for c in status.conditions):
        return _Obstacle("SameTarget", "An older InferenceSLO answers for the workload.")
    if unknown := snapshot.blind or _disputed(snapshot, scene):
        return _Obstacle("NotKnown", unknown, holds=True)
    if place.pool is not None and place.mode is not Mode.ENFORCE:
        text = f"Pool {place.pool.name} is in {place.mode.value} here: nothing is written before Enforce."
        return _Obstacle("PoolNotEnforced", text)
    if asked is HpaMode.CREATE:
        return _Obstacle("NoMetricSource", _no_metric(snapshot))
    return _missing(snapshot, scene, granted)


def _disputed(snapshot: SteeringSnapshot, scene: Scene) -> str:
    claimed = scene.slo.key.namespace in snapshot.disputed
    return "Two pools claim this namespace: nothing is written." if claimed else ""


def _no_metric(snapshot: SteeringSnapshot) -> str:
    if snapshot.metric:
        return "Creating an HPA is not built yet: make one, and set scaling.hpa: Adopt."
    return (
        "No metrics API serves gpupool_required_replicas, which a created HPA would scale on: nothing is"
        " written, as with Advise. Make an HPA on a metric that is served, and set scaling.hpa: Adopt."
    )


def _missing(snapshot: SteeringSnapshot, scene: Scene, granted: Grant | None) -> _Obstacle | None:
    if scene.target is None:
        text = f"{scene.slo.target} is not there, or its pods ask for no GPUs."
        return _Obstacle("NoTarget", text, holds=True)
    if not scene.scalers:
        return _Obstacle("NoHpa", f"No HorizontalPodAutoscaler scales {scene.target.ref}: make one.")
    if len(scene.scalers) > 1:
        names = some(f"{s.kind.value} {s.key.name}" for s in scene.scalers)
        text = f"Several autoscalers scale {scene.target.ref}: {names}. Keep one of them."
        return _Obstacle("SeveralHpas", text, holds=True)
    if found := in_the_way(scene.scalers[0], known=snapshot.keda):
        return _Obstacle(*found, holds=True)
    return None if granted is None else _undecided(scene, granted)


def _undecided(scene: Scene, granted: Grant) -> _Obstacle | None:
    if not granted.request:
        text = f"No CapacityRequest covers {scene.slo.target}: make one, or name it in capacityRequestRef."
        return _Obstacle("NoRequest", text, holds=True)
    if granted.gpus is None:
        text = f"CapacityRequest {granted.request} is not decided yet."
        return _Obstacle("NotDecided", text, holds=True)
    if not scene.place.walled:
        text = f"The wall of pool {granted.pool} does not stand in this namespace yet."
        return _Obstacle("NoWall", text, holds=True)
    return None


def _written(snapshot: SteeringSnapshot, status: SloStatus, scaler: Scaler, decision: Decision) -> _Found:
    theirs = scaler.limits if scaler.originals is None else scaler.originals.theirs
    kind, steered = scaler.kind, frozenset({scaler.uid})
    wanted = Limits(
        low=fewest(scaler, theirs, decision.floor),
        high=max(1, decision.ceiling),
        behavior=behaviour(decision.pace, theirs.behavior),
    )
    if text := idle_too_high(scaler, wanted):
        stopped = Condition("Steering", Status.FALSE, "IdleReplicas", text)
        told = replace(decision, reason="IdleReplicas", message=f"{decision.message} {text}")
        conditions = (*status.conditions, stopped)
        return _Found(replace(status, decision=told, conditions=conditions), steered=steered)
    found = adopt(status.key, scaler, wanted, snapshot.now)
    if isinstance(found, Fight):
        fight = Condition("Conflict", Status.TRUE, "Rewritten", found.message)
        stopped = Condition("Steering", Status.FALSE, "Conflict", f"Somebody else rewrites the {kind.value}.")
        told = replace(decision, reason="Conflict")
        conditions = (*status.conditions, fight, stopped)
        return _Found(replace(status, decision=told, conditions=conditions), steered=steered)
    text = f"{kind.value} {scaler.key.name}: {kind.low} {wanted.low}, {kind.high} {wanted.high}."
    adopted = Condition("Steering", Status.TRUE, "Adopted", f"{text}{asleep(scaler, wanted)}")
    told_status = replace(status, decision=decision, conditions=(*status.conditions, adopted))
    return _Found(told_status, () if found is None else (found,), steered)


# ------------------------------------------------------------------ what is told besides


def _conditions(scene: Scene, decision: Decision, granted: Grant | None) -> Iterable[Condition]:
    if decision.lack is not None:
        yield Condition("WantsMoreGPUs", Status.TRUE, decision.reason, decision.lack.message)
    if scene.target is None or granted is None:
        return
    stuck = deadlock(scene.target, _gpus(scene), granted.room)
    if stuck is not None:
        what = f"CapacityRequest {granted.request}" if granted.request else "a CapacityRequest"
        text = (
            f"A rollout of {scene.target.ref} would wait for ever: maxUnavailable is 0, so that no pod may go"
            f" first, a new one needs {stuck.needed} GPUs, and {stuck.free} are free. Set maxUnavailable: 1,"
            f" run a replica less, or ask for {stuck.needed - stuck.free} more GPUs in {what}."
        )
        yield Condition("RolloutWouldDeadlock", Status.TRUE, "NoRoomForSurge", text)

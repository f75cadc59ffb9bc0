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
    Decision,
    HpaMode,
    Limits,
    Pace,
    Remove,
    Rescale,
    Scaler,
    ScalerKind,
    ScalerWrite,
    Target,
    Wake,
)
from gpupool.planner.creating import created, fought, idle_told, unheard
from gpupool.planner.endpoints import SloStatus
from gpupool.planner.sleeping import asleep, rest, roused, wake_told
from gpupool.policy.naming import some
from gpupool.policy.slo.adoption import Fight, adopt, give_back
from gpupool.policy.slo.creating import no_metric, obstacle
from gpupool.policy.slo.grant import NOWHERE, Grant, Place, grant, resource_of
from gpupool.policy.slo.keda import fewest, idle_too_high, idles, in_the_way
from gpupool.policy.slo.pace import behaviour, pace
from gpupool.policy.slo.rollout import deadlock
from gpupool.policy.slo.steering import Situation, decide


@dataclass(frozen=True, slots=True)
class Scene:
    """One endpoint and what steers it.

    Attributes:
        slo: the promise.
        target: its workload; None where it is not there, or asks for no GPUs.
        scalers: the HPAs of the workload that others made; of KEDA's HPAs the ScaledObjects that own them.
        made: the one that we made for it.
        taken: another HPA has the name that we would give to one.
        place: what surrounds it.
        kept: replicas that run and are Ready, now or a moment ago.
        needed: replicas that the objectives need; None while the profile is not learned.
        why: the arithmetic of it.
        term: what decided it.
        wake: whether somebody asks, where it may sleep.
    """

    slo: Slo
    target: Target | None = None
    scalers: tuple[Scaler, ...] = ()
    made: Scaler | None = None
    taken: bool = False
    place: Place = NOWHERE
    kept: int = 0
    needed: int | None = None
    why: str = ""
    term: str = ""
    wake: Wake | None = None


@dataclass(frozen=True, slots=True)
class SteeringSnapshot:
    """All that one turn of steering is made of.

    Attributes:
        now: the server's time.
        scenes: the endpoints.
        adopted: HPAs and ScaledObjects that carry a note of ours, and HPAs that we made.
        metric: whether a metrics API serves what a created HPA would scale on.
        unserved: why ours does not, where it should.
        blind: why nothing may be written now; else empty.
        disputed: namespaces that two pools claim.
        unread: an InferenceSLO cannot be read, so an HPA without one may have one: nothing is given back.
        sleepers: workloads without a replica, by the adopted HPA.
        deserted: workloads that we let sleep, and whose HPA is gone.
        keda: it is known which ScaledObjects there are.
    """

    now: datetime
    scenes: Mapping[Key, Scene] = field(default_factory=dict)
    adopted: tuple[Scaler, ...] = ()
    metric: bool = False
    unserved: str = ""
    blind: str = ""
    disputed: frozenset[str] = frozenset()
    unread: bool = False
    sleepers: Mapping[Key, Target] = field(default_factory=dict)
    deserted: tuple[Rescale, ...] = ()
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
    hindrance = _obstacle(snapshot, scene, status, granted)
    told = replace(status, conditions=status.conditions + conditions)
    if hindrance is None and creating:
        made = created(scene.slo, own, told, decision, _wanted(decision, ""), now=snapshot.now)
        return _Found(made.status if snapshot.metric else unheard(made.status, snapshot.unserved), *made[1:])
    if hindrance is None and scaler is not None:
        return _written(snapshot, told, scaler, decision)
    reason, message, holds = hindrance or _Obstacle("NoHpa", "")
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
        policy=scene.slo.data_policy,
        known=status.findings.upward,
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
        return _uncreated(snapshot, scene, granted)
    return _missing(snapshot, scene, granted)


def _disputed(snapshot: SteeringSnapshot, scene: Scene) -> str:
    claimed = scene.slo.key.namespace in snapshot.disputed
    return "Two pools claim this namespace: nothing is written." if claimed else ""


def _uncreated(snapshot: SteeringSnapshot, scene: Scene, granted: Grant | None) -> _Obstacle | None:
    if scene.made is None and not snapshot.metric:
        return _Obstacle("NoMetricSource", no_metric(snapshot.unserved))
    if scene.target is None:
        return _no_target(scene)
    if found := obstacle(scene.slo, scene.scalers, taken=scene.taken, bounded=granted is not None):
        return _Obstacle(*found)
    return None if granted is None else _undecided(scene, granted)


def _missing(snapshot: SteeringSnapshot, scene: Scene, granted: Grant | None) -> _Obstacle | None:
    if scene.target is None:
        return _no_target(scene)
    if not scene.scalers:
        return _Obstacle("NoHpa", f"No HorizontalPodAutoscaler scales {scene.target.ref}: make one.")
    if len(scene.scalers) > 1:
        names = some(f"{s.kind.value} {s.key.name}" for s in scene.scalers)
        text = f"Several autoscalers scale {scene.target.ref}: {names}. Keep one of them."
        return _Obstacle("SeveralHpas", text, holds=True)
    if found := in_the_way(scene.scalers[0], known=snapshot.keda):
        return _Obstacle(*found, holds=True)
    return None if granted is None else _undecided(scene, granted)


def _no_target(scene: Scene) -> _Obstacle:
    return _Obstacle("NoTarget", f"{scene.slo.target} is not there, or its pods ask for no GPUs.", holds=True)


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
    stuck = deadlock(scene.target, _gpus(scene), granted.room)
    if stuck is not None:
        what = f"CapacityRequest {granted.request}" if granted.request else "a CapacityRequest"
        text = (
            f"A rollout of {scene.target.ref} would wait for ever: maxUnavailable is 0, so that no pod may go"
            f" first, a new one needs {stuck.needed} GPUs, and {stuck.free} are free. Set maxUnavailable: 1,"
            f" run a replica less, or ask for {stuck.needed - stuck.free} more GPUs in {what}."
        )
        yield Condition("RolloutWouldDeadlock", Status.TRUE, "NoRoomForSurge", text)

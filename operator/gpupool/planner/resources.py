"""What every endpoint's VPA should say, and which are given back. Same snapshot, same plan (law 9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from gpupool.model.objects import Container, Key
from gpupool.model.plan import Condition, Status
from gpupool.model.resources import (
    BOTH,
    UNSEEN,
    Bounds,
    Recommendation,
    Resources,
    Use,
    Vpa,
    VpaMode,
    VpaWrite,
)
from gpupool.model.slo import Slo
from gpupool.planner.consent import dispute, same_target, unenforced
from gpupool.planner.endpoints import SloStatus
from gpupool.planner.obstacles import Obstacle
from gpupool.policy.naming import some
from gpupool.policy.slo.adoption import Fight
from gpupool.policy.slo.containers import LEARNED, bounds, learned
from gpupool.policy.slo.grant import NOWHERE, Place
from gpupool.policy.slo.vpa import (
    CALM,
    INITIAL,
    Whose,
    adopt,
    allowed,
    leave,
    make,
    owners,
    policies,
    steered,
)


@dataclass(frozen=True, slots=True)
class ResourceScene:
    """One endpoint, its inference containers, and the VPAs of its workload.

    Attributes:
        slo: the promise.
        containers: those of its pods that use GPUs.
        use: what was measured of it.
        vpas: those that scale the workload.
        place: what surrounds it.
        shared: resources that an HPA of the workload scales on by utilisation.
        namesake: a VPA that we did not make has the name that ours would have.
    """

    slo: Slo
    containers: tuple[Container, ...] = ()
    use: Use = UNSEEN
    vpas: tuple[Vpa, ...] = ()
    place: Place = NOWHERE
    shared: frozenset[str] = frozenset()
    namesake: bool = False


@dataclass(frozen=True, slots=True)
class ResourceSnapshot:
    """All that one turn is made of.

    Attributes:
        now: the server's time.
        window: seconds of the evaluation window.
        scenes: the endpoints.
        noted: VPAs that carry a note of ours.
        served: whether there are VPAs; None where that is not known.
        blind: why nothing may be written now; else empty.
        disputed: namespaces that two pools claim.
        unread: an InferenceSLO cannot be read: nothing is given back.
    """

    now: datetime
    window: float
    scenes: Mapping[Key, ResourceScene] = field(default_factory=dict)
    noted: tuple[Vpa, ...] = ()
    served: bool | None = False
    blind: str = ""
    disputed: frozenset[str] = frozenset()
    unread: bool = False


@dataclass(frozen=True, slots=True)
class ResourcePlan:
    """The statuses with what is said of CPU and memory, and what is written."""

    statuses: tuple[SloStatus, ...] = ()
    writes: tuple[VpaWrite, ...] = ()


class _Found(NamedTuple):
    """What one endpoint comes to; `kept` are VPAs, by uid, that keep what we wrote."""

    status: SloStatus
    writes: tuple[VpaWrite, ...] = ()
    kept: frozenset[str] = frozenset()


def plan_resources(snapshot: ResourceSnapshot, statuses: Iterable[SloStatus]) -> ResourcePlan:
    """Decide for every endpoint; a VPA that is no longer steered is given back, or taken away if ours."""
    told: list[SloStatus] = []
    writes: list[VpaWrite] = []
    kept: set[str] = set()
    for status in statuses:
        scene = snapshot.scenes.get(status.key)
        if scene is None or scene.slo.scaling.vpa is VpaMode.OFF:
            told.append(status)
            continue
        found = _endpoint(snapshot, scene, status)
        told.append(found.status)
        writes += found.writes
        kept |= found.kept
    if not (snapshot.blind or snapshot.unread):
        writes += [leave(v, v.note) for v in snapshot.noted if v.uid not in kept and v.note is not None]
    return ResourcePlan(tuple(told), tuple(writes))


def _endpoint(snapshot: ResourceSnapshot, scene: ResourceScene, status: SloStatus) -> _Found:
    vpa = scene.vpas[0] if len(scene.vpas) == 1 else None
    theirs = _theirs(vpa)
    found = _bounds(snapshot, scene, theirs)
    obstacle = _obstacle(snapshot, scene, status) or _undecided(scene, found)
    if obstacle is None:
        return _written(snapshot, scene, status, found)
    missing = None if obstacle.holds else _unmeasured(snapshot, scene)
    message = obstacle.message if missing is None else f"{obstacle.message} {missing.message}"
    resources = _resources(scene, vpa, found, obstacle.reason, message)
    held = frozenset(v.uid for v in scene.vpas) if obstacle.holds else frozenset[str]()
    return _Found(_told(status, resources, Status.FALSE), kept=held)


def _theirs(vpa: Vpa | None) -> str:
    if vpa is None:
        return ""
    return vpa.policies if vpa.note is None else owners(vpa, vpa.note)


def _bounds(snapshot: ResourceSnapshot, scene: ResourceScene, theirs: str) -> Bounds:
    """Nothing until enough was measured."""
    if not learned(scene.use, snapshot.window):
        return Bounds()
    free = [r for r in BOTH if r not in scene.shared]
    found = bounds(scene.use, steered(theirs, scene.use.container, free))
    return allowed(theirs, scene.use.container, found)


def _resources(scene: ResourceScene, vpa: Vpa | None, found: Bounds, reason: str, message: str) -> Resources:
    said = {} if vpa is None else vpa.recommendations
    return Resources(
        use=scene.use,
        vpa="" if vpa is None else vpa.key.name,
        mode="" if vpa is None else vpa.mode,
        bounds=found,
        recommendation=said.get(scene.use.container, Recommendation()),
        reason=reason,
        message=message,
    )


def _told(status: SloStatus, resources: Resources, truth: Status, *more: Condition) -> SloStatus:
    said = Condition("Resources", truth, resources.reason, resources.message)
    return replace(status, resources=resources, conditions=(*status.conditions, *more, said))


# ------------------------------------------------------------------ may it be written?


def _obstacle(snapshot: ResourceSnapshot, scene: ResourceScene, status: SloStatus) -> Obstacle | None:
    """Why no VPA is written: first what was not consented to, then what is missing."""
    if scene.slo.scaling.vpa is VpaMode.ADVISE:
        return Obstacle("Advise", "scaling.vpa is Advise: nothing is written.")
    if same_target(status):
        return Obstacle("SameTarget", "An older InferenceSLO answers for the workload.")
    if unknown := snapshot.blind or _unknown(snapshot, scene):
        return Obstacle("NotKnown", unknown, holds=True)
    if not snapshot.served:
        text = "No VerticalPodAutoscaler is served here: as with Advise, nothing is written. Install the VPA."
        return Obstacle("NotInstalled", text)
    if text := unenforced(scene.place):
        return Obstacle("PoolNotEnforced", text)
    return _whose(scene) or _unmeasured(snapshot, scene)


def _unknown(snapshot: ResourceSnapshot, scene: ResourceScene) -> str:
    if snapshot.served is None:
        return "VerticalPodAutoscalers cannot be read now: nothing is written."
    return dispute(scene.slo.key.namespace, snapshot.disputed)


def _whose(scene: ResourceScene) -> Obstacle | None:
    """Which VPA it would be: one of its owner's that is there, or one of ours where there is none."""
    foreign = [v for v in scene.vpas if v.note is None or not v.note.made]
    names, target = some(v.key.name for v in scene.vpas), scene.slo.target
    if scene.slo.scaling.vpa is VpaMode.CREATE:
        if foreign:
            text = f"VerticalPodAutoscaler {foreign[0].key.name} scales {target}: adopt it, or delete it."
            return Obstacle("VpaExists", text)
        if scene.namesake:
            text = f"A VerticalPodAutoscaler {scene.slo.key.name} of somebody else is there: rename it."
            return Obstacle("NameTaken", text)
    elif not foreign:
        return Obstacle("NoVpa", f"No VerticalPodAutoscaler scales {target}: make one, or say Create.")
    elif len(scene.vpas) > 1:
        text = f"Several VerticalPodAutoscalers scale {target}: {names}. Keep one of them."
        return Obstacle("SeveralVpas", text, holds=True)
    return _restarts(scene.vpas)


def _restarts(vpas: Iterable[Vpa]) -> Obstacle | None:
    for vpa in vpas:
        if vpa.mode not in CALM:
            mode = vpa.mode or "absent, which is Recreate"
            text = (
                f"updateMode of VPA {vpa.key.name} is {mode}: a bound that moves could restart"
                f" GPU pods. Set updateMode: {INITIAL}, so that pods that come anyway follow it."
            )
            return Obstacle("WouldRestart", text, holds=vpa.note is not None and vpa.note.made)
    return None


def _unmeasured(snapshot: ResourceSnapshot, scene: ResourceScene) -> Obstacle | None:
    if len(scene.containers) > 1:
        names = some(c.name for c in scene.containers)
        text = f"Several containers use GPUs: {names}. It is not known which one to steer."
        return Obstacle("SeveralContainers", text, holds=True)
    if not scene.use.days:
        text = "CPU and memory of the container are not seen: scrape the kubelet's /metrics/cadvisor."
        return Obstacle("NoUse", text, holds=True)
    if not learned(scene.use, snapshot.window):
        text = f"Fewer than {LEARNED} evaluation windows ({snapshot.window:.0f} s each) were looked at."
        return Obstacle("Learning", text, holds=True)
    return None


def _undecided(scene: ResourceScene, found: Bounds) -> Obstacle | None:
    if found.low:
        return None
    shared = f"an HPA scales on {some(sorted(scene.shared))} by utilisation" if scene.shared else ""
    text = f"Nothing is left to steer: {shared or 'the policy of its owner leaves this container out'}."
    return Obstacle("NothingToSteer", text)


# ------------------------------------------------------------------ what is written


def _written(snapshot: ResourceSnapshot, scene: ResourceScene, status: SloStatus, found: Bounds) -> _Found:
    slo, vpa = scene.slo, scene.vpas[0] if scene.vpas else None
    whose, ours = Whose(slo.key, slo.uid, slo.target), slo.scaling.vpa is VpaMode.CREATE
    limited = any(c.cpu_limit is not None for c in scene.containers) if ours else None
    wanted = policies(_theirs(vpa), scene.use.container, found, limited=limited)
    kept = frozenset(v.uid for v in scene.vpas)
    action = make(whose, wanted) if vpa is None else adopt(whose, vpa, wanted, snapshot.now)
    if isinstance(action, Fight):
        resources = _resources(scene, vpa, found, "Conflict", "Somebody else rewrites the VPA.")
        return _Found(_told(status, resources, Status.FALSE, *_fight(status, action)), kept=kept)
    reason = "Created" if ours else "Adopted"
    values = ", ".join(f"{r} {found.low[r]} to {found.high[r]}" for r in found.low)
    text = f"VerticalPodAutoscaler {slo.key.name if vpa is None else vpa.key.name}: {values}."
    resources = _resources(scene, vpa, found, reason, text)
    return _Found(_told(status, resources, Status.TRUE), () if action is None else (action,), kept)


def _fight(status: SloStatus, fight: Fight) -> Iterable[Condition]:
    """A condition stands once: what else is disputed is told first."""
    if not any(c.type == "Conflict" for c in status.conditions):
        yield Condition("Conflict", Status.TRUE, "Rewritten", fight.message)

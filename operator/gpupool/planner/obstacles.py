"""Why an autoscaler is not written: consent first, then what is missing or not known."""

from __future__ import annotations

from typing import NamedTuple

from gpupool.model.steering import HpaMode
from gpupool.planner.consent import dispute, same_target, unenforced
from gpupool.planner.endpoints import SloStatus
from gpupool.planner.scenes import Scene, SteeringSnapshot
from gpupool.policy.naming import some
from gpupool.policy.slo.creating import no_metric
from gpupool.policy.slo.creating import obstacle as uncreatable
from gpupool.policy.slo.grant import Grant
from gpupool.policy.slo.keda import in_the_way


class Obstacle(NamedTuple):
    """Why an HPA or a VPA is not written; `holds`: what stands on it stays, else it is given back."""

    reason: str
    message: str
    holds: bool = False


def obstacle(
    snapshot: SteeringSnapshot, scene: Scene, status: SloStatus, granted: Grant | None
) -> Obstacle | None:
    """Why the HPA is not written: first what was not consented to, then what is missing."""
    asked = scene.slo.scaling.hpa
    if asked is HpaMode.ADVISE:
        return Obstacle("Advise", "scaling.hpa is Advise: nothing is written.")
    if same_target(status):
        return Obstacle("SameTarget", "An older InferenceSLO answers for the workload.")
    if unknown := snapshot.blind or dispute(scene.slo.key.namespace, snapshot.disputed):
        return Obstacle("NotKnown", unknown, holds=True)
    if text := unenforced(scene.place):
        return Obstacle("PoolNotEnforced", text)
    if asked is HpaMode.CREATE:
        return _uncreated(snapshot, scene, granted)
    return _missing(snapshot, scene, granted)


def _uncreated(snapshot: SteeringSnapshot, scene: Scene, granted: Grant | None) -> Obstacle | None:
    if scene.made is None and not snapshot.metric:
        return Obstacle("NoMetricSource", no_metric(snapshot.unserved))
    if scene.target is None:
        return _no_target(scene)
    if found := uncreatable(scene.slo, scene.scalers, taken=scene.taken, bounded=granted is not None):
        return Obstacle(*found)
    return None if granted is None else _undecided(scene, granted)


def _missing(snapshot: SteeringSnapshot, scene: Scene, granted: Grant | None) -> Obstacle | None:
    if scene.target is None:
        return _no_target(scene)
    if not scene.scalers:
        return Obstacle("NoHpa", f"No HorizontalPodAutoscaler scales {scene.target.ref}: make one.")
    if len(scene.scalers) > 1:
        names = some(f"{s.kind.value} {s.key.name}" for s in scene.scalers)
        text = f"Several autoscalers scale {scene.target.ref}: {names}. Keep one of them."
        return Obstacle("SeveralHpas", text, holds=True)
    if found := in_the_way(scene.scalers[0], known=snapshot.keda):
        return Obstacle(*found, holds=True)
    return None if granted is None else _undecided(scene, granted)


def _no_target(scene: Scene) -> Obstacle:
    return Obstacle("NoTarget", f"{scene.slo.target} is not there, or its pods ask for no GPUs.", holds=True)


def _undecided(scene: Scene, granted: Grant) -> Obstacle | None:
    if not granted.request:
        text = f"No CapacityRequest covers {scene.slo.target}: make one, or name it in capacityRequestRef."
        return Obstacle("NoRequest", text, holds=True)
    if granted.gpus is None:
        text = f"CapacityRequest {granted.request} is not decided yet."
        return Obstacle("NotDecided", text, holds=True)
    if not scene.place.walled:
        text = f"The wall of pool {granted.pool} does not stand in this namespace yet."
        return Obstacle("NoWall", text, holds=True)
    return None

"""What one turn of steering is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gpupool.model.objects import Key
from gpupool.model.scalerwrites import Rescale
from gpupool.model.slo import Slo
from gpupool.model.steering import Scaler, Target, Wake
from gpupool.policy.slo.grant import NOWHERE, Place


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

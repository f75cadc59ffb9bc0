"""What is told of an HPA that we make, and of one about which somebody fights."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from gpupool.model.plan import Condition, Status
from gpupool.model.scalerwrites import Adopt, Make
from gpupool.model.slo import Slo
from gpupool.model.steering import Decision, Limits, Scaler, ScalerKind
from gpupool.planner.endpoints import SloStatus
from gpupool.policy.slo.adoption import Fight
from gpupool.policy.slo.creating import name_of, no_metric, stands, write


class Created(NamedTuple):
    """The status, what is written, and the HPA that stays, by uid."""

    status: SloStatus
    writes: tuple[Adopt | Make, ...]
    steered: frozenset[str]


def created(
    slo: Slo, made: Scaler | None, status: SloStatus, decision: Decision, wanted: Limits, *, now: datetime
) -> Created:
    """Make the HPA of an endpoint, or have it say what is wanted."""
    name = name_of(slo)
    steered = frozenset[str]() if made is None else frozenset({made.uid})
    found = write(slo, made, wanted, now)
    if isinstance(found, Fight):
        return Created(fought(status, decision, found), (), steered)
    steering = Condition("Steering", Status.TRUE, "Created", stands(name, wanted, made))
    told = replace(status, decision=decision, conditions=(*status.conditions, steering))
    return Created(told, () if found is None else (found,), steered)


def unheard(status: SloStatus, unserved: str) -> SloStatus:
    """The same while its metric is not served: the HPA stands and holds."""
    *before, steering = status.conditions
    text = f"{steering.message} It holds: {no_metric(unserved)}"
    missing = replace(steering, status=Status.FALSE, reason="NoMetricSource", message=text)
    return replace(status, conditions=(*before, missing))


def idle_told(status: SloStatus, decision: Decision, text: str) -> SloStatus:
    """The status of an endpoint whose ScaledObject wants more replicas idle than it may have."""
    stopped = Condition("Steering", Status.FALSE, "IdleReplicas", text)
    told = replace(decision, reason="IdleReplicas", message=f"{decision.message} {text}")
    return replace(status, decision=told, conditions=(*status.conditions, stopped))


def fought(
    status: SloStatus, decision: Decision, found: Fight, kind: ScalerKind = ScalerKind.HPA
) -> SloStatus:
    """The status of an endpoint whose scaler somebody else keeps writing."""
    fight = Condition("Conflict", Status.TRUE, "Rewritten", found.message)
    stopped = Condition("Steering", Status.FALSE, "Conflict", f"Somebody else rewrites the {kind.value}.")
    told = replace(decision, reason="Conflict")
    return replace(status, decision=told, conditions=(*status.conditions, fight, stopped))

"""What an InferenceSLO's status says of its endpoint, as pools' decisions look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from gpupool.api import v1alpha1 as api
from gpupool.api.v1alpha1.inferenceslo_findings import DiagnosisStatus
from gpupool.api.v1alpha1.inferenceslo_status import ObjectiveStatus, SteeringDecision
from gpupool.model.diagnosis import Confidence, Evidence, Help
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.plan import Status
from gpupool.model.standing import Kept, Limit, Standing

Json = Mapping[str, Any]
_READ: Final = (
    *("observedGeneration", "readyReplicas", "dataState", "objectives"),
    *("diagnosis", "advice", "decision", "conditions"),
)
ASKED: Final = frozenset({"ProfileUnlearned", "DataUnknown", "Lowest"})
"""Reasons of a floor that comes from bounds, not from the load."""
_FASTEST: Final = 1.0
"""Budgets a window: what is above does not last until its end."""


def standing(found: api.InferenceSLO, status: Json) -> Standing:
    """Read it; a status that this version cannot read says nothing.

    Args:
        found: the InferenceSLO.
        status: as the API server gives it.
    """
    spec, meta = found.spec, found.metadata
    ref = spec.target_ref
    plain = Standing(
        key=Key(meta.namespace or "", meta.name),
        created=meta.creation_timestamp or datetime.fromisoformat("1970-01-01T00:00:00+00:00"),
        target=ObjectRef(ref.api_version, ref.kind, ref.name),
        request="" if spec.capacity_request_ref is None else spec.capacity_request_ref.name,
        low=spec.scaling.min_replicas,
        window=spec.window.total_seconds(),
    )
    try:
        told = api.InferenceSLOStatus.model_validate({k: status[k] for k in _READ if k in status})
    except ValidationError:
        return plain
    return replace(_told(plain, told), current=told.observed_generation == meta.generation)


def _needed(decision: SteeringDecision | None) -> int | None:
    """Replicas that the objectives need; what only its owner asks at least is nobody's need."""
    if decision is None or "needed" not in decision.model_fields_set or decision.floor_reason in ASKED:
        return None
    return decision.needed


def _told(plain: Standing, told: api.InferenceSLOStatus) -> Standing:
    conditions = {c.type: c for c in told.conditions}
    met, healthy, data = (conditions.get(t) for t in ("Met", "BudgetHealthy", "DataAvailable"))
    wanting = conditions.get("WantsMoreGPUs")
    return replace(
        plain,
        looked=max((o.sums.until for o in told.objectives if o.sums is not None), default=None),
        ready=told.ready_replicas or 0,
        state="" if told.data_state is None else told.data_state.value,
        trouble="" if data is None else data.message,
        met=_status(met),
        met_because="" if met is None else met.message,
        healthy=_status(healthy),
        healthy_because="" if healthy is None else healthy.message,
        objectives=tuple(_kept(o) for o in told.objectives),
        limit=Limit() if told.diagnosis is None else _limit(told.diagnosis),
        advice=f"{told.advice[0].because} {told.advice[0].expect}" if told.advice else "",
        needed=_needed(told.decision),
        lack=wanting.message if wanting is not None and wanting.status == "True" else "",
    )


def _status(condition: api.Condition | None) -> Status:
    return Status.UNKNOWN if condition is None else Status(condition.status)


def _kept(told: ObjectiveStatus) -> Kept:
    return Kept(
        sli=told.sli.value,
        percent=told.percent,
        attainment=told.attainment,
        remaining=told.budget_remaining,
        coverage=told.coverage or 0.0,
        spending=any((b.long_rate or 0.0) > _FASTEST for b in told.burn_rates),
    )


def _limit(told: DiagnosisStatus) -> Limit:
    return Limit(
        cause=told.cause.value,
        confidence=Confidence(told.confidence),
        helps=Help(told.replicas_help),
        evidence=tuple(Evidence(e.signal, e.value, e.bound) for e in told.evidence),
        remedy=told.remedy or "",
    )

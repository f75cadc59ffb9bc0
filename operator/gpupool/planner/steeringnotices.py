"""What is told of steering beside its decisions: what was written, and what could not be."""

from __future__ import annotations

from collections.abc import Iterable

from gpupool.model.plan import Condition, Notice, Status
from gpupool.model.scalerwrites import Adopt, GiveBack, Make, Rescale, ScalerWrite
from gpupool.model.steering import ScalerKind
from gpupool.planner.endpoints import SloStatus
from gpupool.planner.scenes import SteeringSnapshot
from gpupool.policy.slo.required import METRIC


def name(action: ScalerWrite) -> str:
    """What is written, as people call it."""
    if isinstance(action, Rescale):
        return f"{action.ref}"
    kind = action.kind if isinstance(action, Adopt | GiveBack) else ScalerKind.HPA
    return f"{kind.value} {action.scaler.name}"


def told(action: ScalerWrite, snapshot: SteeringSnapshot) -> Iterable[Notice]:
    """What is told of a write that was done."""
    if isinstance(action, Make):
        text = f"HPA {action.scaler.name} is made, on {METRIC}."
        yield Notice("InferenceSLO", action.slo, action.uid, "HpaCreated", text)
    if isinstance(action, Rescale) and action.slo is not None:
        slo = snapshot.scenes[action.slo].slo
        text = "falls asleep: nobody asks for it." if action.after == 0 else "wakes: somebody asks for it."
        yield Notice("InferenceSLO", slo.key, slo.uid, "Rescaled", f"{action.ref} {text}")
    if not isinstance(action, Adopt) or not action.force or action.made:
        return
    slo = snapshot.scenes[action.slo].slo
    theirs, ours = action.note.theirs, action.limits
    again, kind = action.note.rewrites, action.kind
    text = (
        f"{kind.value} {action.scaler.name} {'was rewritten and is set again' if again else 'is adopted'}:"
        f" {kind.low} {theirs.low} to {ours.low}, {kind.high} {theirs.high} to {ours.high}."
    )
    reason = f"{'Hpa' if kind is ScalerKind.HPA else kind.value}{'Rewritten' if again else 'Adopted'}"
    yield Notice("InferenceSLO", slo.key, slo.uid, reason, text, warning=bool(again))


def unwritten(status: SloStatus, message: str) -> SloStatus:
    """What was decided could not be written."""
    return status.saying(Condition("Steering", Status.FALSE, "WriteFailed", message))

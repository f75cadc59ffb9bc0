"""Projection of KEDA's ScaledObject: what it scales, what of it is steered, whether its owner paused it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gpupool.collector.owning import others_writing
from gpupool.kube.resources import Json
from gpupool.model.kedanote import CONFIG, ORIGINALS, limits_of, note_of
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.steering import Scaler, ScalerKind

_ANNOTATIONS: Final = "autoscaling.keda.sh/"
PAUSED: Final = f"{_ANNOTATIONS}paused"
PAUSED_REPLICAS: Final = f"{_ANNOTATIONS}paused-replicas"
DIRECTIONS: Final = (f"{_ANNOTATIONS}paused-scale-in", f"{_ANNOTATIONS}paused-scale-out")
RESOURCES: Final = frozenset({"cpu", "memory"})
UTILIZATION: Final = "Utilization"
FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
"""What KEDA reads as: not paused. Of anything else it is the owner who knows what was meant."""


def scaled_object(raw: Json) -> Scaler | None:
    """A ScaledObject; None where it scales nothing."""
    meta, spec = raw["metadata"], raw.get("spec") or {}
    target = spec.get("scaleTargetRef") or {}
    if not target.get("name"):
        return None
    annotations = meta.get("annotations") or {}
    return Scaler(
        key=Key(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        version=meta["resourceVersion"],
        target=ObjectRef(
            target.get("apiVersion") or "apps/v1", target.get("kind") or "Deployment", target["name"]
        ),
        limits=limits_of(spec),
        originals=note_of(annotations.get(ORIGINALS, "")),
        writers=others_writing(raw, _steered),
        kind=ScalerKind.SCALED_OBJECT,
        paused=_paused(annotations),
        idle=spec.get("idleReplicaCount"),
        on=frozenset(_on(spec)),
    )


def _on(spec: Mapping[str, Any]) -> Iterable[str]:
    """KEDA's triggers on CPU and memory take the utilisation where they say nothing else."""
    for trigger in spec.get("triggers") or ():
        if trigger.get("type") in RESOURCES and trigger.get("metricType", UTILIZATION) == UTILIZATION:
            yield trigger["type"]


def _paused(annotations: Mapping[str, str]) -> str:
    """The annotation that pauses it, as KEDA reads them; `paused-replicas` does whatever it says."""
    if PAUSED_REPLICAS in annotations:
        return PAUSED_REPLICAS
    said = (name for name in (PAUSED, *DIRECTIONS) if annotations.get(name, "false") not in FALSE)
    return next(said, "")


def _steered(fields: Mapping[str, Any]) -> bool:
    config = fields.get(f"f:{CONFIG[0]}", {}).get(f"f:{CONFIG[1]}", {})
    return "f:minReplicaCount" in fields or "f:maxReplicaCount" in fields or "f:behavior" in config

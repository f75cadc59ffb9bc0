"""Projection of a VerticalPodAutoscaler: what it scales, what of it is steered, what it recommends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpupool.collector.owning import others_writing
from gpupool.kube.resources import Json
from gpupool.model.objects import Key, ObjectRef
from gpupool.model.resources import Recommendation, Vpa
from gpupool.model.steering import canonical
from gpupool.model.vpanote import ORIGINALS, read_note


def vpa(raw: Json) -> Vpa | None:
    """A VPA; None where it scales nothing."""
    meta, spec = raw["metadata"], raw.get("spec") or {}
    target = spec.get("targetRef") or {}
    if not target.get("name"):
        return None
    policies = (spec.get("resourcePolicy") or {}).get("containerPolicies") or []
    found = ((raw.get("status") or {}).get("recommendation") or {}).get("containerRecommendations") or ()
    return Vpa(
        key=Key(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        version=meta["resourceVersion"],
        target=ObjectRef(target.get("apiVersion", ""), target.get("kind", ""), target["name"]),
        mode=(spec.get("updatePolicy") or {}).get("updateMode") or "",
        policies=canonical(policies),
        recommendations={r["containerName"]: _recommendation(r) for r in found if r.get("containerName")},
        note=read_note((meta.get("annotations") or {}).get(ORIGINALS, "")),
        writers=others_writing(raw, _steered),
    )


def _recommendation(row: Mapping[str, Any]) -> Recommendation:
    parts = ((row.get(name) or {}) for name in ("target", "lowerBound", "upperBound"))
    return Recommendation(*({name: str(q) for name, q in part.items()} for part in parts))


def _steered(fields: Mapping[str, Any]) -> bool:
    return "f:containerPolicies" in fields.get("f:resourcePolicy", {})

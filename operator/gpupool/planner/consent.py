"""What stands between a decision and a write, whatever is written: autoscalers, VPAs and rollouts alike."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from gpupool.model.pool import Mode
from gpupool.planner.endpoints import SloStatus
from gpupool.policy.slo.grant import Place


def same_target(status: SloStatus) -> bool:
    """Whether an older InferenceSLO answers for the workload."""
    return any(c.type == "Conflict" and c.reason == "SameTarget" for c in status.conditions)


def dispute(namespace: str, disputed: AbstractSet[str]) -> str:
    """Why nothing is written in a namespace that two pools claim; else empty."""
    return "Two pools claim this namespace: nothing is written." if namespace in disputed else ""


def unenforced(place: Place) -> str:
    """Why nothing is written under a pool that only looks; else empty."""
    if place.pool is None or place.mode is Mode.ENFORCE:
        return ""
    return f"Pool {place.pool.name} is in {place.mode.value} here: nothing is written before Enforce."

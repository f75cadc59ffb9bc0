"""What must be remembered of a written status: enough to keep condition times and to write nothing twice.

Numbers that move with every sample are kept apart from what was decided, so that they are written at a
pace of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MEASURED = frozenset(
    {
        *("busy", "efficiency", "activity", "coverage"),
        *("attainment", "budgetRemaining", "events", "longRate", "shortRate", "sums"),
        *("evidence", "profile", "advice", "floorReason", "effects", "results", "startup", "economics"),
        *("use", "recommendation"),
    }
)
"""Fields that follow samples, in requests, pools and their share rows, and in objectives."""
SPOKEN = frozenset({"UnderUsed", "Met", "BudgetHealthy", "RolloutHealthy", "Drift"})
"""Conditions whose sentences carry such numbers."""
STEERED = frozenset({"pace", "alternative", "verdict", "minAllowed"})
"""Fields by which what steering says, of rollouts and resources too, is told: its sentences carry rates."""


@dataclass(frozen=True, slots=True)
class StatusMemo:
    """Digests of a status, whole and without its measured fields, and its conditions' times."""

    whole: str
    decided: str
    conditions: tuple[Mapping[str, Any], ...] = ()

    @property
    def before(self) -> dict[str, Any]:
        """The part of the old status that a new one builds on."""
        return {"conditions": list(self.conditions)}

    @property
    def written(self) -> str:
        """When a condition last changed, as text that sorts like time; empty without conditions."""
        return max((str(c.get("lastTransitionTime", "")) for c in self.conditions), default="")


def memo(status: Mapping[str, Any]) -> StatusMemo:
    """Remember a status as JSON."""
    kept = ("type", "status", "lastTransitionTime")
    return StatusMemo(
        whole=_digest(status),
        decided=_digest(_without(status)),
        conditions=tuple({k: c[k] for k in kept if k in c} for c in status.get("conditions", ())),
    )


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        spoken = value.get("type") in SPOKEN or STEERED & value.keys()
        dropped = MEASURED | {"message"} if spoken else MEASURED
        return {k: _without(v) for k, v in value.items() if k not in dropped}
    return [_without(v) for v in value] if isinstance(value, list) else value


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

"""How fast replicas may come and go, from what is left of the error budget.

The HPA's own behaviour is what ours is made from, so that what its owner chose holds in all but that:
what was disabled stays so, rates keep their periods, tolerances stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from gpupool.model.slo import SloState
from gpupool.model.steering import Pace, canonical
from gpupool.policy.slo.budget import Budget

MUCH: Final = 50.0
"""Percent of the budget that must be left before replicas go sooner."""
SOON: Final = 120
"""Seconds for which fewer replicas must be enough then, before one goes."""
FASTER: Final = 2
"""How many times as many replicas may come at once while the budget burns."""
DISABLED: Final = "Disabled"
_DEFAULT: Final[Mapping[str, Mapping[str, Any]]] = {
    "scaleDown": {
        "policies": [{"periodSeconds": 15, "type": "Percent", "value": 100}],
        "selectPolicy": "Max",
        "stabilizationWindowSeconds": 300,
    },
    "scaleUp": {
        "policies": [
            {"periodSeconds": 15, "type": "Pods", "value": 4},
            {"periodSeconds": 15, "type": "Percent", "value": 100},
        ],
        "selectPolicy": "Max",
        "stabilizationWindowSeconds": 0,
    },
}
"""What Kubernetes does where an HPA says nothing."""


def pace(state: SloState, budgets: Iterable[Budget]) -> Pace:
    """How fast, of an endpoint.

    Args:
        state: the worst of what is known of its objectives.
        budgets: of the objectives that have enough events for a verdict.
    """
    if state not in {SloState.OK, SloState.NO_TRAFFIC}:
        return Pace.HOLD
    judged = [b for b in budgets if b.remaining is not None]
    if any(b.burning or ((b.remaining or 0.0) < 0 and _spending(b)) for b in judged):
        return Pace.PROTECT
    if judged and all((b.remaining or 0.0) > MUCH and not _spending(b) for b in judged):
        return Pace.SAVE
    return Pace.STEADY


def _spending(found: Budget) -> bool:
    """Whether it goes faster than it may over any of its longer windows."""
    return any((b.long_rate or 0.0) > 1 for b in found.burns)


def behaviour(wanted: Pace, theirs: str) -> str:
    """The behaviour of an HPA at that pace.

    Args:
        wanted: the pace.
        theirs: the behaviour that its owner gave it; empty for none.
    """
    own = json.loads(theirs) if theirs else {}
    down = {**_DEFAULT["scaleDown"], **own.get("scaleDown", {})}
    up = {**_DEFAULT["scaleUp"], **own.get("scaleUp", {})}
    if wanted in {Pace.PROTECT, Pace.HOLD}:
        down["selectPolicy"] = DISABLED
    if wanted is Pace.SAVE:
        down["stabilizationWindowSeconds"] = min(down["stabilizationWindowSeconds"], SOON)
    if wanted is Pace.PROTECT:
        up["stabilizationWindowSeconds"] = 0
        up["policies"] = [{**policy, "value": policy["value"] * FASTER} for policy in up["policies"]]
    return canonical({**own, "scaleDown": down, "scaleUp": up})

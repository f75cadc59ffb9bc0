"""Between deciding and acting the world moves: only what the present still asks for is done."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from gpupool.model.plan import Action, Plan
from gpupool.model.snapshot import Snapshot
from gpupool.planner.planner import decide

NO_LONGER_WANTED = "NoLongerWanted"
"""The plan of the present does not contain the action."""


def recheck(plan: Plan, fresh: Snapshot) -> tuple[Plan, tuple[tuple[Action, str], ...]]:
    """Keep the actions that the plan of `fresh` contains too.

    An action that differs in any number, or in the resourceVersion it rests on, is another action: it is
    refused here and decided anew by the next cycle.

    Returns:
        The plan with what is left of its actions, and the refused ones with a machine reason.
    """
    wanted: dict[str, list[Action]] = defaultdict(list)
    for action in decide(fresh).actions:
        wanted[str(action)].append(action)
    kept = tuple(a for a in plan.actions if a in wanted[str(a)])
    refused = tuple((a, NO_LONGER_WANTED) for a in plan.actions if a not in wanted[str(a)])
    return replace(plan, actions=kept), refused
